"""Distances and measures in a session, one by one against their definitions; what is too little is said."""

import numpy as np
import pytest
import xarray as xr

import protoviz
from protoviz.errors import StudyError
from protoviz.store import schema

SPACE = {"embedder": "pixels", "distance": "mse"}


def pictures(made, condition, repeat, epoch, masked):
    """Live prototypes of the layer `block`, in 0-1, (units, values)."""
    at = {"condition": condition, "run": 1, "repeat": repeat, "epoch": epoch}
    cube = made.cube.sel(at).sel(layer="block")
    images = cube.image.values / 255
    if masked:
        images = (
            images
            * made.field.mask.sel(condition=condition, run=1, epoch=epoch, layer="block").values[..., None]
        )
    return images.reshape(len(images), -1), cube.status.values == schema.Status.CONVERGED


@pytest.mark.parametrize("masked", [True, False])
def test_diversity_is_the_mean_distance_of_pairs(made, masked):
    masking = "masked" if masked else "unmasked"
    for condition in ("blue", "red"):
        for epoch in (0, 3):
            images, live = pictures(made, condition, 1, epoch, masked)
            images = images[live]
            pairs = [((a - b) ** 2).mean() for i, a in enumerate(images) for b in images[:i]]
            at = {"condition": condition, "run": 1, "repeat": 1, "epoch": epoch, "layer": "block"}
            found = made.measures.diversity.sel({**SPACE, **at, "masking": masking})
            assert found.item() == pytest.approx(np.mean(pairs) if pairs else np.nan, rel=1e-5, nan_ok=True)


def test_rate_of_change_and_distance_between_repeats(made):
    first, live = pictures(made, "red", 0, 1, True)
    last, also = pictures(made, "red", 0, 3, True)
    apart = ((first - last) ** 2).mean(1)[live & also]
    at = {**SPACE, "masking": "masked", "condition": "red", "run": 1, "layer": "block"}
    found = made.measures.rate_of_change.sel(at).sel(repeat=0).isel(step=1)
    assert (found.epoch_from, found.epoch_to) == (1, 3)
    assert found.item() == pytest.approx(apart.mean(), rel=1e-5)
    other, too = pictures(made, "red", 1, 3, True)
    between = made.measures.between_repeats.sel(at).sel(epoch=3).item()
    assert between == pytest.approx(((last - other) ** 2).mean(1)[also & too].mean(), rel=1e-5)
    diversity = made.measures.diversity.sel(at).sel(epoch=3).mean("repeat").item()
    assert made.measures.consistency.sel(at).sel(epoch=3).item() == pytest.approx(1 - between / diversity)


def test_everything_is_there_where_it_can_be(made):
    wanted = {"diversity", "rate_of_change", "between_repeats", "consistency", "learning", "settling_epoch"}
    assert wanted <= set(made.measures.data_vars)
    assert {"saturation", "warmth", "high_frequency"} <= set(made.measures.data_vars)
    assert made.measures.diversity.sizes["layer"] == 2
    assert made.measures.sizes["condition"] == 2


def test_networks_do_not_depend_on_each_other(made):
    for name, cube, field in zip(("blue", "red"), made.cubes, made.fields, strict=True):
        alone = protoviz.measures(cube, protoviz.distances(cube, field), field)
        xr.testing.assert_equal(alone, made.measures.sel(condition=[name]))


def test_without_receptive_fields_nothing_is_masked(made):
    found = protoviz.distances(made.cube)
    assert found.masking.values.tolist() == ["unmasked"]
    expected = made.distances.sel(masking=["unmasked"])
    for name in found.data_vars:
        np.testing.assert_array_equal(found[name], expected[name])
    measures = protoviz.measures(made.cube)
    assert "saturation" not in measures
    assert "saturation: no receptive fields were given" in measures.attrs["absent"]


def test_one_of_everything(made):
    one = made.cubes[0].isel(repeat=[0], epoch=[2])
    measures = protoviz.measures(one)
    assert {"diversity", "live_units", "units"} == set(measures.data_vars)
    for part in (
        "consistency: each prototype was made once",
        "rate_of_change: one epoch",
        "settling_epoch: fewer than three epochs",
    ):
        assert part in measures.attrs["absent"]
    alone = one.isel(unit=[0])
    assert "diversity: no layer has two live units" in protoviz.measures(alone).attrs["absent"]


def test_one_repeat_still_settles(made):
    measures = protoviz.measures(made.cube.isel(repeat=[1]))
    assert "settling_epoch" in measures
    assert not {"consistency", "learning", "between_repeats"} & set(measures.data_vars)


def test_a_space_of_one_s_own(made):
    def brightness(images, mask=None):
        shown = images / 255 if mask is None else images / 255 * mask[..., None]
        return shown.mean((1, 2)).astype(np.float32)

    found = protoviz.distances(made.cubes[0], made.fields[0], {"colour": brightness})
    assert found.embedder.values.tolist() == ["colour"]
    assert protoviz.measures(made.cubes[0], found).diversity.sel(embedder="colour").notnull().any()


def test_a_cube_from_a_store_gives_the_same(made, tmp_path):
    """With the index of its units or without, in memory or on disk."""
    protoviz.save(made.cube, tmp_path / "cube.zarr")
    plain = xr.open_zarr(tmp_path / "cube.zarr", chunks=None)
    indexed = plain.set_xindex(["layer", "channel"])
    for cube in (plain, indexed):
        xr.testing.assert_equal(protoviz.distances(cube, made.field), made.distances)


REFUSED = {
    "embedder": ({"embedders": "pixel"}, "embedder 'pixel'.*did you mean 'pixels'"),
    "twice": ({"embedders": ["pixels", "pixels"]}, "embedders: expected names, no two alike"),
    "reference": ({"embedders": ["reference"]}, "encoder: expected the file of the reference encoder"),
}


@pytest.mark.parametrize(("wrong", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_wrong_is_refused(made, wrong, message):
    with pytest.raises(StudyError, match=message):
        protoviz.distances(made.cubes[0], **wrong)


def test_what_does_not_belong_together_is_refused(made):
    blue, red = made.cubes
    with pytest.raises(StudyError, match="receptive_fields: expected those of red run 1, found blue run 1"):
        protoviz.distances(red, made.fields[0])
    with pytest.raises(StudyError, match="mask of blue run 1 epoch 0"):
        protoviz.distances(blue, made.fields[0].isel(epoch=[1]))
    with pytest.raises(StudyError, match=r"distances: epoch: expected those of the cube, found \[0, 1, 3\]"):
        protoviz.measures(blue.isel(epoch=[0]), made.distances.sel(condition=["blue"]))
    with pytest.raises(StudyError, match=r"cube: expected image along .*, found no epoch; select with lists"):
        protoviz.measures(blue.isel(epoch=0))
    with pytest.raises(StudyError, match="cube: expected a variable image"):
        protoviz.distances(made.distances)
    with pytest.raises(StudyError, match=r"cube: expected an xarray.Dataset, found DataArray"):
        protoviz.distances(blue.image)


def test_a_gap_is_refused(made):
    cube = made.cubes[0].copy(deep=True)
    cube.status[0, 0, 1, 2, 3] = schema.Status.MISSING
    with pytest.raises(StudyError, match="blue run 1 repeat 1 epoch 3 block channel 5"):
        protoviz.distances(cube)


def test_what_does_not_join_is_refused(made):
    blue, red = made.cubes
    for parts, message in (
        ((blue, blue), "expected each network once, found blue run 1 twice"),
        ((blue, red.assign_coords(run=[2])), "every condition with every run, found no blue run 2"),
        ((blue, red.isel(epoch=[0, 1])), "expected the same epochs"),
        ((), "expected at least one"),
    ):
        with pytest.raises(StudyError, match=message):
            protoviz.join(*parts)
