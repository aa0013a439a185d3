"""Units matched over runs in a notebook: real prototypes, responses in hand, and what does not fit."""

import json

import numpy as np
import pytest
import xarray as xr

import protoviz
from protoviz.errors import StudyError
from protoviz.store import kinds, schema_matching, validation
from tests.notebook.conftest import EPOCHS, SIZE, network


@pytest.fixture(scope="module")
def natural(made):
    """Responses of "red" are those of "blue", its units in another order within each layer."""
    cube = made.cube.reset_index("unit")
    layers = cube.layer.values
    blue = np.random.default_rng(0).standard_normal((len(EPOCHS), 50, len(layers)))
    red = blue.copy()
    for layer in dict.fromkeys(layers.tolist()):
        at = np.flatnonzero(layers == layer)
        red[..., np.roll(at, 1)] = blue[..., at]
    dims = ("condition", "run", "epoch", "shown", "unit")
    axes = {name: cube[name] for name in ("condition", "run", "epoch", "layer", "channel")}
    return xr.Dataset({"response": (dims, np.stack([blue, red])[:, None])}, axes)


def test_the_same_unit_in_another_network(made, natural, tmp_path):
    found = protoviz.matching(made.cube, natural, made.field)
    assert [str(found[f"{side}_condition"].values[0]) for side in ("first", "second")] == ["blue", "red"]
    channels, layers = found.channel.values, found.unit_layer.values
    for layer in dict.fromkeys(layers.tolist()):
        at = np.flatnonzero(layers == layer)
        assert (found.partner.values[0][:, at] == channels[np.roll(at, 1)]).all()
    assert (found.prototype_partner.values >= -1).all()
    assert "one run" in str(found.attrs["absent"])
    protoviz.save(found, tmp_path / "m.zarr")
    assert kinds.kind_of(tmp_path / "m.zarr") is schema_matching.MATCHING
    assert validation.problems(tmp_path / "m.zarr", schema_matching.MATCHING) == []


def test_prototypes_alone_are_compared_as_distances_do(made):
    found = protoviz.matching(made.cube, epochs=[3])
    assert "by prototypes alone" in str(found.attrs["absent"])
    assert (found.partner == -1).all()
    part = made.cube.sel(epoch=3).reset_index("unit")
    images = part.image.values.astype(float)[:, 0] / 255  # (condition, repeat, unit, ...)
    live = part.status.values[:, 0] == 1
    for unit, partner in enumerate(found.prototype_partner.values[0, 0]):
        if partner < 0:
            continue
        same = (part.layer.values == part.layer.values[unit]) & (part.channel.values == partner)
        other = int(np.flatnonzero(same)[0])
        one, two = (images[k, live[k, :, u], u].mean(0) for k, u in ((0, unit), (1, other)))
        wanted = ((one - two) ** 2).mean()
        np.testing.assert_allclose(found.prototype_distance.values[0, 0, unit], wanted, rtol=1e-4)


def test_the_page_shows_partners(made, natural, tmp_path):
    found = protoviz.matching(made.cube, natural)
    protoviz.atlas(made.cube, tmp_path / "atlas", matching=found)
    text = (tmp_path / "atlas/data/units/blue-1/stem.js").read_text()
    rows = json.loads(text[text.index(",") + 1 : text.rindex(")")])["partners"]
    assert [row[0][1] for row in rows] == [3, 0, 1, 2]
    few = found.isel(unit=[0, 1])
    with pytest.raises(StudyError, match="matching: units"):
        protoviz.atlas(made.cube, tmp_path / "atlas", matching=few)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": [7]}, r"epochs: expected some of 0, 1, 3, found \[7\]"),
        ({"draws": 0}, "draws: expected at least one, found 0"),
        ({"error": 1.0}, "error: expected a number between 0 and 1"),
        ({"embedder": {"a": np.mean, "b": np.mean}}, "embedder: expected one, found 2"),
        ({"natural": xr.Dataset()}, "natural: expected a variable response, found none"),
    ],
)
def test_what_does_not_fit_is_said(made, change, message):
    with pytest.raises(StudyError, match=message):
        protoviz.matching(made.cube, **change)


def test_responses_of_others_are_refused(made, natural):
    with pytest.raises(StudyError, match="natural: units"):
        protoviz.matching(made.cube, natural.isel(unit=[0, 1]))
    with pytest.raises(StudyError, match="natural: expected those of red run 1"):
        protoviz.matching(made.cube, natural.sel(condition=["blue"]))
    with pytest.raises(StudyError, match="natural: epoch: expected those of the cube, found no 1"):
        protoviz.matching(made.cube, natural.sel(epoch=[0, 3]))


def test_responses_that_were_kept_are_those_it_takes(made):
    images = np.random.default_rng(3).integers(0, 256, (12, SIZE, SIZE, 3), dtype=np.uint8)
    kept = [
        protoviz.natural(network(), cube, images, pattern, top=3, compared=0, keep=9)
        for cube, pattern in zip(made.cubes, made.patterns, strict=True)
    ]
    assert kept[0].response.dims[-2:] == ("shown", "unit")
    assert kept[0].sizes["shown"] == 9
    found = protoviz.matching(made.cube, protoviz.join(*kept))
    alive = found.compared_units.values[0] > 0
    assert (found.matched_correlation.values[0, 0][alive[0]] > 0.99).all()  # untrained, they are the same
    assert found.partner.values[0, 0].tolist() == found.channel.values.tolist()
