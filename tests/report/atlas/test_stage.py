"""The stage `atlas`: what it writes, bit for bit, from stores written by the modules that own them."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from protoviz import files, layout, machine
from protoviz.report.atlas import pieces, sheets
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


SLICES = (("layer1", slice(0, 24)), ("layer2", slice(24, 64)))


def cube_sheets(folder: Path) -> Iterator[tuple[Path, np.ndarray]]:
    """Every sheet of the grid that there must be, and the images that it holds."""
    for condition, run in NETWORKS:
        for repeat in made_up.REPEATS:
            for epoch in made_up.EPOCHS:
                images = made_up.images(condition, run, repeat, epoch)
                for layer, at in SLICES:
                    yield folder / f"sheets/{condition}-{run}/{repeat}/{epoch}/{layer}.webp", images[at]


def test_every_lossless_sheet_holds_the_images_of_the_cube(study: Any) -> None:
    seen = set()
    for path, images in cube_sheets(study.rich):
        np.testing.assert_array_equal(tiles(path, len(images)), images)
        seen.add(path)
    found = {path for path in (study.rich / "sheets").rglob("*.webp") if "seresnext" not in str(path)}
    assert seen == found


def test_lossy_sheets_are_as_far_from_the_cube_as_is_stated(study: Any) -> None:
    stated = delivered(study.bare, "study")
    assert stated["quality"] == made_up.study().atlas.quality
    paths, apart = [], []
    for path, images in cube_sheets(study.bare):
        paths.append(path)
        apart.append(np.abs(tiles(path, len(images)).astype(int) - images).ravel())
    whole = np.concatenate(apart)
    assert stated["distance"]["mean"] == pytest.approx(whole.mean(), abs=0.005)
    assert stated["distance"]["most"] == np.percentile(whole, 95, method="inverted_cdf")
    assert stated["distance"]["greatest"] == whole.max()
    assert set(paths) == set((study.bare / "sheets").rglob("*.webp"))
    assert not (study.bare / "units").exists()  # its layers are small


def test_layers_have_strips_beyond_the_limit(study: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(study.folder)
    cubes = delivered(study.rich, "study")["cubes"]
    assert [cube["strips"] for cube in cubes] == [["layer1", "layer2"], ["conv1", "blocks.0.conv2"]]
    assert delivered(study.bare, "study")["cubes"][0]["strips"] == []
    source = made_up.rich_sources()[0]
    large = 40 * len(made_up.REPEATS) * len(made_up.EPOCHS) * made_up.SIZE**2 / 1e6
    assert pieces.with_strips(source, large * 0.999) == {"layer2"}
    assert pieces.with_strips(source, large) == set()


def test_every_sheet_of_a_unit_holds_its_life_and_its_neighbours(study: Any) -> None:
    count = len(made_up.REPEATS) * len(made_up.EPOCHS)
    for channel in (0, 7, 23):
        numbers = delivered(study.rich, "units/keepclr-2/layer1")
        near, paired = (numbers[name][channel] for name in ("neighbours", "partners"))
        assert len(paired) == 2  # the other run, the other condition
        shown = tiles(study.rich / f"units/keepclr-2/layer1/{channel}.webp", count + len(near) + len(paired))
        own = [
            made_up.images("keepclr", 2, repeat, epoch)[channel]
            for repeat in made_up.REPEATS
            for epoch in made_up.EPOCHS
        ]
        other = [made_up.images(*NETWORKS[place], 0, 5)[one] for place, one, *_ in (*near, *paired)]
        np.testing.assert_array_equal(shown, np.stack(own + other))
        assert [place for place in near if place[:2] == [3, channel]] == []
    made = [path for path in (study.rich / "units").rglob("*.webp") if "seresnext" not in str(path)]
    assert len(made) == 4 * made_up.UNITS


def test_partners_are_those_of_the_store_read_from_both_ends(study: Any) -> None:
    for layer, size in made_up.LAYERS.items():
        numbers = [delivered(study.rich, f"units/{c}-{r}/{layer}")["partners"] for c, r in NETWORKS]
        for p, (one, other) in enumerate(made_up.PAIRS):
            answers, looks = made_up.partners(p, layer)
            for channel in range(size):
                found = {place: row for place, *row in numbers[one][channel]}[other]
                partner = answers[channel] if answers[channel] >= 0 else looks[channel]
                assert (found[0], found[2]) == (partner, looks[channel])
                assert (found[1] is None) == (answers[channel] < 0)
                if answers[channel] >= 0:
                    back = {place: row for place, *row in numbers[other][partner]}[one]
                    assert back[:2] == [channel, found[1]]
    assert "partners" not in delivered(study.rich, "units/seresnext-1/conv1")


def test_a_natural_image_is_stored_once(study: Any) -> None:
    shown = {
        place
        for condition, run in NETWORKS
        for layer in made_up.LAYERS
        for places in delivered(study.rich, f"units/{condition}-{run}/{layer}")["photographs"]
        for place in places
    }
    paths = {int(path.stem): path for path in (study.rich / "photographs").rglob("*.webp")}
    assert set(paths) == shown
    for place, path in paths.items():
        with Image.open(path) as picture:
            np.testing.assert_array_equal(np.asarray(picture), made_up.photographs()[place])


def test_a_sheet_of_modes_holds_an_image_of_each(study: Any) -> None:
    for channel in range(5):
        path = study.rich / f"modes/keepclr-2/layer1/{channel}.webp"
        known = delivered(study.rich, "units/keepclr-2/layer1")["modes"][channel]
        assert (known["count"], known["starts"], known["epoch"]) == (channel, 8, made_up.EPOCHS[-1])
        assert known["shown"] == [3, 2, 1][:channel]
        assert path.exists() == (channel > 0)
        for k, tile in enumerate(tiles(path, len(known["shown"])) if channel else ()):
            assert (tile == 10 * channel + k).all()
    assert delivered(study.rich, "units/keepclr-2/layer1")["modes"][5:] == [None] * 19
    computed = [cube["computed"]["modes"] for cube in delivered(study.rich, "study")["cubes"]]
    assert computed == [True, False]
    assert "modes" not in delivered(study.bare, "units/keepclr-2/layer1")


def test_only_what_has_a_place_has_a_picture_on_the_map(study: Any) -> None:
    """Study A's map of the rich atlas holds its second run alone."""
    folders = {path.relative_to(study.rich / "map") for path in (study.rich / "map").rglob("*.webp")}
    expected = {
        Path(f"{condition}-2/{repeat}/{epoch}.webp")
        for condition in made_up.CONDITIONS
        for repeat in made_up.REPEATS
        for epoch in made_up.EPOCHS
    }
    assert folders == expected | {Path(f"seresnext-1/0/{epoch}.webp") for epoch in range(3)}
    assert delivered(study.rich, "map/study")["axes"]["run"] == [2]


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
    assert computed == {"masks", "fixed", "change", "transparency"}
    assert found["colours"] == {"clrjit": "#0072B2", "keepclr": "#D55E00"}
    for kind in ("sheets", "veils"):
        size = sum(path.stat().st_size for path in (study.bare / kind).rglob("*.webp"))
        assert found["bytes"][kind] == size


def test_a_sample_of_channels_keeps_its_names(study: Any) -> None:
    found = delivered(study.rich, "study")["cubes"][1]
    assert found["layers"] == [["conv1", 4, [2, 3, 5, 8]], ["blocks.0.conv2", 3, [0, 1, 7]]]
    folder = study.rich / "units/seresnext-1/conv1"
    assert sorted(path.name for path in folder.iterdir()) == ["2.webp", "3.webp", "5.webp", "8.webp"]
    near = delivered(study.rich, "units/seresnext-1/conv1")["neighbours"]
    assert {channel for row in near for _, channel, _ in row} <= {2, 3, 5, 8}


@pytest.mark.parametrize("threads", [1, 3])
def test_the_same_study_gives_the_same_bytes(
    study: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    monkeypatch.setattr(machine, "cores", lambda: threads)
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
    """The page itself, whatever the study: below 150 kB."""
    page = sum(path.stat().st_size for path in study.bare.iterdir() if path.is_file())
    assert page < 150_000


def test_nothing_is_asked_of_other_hosts(study: Any) -> None:
    for path in study.bare.iterdir():
        if path.is_file():
            assert not re.findall(r"https?://(?!www\.w3\.org/2000/svg)", path.read_text()), path


def test_the_folder_is_the_layouts() -> None:
    assert Path("data/atlas") == layout.ATLAS


def test_some_runs_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the study had no others: the same sheets of these, and no word of the rest."""
    monkeypatch.chdir(tmp_path)
    made_up.write_stores()
    whole = made_up.study()
    lossless = whole.atlas.model_copy(update={"quality": "lossless", "runs": [made_up.RUNS[-1]]})
    stage.main(whole.model_copy(update={"atlas": lossless}))
    shown = {path.parts[-4] for path in layout.ATLAS.glob("sheets/*/*/*/*.webp")}
    assert shown == {f"{condition}-{made_up.RUNS[-1]}" for condition in made_up.CONDITIONS}
    for path, images in cube_sheets(layout.ATLAS):
        if path.exists():
            np.testing.assert_array_equal(tiles(path, len(images)), images)
    names = {path.name for path in (layout.ATLAS / "data" / "units").iterdir()}
    assert not [name for name in names if f"-{made_up.RUNS[0]}" in name]
