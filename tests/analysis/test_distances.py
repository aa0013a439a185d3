"""The distance store: against literal loops, and with something wrong in what it is made from."""

import numpy as np
import pytest
import xarray as xr

from protoviz.analysis.masks import Masks
from protoviz.errors import StudyError
from protoviz.store import schema, zarr_io
from tests.reference import distances as oracle
from tests.reference.distance_store import distances

LAYERS = {"layer1": 3, "layer2": 4}
SIZE = 6


def toy(repeats=2, epochs=(0, 1, 4), layers=LAYERS, seed=0, size=SIZE):
    """Prototypes of random pixels and random masks of one network."""
    rng = np.random.default_rng(seed)
    names, channels = schema.unit_labels(layers)
    shape = (1, 1, repeats, len(epochs), len(names))
    axes = {
        "condition": np.array(["clrjit"], dtype=schema.TEXT),
        "run": [1],
        "epoch": list(epochs),
    }
    image = rng.integers(0, 256, (*shape, size, size, 3), dtype=np.uint8)
    cube = xr.Dataset(
        {
            "image": (schema.CUBE["image"].dims, image),
            "status": (schema.CUBE["status"].dims, np.full(shape, schema.Status.CONVERGED, np.uint8)),
        },
        {**axes, "repeat": np.arange(repeats), "layer": ("unit", names), "channel": ("unit", channels)},
    )
    mask = rng.random((1, 1, len(epochs), len(layers), size, size), dtype=np.float32)
    fixed = rng.random((len(layers), size, size), dtype=np.float32)
    masks = xr.Dataset(
        {
            "mask": (schema.RECEPTIVE_FIELDS["mask"].dims, mask),
            "fixed_mask": (schema.RECEPTIVE_FIELDS["fixed_mask"].dims, fixed),
        },
        {**axes, "layer": np.array(list(layers), dtype=schema.TEXT)},
    )
    return cube, masks


class Thumbnail:
    """An embedder that remembers how many images it saw and how many at once."""

    def __init__(self):
        self.calls = []

    def __call__(self, images, mask=None):
        self.calls.append(len(images))
        assert images.dtype == np.uint8
        shown = images.astype(np.float32) / np.float32(255)
        if mask is not None:
            shown = shown * mask[..., None]
        return shown[:, ::2, ::2].reshape(len(images), -1)


def test_store_holds_the_loops_over_units_epochs_and_repeats():
    cube, masks = toy()
    cube.status.values[0, 0, 1, 1, 2] = schema.Status.DEAD  # repeat 1, epoch 1, layer1 channel 2
    cube.status.values[0, 0, 0, 2, 5] = schema.Status.DIVERGED
    found = distances(cube, masks, {"thumbnail": Thumbnail()})
    live = cube.status.values[0, 0] == schema.Status.CONVERGED
    layer_of = [0] * 3 + [1] * 4
    for m, masking in enumerate(["masked", "fixed", "unmasked"]):
        shown = cube.image.values[0, 0].astype(np.float64) / 255
        if masking == "masked":
            shown = shown * masks.mask.values[0, 0].astype(np.float64)[None, :, layer_of, :, :, None]
        if masking == "fixed":
            shown = shown * masks.fixed_mask.values.astype(np.float64)[layer_of, :, :, None]
        vectors = shown[..., ::2, ::2, :].reshape(2, 3, 7, -1)
        for d, distance in enumerate(["mse", "cosine"]):
            here = found.isel(condition=0, run=0, embedder=0, distance=d, masking=m)
            assert str(here.distance.values) == distance
            assert str(here.masking.values) == masking
            for epoch in range(3):
                for at in (slice(0, 3), slice(3, 7)):
                    for repeat in range(2):
                        np.testing.assert_allclose(
                            here.between_units.values[repeat, epoch, at],
                            oracle.mean_to_others(
                                distance, vectors[repeat, epoch, at], live[repeat, epoch, at]
                            ),
                            rtol=1e-5,
                        )
                    np.testing.assert_allclose(
                        here.between_repeats.values[epoch, at],
                        oracle.mean_between_repeats(distance, vectors[:, epoch, at], live[:, epoch, at]),
                        rtol=1e-5,
                    )
            for step in range(2):
                for repeat, unit in np.ndindex(2, 7):
                    pair = vectors[repeat, step : step + 2, unit]
                    wanted = (
                        oracle.DISTANCES[distance](*pair)
                        if live[repeat, step : step + 2, unit].all()
                        else np.nan
                    )
                    np.testing.assert_allclose(
                        here.between_epochs.values[repeat, step, unit], wanted, rtol=1e-5
                    )
    assert found.epoch_from.values.tolist() == [0, 1]
    assert found.epoch_to.values.tolist() == [1, 4]
    assert found.live_units.values[0, 0].tolist() == [[[3, 4], [3, 4], [3, 3]], [[3, 4], [2, 4], [3, 4]]]
    assert found.between_units.dtype == np.float32


def test_store_follows_the_schema_and_comes_back(tmp_path):
    cube, masks = toy()
    found = distances(cube.set_xindex(["layer", "channel"]), masks, {"thumbnail": Thumbnail()})
    zarr_io.write_dataset(tmp_path / "a.zarr", found, schema.DISTANCES)
    again = zarr_io.open_dataset(tmp_path / "a.zarr")
    np.testing.assert_array_equal(again.between_units, found.between_units)
    assert list(again.layer.values) == ["layer1"] * 3 + ["layer2"] * 4


def test_every_image_is_embedded_once_for_each_masking():
    cube, masks = toy()
    thumbnail = Thumbnail()
    distances(cube, masks, {"thumbnail": thumbnail})
    assert sum(thumbnail.calls) == 3 * 2 * 3 * 7


def test_mask_is_that_of_the_same_epoch_and_layer():
    cube, masks = toy()
    masks.mask.values[:] = 1
    masks.mask.loc[{"epoch": 1, "layer": "layer2"}] = 0
    found = distances(cube, masks, {"thumbnail": Thumbnail()}).isel(
        condition=0, run=0, embedder=0, distance=0
    )
    black = (found.between_units.sel(masking="masked") == 0).all(["repeat"])
    expected = [[epoch == 1 and unit >= 3 for unit in range(7)] for epoch in range(3)]
    assert black.values.tolist() == expected


def test_inputs_are_unchanged():
    cube, masks = toy()
    before = cube.copy(deep=True), masks.copy(deep=True)
    distances(cube, masks, {"thumbnail": Thumbnail()})
    xr.testing.assert_identical(cube, before[0])
    xr.testing.assert_identical(masks, before[1])


def test_one_repeat_one_epoch_and_a_layer_of_one_unit():
    cube, masks = toy(repeats=1, epochs=(0,), layers={"layer1": 1, "layer2": 2})
    found = distances(cube, masks, {"thumbnail": Thumbnail()})
    assert found.sizes["step"] == 0
    assert np.isnan(found.between_repeats).all()
    assert np.isnan(found.between_units.isel(unit=0)).all()
    assert np.isfinite(found.between_units.isel(unit=slice(1, 3))).all()


def test_layer_without_live_units_is_not_a_number_and_counted():
    cube, masks = toy()
    cube.status.values[..., :3] = schema.Status.DEAD
    found = distances(cube, masks, {"thumbnail": Thumbnail()})
    assert np.isnan(found.between_units.isel(unit=slice(0, 3))).all()
    assert np.isfinite(found.between_units.isel(unit=slice(3, 7))).all()
    assert (found.live_units.isel(layer=0) == 0).all()


def test_gap_in_the_cube_is_named():
    cube, masks = toy()
    cube.status.values[0, 0, 1, 2, 4:6] = schema.Status.MISSING
    message = (
        "clrjit run 1 repeat 1 epoch 4 layer2 channel 1: expected a prototype for every unit, .* 2 missing"
    )
    with pytest.raises(StudyError, match=message):
        distances(cube, masks, {"thumbnail": Thumbnail()})


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        (lambda masks: masks.isel(epoch=slice(0, 2)), "found none"),
        (lambda masks: masks.isel(x=slice(0, 5)), "found 6 x 5"),
        (lambda masks: masks * np.nan, "found values that are not finite"),
    ],
)
def test_mask_that_does_not_fit_is_named(damage, found):
    cube, masks = toy()
    with pytest.raises(
        StudyError, match=rf"mask of clrjit run 1 epoch \d layer\d: expected a mask of 6 x 6.*{found}"
    ):
        distances(cube, damage(masks), {"thumbnail": Thumbnail()})


def test_embedder_that_overflows_is_named():
    cube, masks = toy()

    def broken(images, _mask=None):
        return np.full((len(images), 2), np.inf, np.float32)

    message = "embedder 'broken', masked, epoch 0, layer1: expected finite vectors"
    with pytest.raises(StudyError, match=message):
        distances(cube, masks, {"broken": broken})


def test_fixed_mask_knows_no_epoch():
    cube, masks = toy()
    cube.image.values[:] = cube.image.values[:, :, :, :1]  # the same images at every epoch
    found = distances(cube, masks, {"thumbnail": Thumbnail()}).isel(condition=0, run=0, embedder=0)
    changed = {masking: float(found.between_epochs.sel(masking=masking).max()) for masking in schema.MASKINGS}
    assert changed["fixed"] == changed["unmasked"] == 0
    assert changed["masked"] > 0


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        (lambda masks: masks.drop_vars("fixed_mask"), "found none"),
        (
            lambda masks: masks.assign(fixed_mask=masks.fixed_mask * np.nan),
            "found values that are not finite",
        ),
    ],
)
def test_fixed_mask_that_does_not_fit_is_named(damage, found):
    cube, masks = toy()
    with pytest.raises(StudyError, match=f"fixed mask of layer1: expected a mask of 6 x 6.*{found}"):
        distances(cube, damage(masks), {"thumbnail": Thumbnail()})


class TestUnitsWithFieldsOfTheirOwn:
    def fields(self, offset="removed"):
        """The second unit of layer1 sees the left, the third has no field, the rest see the middle."""
        cube, masks = toy(epochs=(0, 1))
        numbers = np.full((1, 1, 2, 7, 7), np.nan, np.float32)
        states = np.full((1, 1, 2, 7), schema.FitStatus.FITTED, np.uint8)
        numbers[...] = [1, 2.5, 2.5, 1, 1, 0, 0.25]
        numbers[..., 1, :] = [1, 0, 2.5, 0.5, 1, 0, 0.25]
        numbers[..., 2, :], states[..., 2] = np.nan, schema.FitStatus.FLAT
        names, channels = schema.unit_labels(LAYERS)
        dims = ("condition", "run", "epoch", "unit")
        masks = masks.assign(unit_gaussian=((*dims, "parameter"), numbers), unit_fit_status=(dims, states))
        masks = masks.assign_coords(unit_layer=("unit", names), channel=("unit", channels))
        return cube, masks.assign_attrs(offset=offset)

    @pytest.mark.parametrize("offset", ["removed", "kept"])
    def test_are_masked_by_them(self, offset):
        cube, masks = self.fields(offset)
        found = Masks(cube, masks)("masked", 1, "layer1")
        y, x = np.indices((6, 6))
        left = np.exp(-(((x - 0) / 0.5) ** 2 + ((y - 2.5) / 1) ** 2) / 2)
        wanted = left / left.max() if offset == "removed" else (0.25 + left) / (0.25 + left).max()
        np.testing.assert_allclose(found[1], wanted, rtol=1e-5)
        assert (found[2] == 1).all()
        assert found.shape == (3, 6, 6)
        assert Masks(cube, masks)("masked", 1, "layer2").shape == (4, 6, 6)

    def test_distances_are_those_of_the_masked_images(self):
        cube, masks = self.fields()
        found = distances(cube, masks, {"thumbnail": Thumbnail()})
        unit_masks = Masks(cube, masks)("masked", 0, "layer1").astype(np.float64)
        shown = cube.image.values[0, 0, 0, 0, :3].astype(np.float64) / 255 * unit_masks[..., None]
        vectors = shown[:, ::2, ::2].reshape(3, -1)
        np.testing.assert_allclose(
            found.between_units.sel(masking="masked", distance="mse", epoch=0).values[0, 0, 0, :3, 0],
            oracle.mean_to_others("mse", vectors, np.ones(3, bool)),
            rtol=1e-5,
        )

    def test_a_field_that_was_not_made_is_named(self):
        cube, masks = self.fields()
        masks.unit_fit_status.values[0, 0, 1, 5] = schema.FitStatus.MISSING
        message = "mask of clrjit run 1 epoch 1 layer2: .*found none of its own for 1 units"
        with pytest.raises(StudyError, match=message):
            distances(cube, masks, {"thumbnail": Thumbnail()})
