"""Modes in a session: planted ones are found, their store is one of its kind, the page shows them."""

import json

import numpy as np
import pytest

import protoviz
from protoviz.errors import StudyError
from protoviz.store import schema_modes, validation
from tests.reference.modes import Templates

SIZE, COUNTS = 6, [1, 2, 5] * 3
OPTIONS = {"mean": (0.5,) * 3, "std": (0.5,) * 3, "device": "cpu"}
RECIPE = {
    "start": {"pool": 0, "top": 1, "sigma": 0.01},
    "transforms": {"jitter": 0.0, "scale": (1, 1), "rotation": 0},
    "ascent": {"steps": 32, "lr": 0.3, "longest": None, "damping": 0.3},
    "repeats": 1,
}


@pytest.fixture(scope="module")
def made():
    network = Templates(COUNTS, SIZE)
    cube = protoviz.synthesize(network, "best", size=SIZE, prior="pixels", **RECIPE, **OPTIONS)
    return network, cube, protoviz.modes(network, cube, restarts=24, jitter=0.25, **OPTIONS)


def test_planted_modes_are_found(made):
    _, _, found = made
    assert (found.modes.values.ravel() == COUNTS).mean() >= 0.8
    assert (found.modes.values.ravel() <= COUNTS).all()
    one = found.sel(layer="best", channel=0) if "unit" in found.indexes else found.isel(unit=0)
    assert one.modes.item() == 1
    assert one.meeting.item() == 1


def test_it_is_a_store_of_its_kind(made, tmp_path):
    protoviz.save(made[2], tmp_path / "modes.zarr")
    assert validation.problems(tmp_path / "modes.zarr", schema_modes.MODES) == []


def test_the_page_shows_them(made, tmp_path):
    _, cube, found = made
    page = protoviz.atlas(cube, tmp_path / "atlas", modes=found, quality="lossless")
    assert len(list((page.parent / "modes").rglob("*.webp"))) == len(COUNTS)
    text = (page.parent / "data" / "units" / "model-0" / "best.js").read_text()
    known = json.loads(text[text.index(",") + 1 : text.rindex(")")])["modes"]
    assert [one["count"] for one in known] == found.modes.values.ravel().tolist()


def test_a_function_of_ones_own_is_a_space(made):
    network, cube, _ = made
    spaces = {"mean colour": lambda images, _: images.mean((1, 2)).astype(np.float32)}
    found = protoviz.modes(network, cube, restarts=2, embedder=spaces, **OPTIONS)
    assert (found.modes <= 2).all()
    pushed = protoviz.modes(network, cube, restarts=2, method="diversity", jitter=0.25, **OPTIONS)
    assert pushed.sizes["start"] == 2


def test_what_cannot_be_is_said(made, tmp_path):
    network, cube, _ = made
    with pytest.raises(StudyError, match="expected to know how it was made"):
        protoviz.modes(network, cube.assign_attrs(synthesis=""), **OPTIONS)
    other = protoviz.join(cube, cube.assign_coords(run=[1]))
    with pytest.raises(StudyError, match="one condition and one run"):
        protoviz.modes(network, other, **OPTIONS)
    (tmp_path / "some.pt").touch()
    with pytest.raises(StudyError, match="expected one of epoch 0"):
        protoviz.modes(network, cube, {3: tmp_path / "some.pt"}, **OPTIONS)
