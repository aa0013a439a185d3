"""The stage `atlas`: what it writes, bit for bit, from stores written by the modules that own them."""

import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from protoviz import files, layout
from protoviz.atlas import sheets
from stages import atlas as stage
from tests.reference import atlas as made_up

NETWORKS = [(condition, run) for condition in made_up.CONDITIONS for run in made_up.RUNS]


def delivered(folder: Path, name: str) -> Any:
    match = re.fullmatch(r'atlas\.deliver\("[^"]+",(.*)\);\n', (folder / "data" / f"{name}.js").read_text())
    assert match
    return json.loads(match[1])


def tiles(path: Path, count: int) -> np.ndarray:
    with Image.open(path) as picture:
        whole = np.asarray(picture)
    across, size = sheets.columns(count), made_up.SIZE
    return np.stack(
        [
            whole[k // across * size : (k // across + 1) * size, k % across * size : (k % across + 1) * size]
            for k in range(count)
        ]
    )


def hashes(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): files.sha256(path) for path in folder.rglob("*") if path.is_file()}


def test_every_sheet_holds_the_images_of_the_cube(study: Any) -> None:
    seen = set()
    for condition, run in NETWORKS:
        for repeat in made_up.REPEATS:
            for epoch in made_up.EPOCHS:
                images = made_up.images(condition, run, repeat, epoch)
                for layer, at in (("layer1", slice(0, 24)), ("layer2", slice(24, 64))):
                    path = study.bare / "sheets" / f"{condition}-{run}/{repeat}/{epoch}/{layer}.webp"
                    np.testing.assert_array_equal(tiles(path, at.stop - at.start), images[at])
                    seen.add(path)
    assert seen == set((study.bare / "sheets").rglob("*.webp"))


def test_every_sheet_of_a_unit_holds_its_life_and_its_neighbours(study: Any) -> None:
    count = len(made_up.REPEATS) * len(made_up.EPOCHS)
    for channel in (0, 7, 23):
        near = delivered(study.bare, "units/keepclr-2/layer1")["neighbours"][channel]
        shown = tiles(study.bare / f"units/keepclr-2/layer1/{channel}.webp", count + len(near))
        own = [
            made_up.images("keepclr", 2, repeat, epoch)[channel]
            for repeat in made_up.REPEATS
            for epoch in made_up.EPOCHS
        ]
        other = [made_up.images(*NETWORKS[place], 0, 5)[one] for place, one, _ in near]
        np.testing.assert_array_equal(shown, np.stack(own + other))
        assert [place for place in near if place[:2] == [3, channel]] == []
    assert len(list((study.bare / "units").rglob("*.webp"))) == 4 * made_up.UNITS


def test_numbers_are_those_of_the_stores(study: Any) -> None:
    found = delivered(study.bare, "units/keepclr-2/layer1")
    assert found["status"][1][3] == "111" + "2" + "1" * 20
    assert set(found) == {"windows", "status", "activation", "neighbours", "change"}
    for i, repeat in enumerate(made_up.REPEATS):
        for j, epoch in enumerate(made_up.EPOCHS):
            expected = made_up.activations("keepclr", 2, repeat, epoch)[:24]
            np.testing.assert_allclose(found["activation"][i][j], expected, rtol=5e-4)
    assert found["change"][0][0] == [None] * 24
    before, after = (made_up.images("keepclr", 2, 0, epoch)[4] for epoch in (0, 1))
    masked = [one * made_up.masks(2)[at, 0][..., None] / 255 for one, at in ((before, 0), (after, 1))]
    assert found["change"][0][1][4] == np.float32(found["change"][0][1][4])  # a number, not None
    np.testing.assert_allclose(found["change"][0][1][4], ((masked[0] - masked[1]) ** 2).mean(), rtol=1e-3)


def test_the_manifest_says_what_there_is(study: Any) -> None:
    found = delivered(study.bare, "study")
    (cube,) = found["cubes"]
    assert cube["layers"] == [["layer1", 24], ["layer2", 40]]
    assert cube["checkpoint"] == ["untrained", "epoch 1", "epoch 2", "epoch 5"]
    assert cube["networks"] == [list(one) for one in NETWORKS]
    computed = {name for name, there in cube["computed"].items() if there}
    assert computed == {"masks", "fixed", "change"}
    assert found["colours"] == {"clrjit": "#0072B2", "keepclr": "#D55E00"}
    for kind in ("sheets", "units", "veils"):
        size = sum(path.stat().st_size for path in (study.bare / kind).rglob("*.webp"))
        assert found["bytes"][kind] == size


def test_a_sample_of_channels_keeps_its_names(study: Any) -> None:
    found = delivered(study.rich, "study")["cubes"][1]
    assert found["layers"] == [["conv1", 4, [2, 3, 5, 8]], ["blocks.0.conv2", 3, [0, 1, 7]]]
    folder = study.rich / "units/seresnext-1/conv1"
    assert sorted(path.name for path in folder.iterdir()) == ["2.webp", "3.webp", "5.webp", "8.webp"]
    near = delivered(study.rich, "units/seresnext-1/conv1")["neighbours"]
    assert {channel for row in near for _, channel, _ in row} <= {2, 3, 5, 8}


def test_the_same_study_gives_the_same_bytes(study: Any, tmp_path: Path) -> None:
    first = hashes(study.rich)
    before = Path.cwd()
    os.chdir(study.folder)
    try:
        made_up.build_rich(tmp_path / "again")
        stage.main(made_up.study())
    finally:
        os.chdir(before)
    assert hashes(tmp_path / "again") == first
    assert len(first) > 300
    assert not list(study.folder.rglob("*.partial"))


def test_the_first_view_is_small(study: Any) -> None:
    """The page itself, whatever the study: below 120 kB."""
    page = sum(path.stat().st_size for path in study.bare.iterdir() if path.is_file())
    assert page < 120_000


def test_nothing_is_asked_of_other_hosts(study: Any) -> None:
    for path in study.bare.iterdir():
        if path.is_file():
            assert not re.findall(r"https?://(?!www\.w3\.org/2000/svg)", path.read_text()), path


def test_the_folder_is_the_layouts() -> None:
    assert Path("data/atlas") == layout.ATLAS
