"""Distances: against literal loops, closed forms, invariances, and stores with something wrong in them."""

import numpy as np
import pytest
import xarray as xr

from protoviz import schema, stores
from protoviz.distances import POINTS, between, distances, mean_between_repeats, mean_to_others
from protoviz.errors import StudyError
from tests.reference import distances as oracle

BOTH = pytest.mark.parametrize("distance", list(POINTS))


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@BOTH
def test_mean_to_others_is_the_loop_over_pairs(distance, rng):
    # A large common part, as features have one: what is computed by differences must not lose digits.
    vectors = (100 + 0.01 * rng.normal(size=(9, 40))).astype(np.float32)
    live = np.array([1, 1, 0, 1, 1, 1, 0, 1, 1], dtype=bool)
    expected = oracle.mean_to_others(distance, vectors, live)
    found = mean_to_others(POINTS[distance](vectors), live)
    np.testing.assert_allclose(found, expected, rtol=1e-5, equal_nan=True)
    assert np.isnan(found[~live]).all()
    assert np.isfinite(found[live]).all()


@BOTH
def test_mean_between_repeats_is_the_loop_over_pairs(distance, rng):
    vectors = rng.normal(size=(3, 6, 12)).astype(np.float32)
    live = rng.random((3, 6)) < 0.7
    live[:, 0] = [True, False, False]
    expected = oracle.mean_between_repeats(distance, vectors, live)
    assert np.isnan(expected).any()
    assert np.isfinite(expected).any()
    found = mean_between_repeats(POINTS[distance](vectors), live)
    np.testing.assert_allclose(found, expected, rtol=1e-5, equal_nan=True)


def test_mean_pairwise_mse_is_twice_the_variance(rng):
    vectors = rng.normal(size=(50, 30)).astype(np.float32)
    found = mean_to_others(POINTS["mse"](vectors), np.ones(50, bool)).mean()
    variance = vectors.astype(np.float64).var(0).mean()
    assert found == pytest.approx(2 * variance * 50 / 49, rel=1e-12)


def test_cosine_distance_of_orthogonal_and_opposite_vectors():
    rows = POINTS["cosine"](np.array([[2, 0], [0, 5], [-1, 0]], np.float32))
    assert between(rows[0], rows[1]) == pytest.approx(1, rel=1e-15)
    assert between(rows[0], rows[2]) == pytest.approx(2, rel=1e-15)


def test_cosine_distance_does_not_know_length(rng):
    a, b = rng.normal(size=(2, 20)).astype(np.float32)
    near, far = (
        between(POINTS["cosine"](a), POINTS["cosine"](scale * b)) for scale in (1, np.float32(1e-20))
    )
    assert near == pytest.approx(far, rel=1e-6)


def test_zero_vector_is_at_cosine_distance_one_from_others_and_zero_from_itself():
    rows = POINTS["cosine"](np.array([[0, 0], [3, 4], [0, 0]], np.float32))
    assert between(rows[0], rows[1]) == pytest.approx(1, rel=1e-15)
    assert between(rows[0], rows[2]) == 0


@BOTH
def test_identical_vectors_are_at_distance_exactly_zero(distance, rng):
    row = rng.normal(size=37).astype(np.float32)
    points = POINTS[distance](np.stack([row] * 5))
    assert (mean_to_others(points, np.ones(5, bool)) == 0).all()
    assert between(points[0], points[1]) == 0


@BOTH
def test_distance_is_symmetric(distance, rng):
    a, b = POINTS[distance](rng.normal(size=(2, 8, 10)).astype(np.float32))
    np.testing.assert_array_equal(between(a, b), between(b, a))


@BOTH
def test_order_of_units_does_not_matter(distance, rng):
    vectors = rng.normal(size=(12, 20)).astype(np.float32)
    live = rng.random(12) < 0.8
    order = rng.permutation(12)
    straight = mean_to_others(POINTS[distance](vectors), live)
    shuffled = mean_to_others(POINTS[distance](vectors[order]), live[order])
    np.testing.assert_allclose(shuffled, straight[order], rtol=1e-12, equal_nan=True)


@BOTH
@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_live_units_have_no_diversity(distance, count, rng):
    live = np.arange(4) < count
    assert np.isnan(mean_to_others(POINTS[distance](rng.normal(size=(4, 3)).astype(np.float32)), live)).all()


def test_points_leave_the_vectors_alone(rng):
    vectors = rng.normal(size=(4, 3)).astype(np.float32)
    before = vectors.copy()
    for points in POINTS.values():
        mean_to_others(points(vectors), np.ones(4, bool))
    np.testing.assert_array_equal(vectors, before)


def test_layers_lie_where_their_units_stand():
    assert schema.layer_slices(np.array(["a", "a", "b"])) == {"a": slice(0, 2), "b": slice(2, 3)}


# The store

LAYERS = {"layer1": 3, "layer2": 4}
SIZE = 6


def toy(repeats=2, epochs=(0, 1, 4), layers=LAYERS, seed=0):
    """Prototypes of random pixels and random masks of one network."""
    rng = np.random.default_rng(seed)
    names, channels = schema.unit_labels(layers)
    shape = (1, 1, repeats, len(epochs), len(names))
    axes = {
        "condition": np.array(["clrjit"], dtype=schema.TEXT),
        "run": [1],
        "epoch": list(epochs),
    }
    image = rng.integers(0, 256, (*shape, SIZE, SIZE, 3), dtype=np.uint8)
    cube = xr.Dataset(
        {
            "image": (schema.CUBE["image"].dims, image),
            "status": (schema.CUBE["status"].dims, np.full(shape, schema.Status.CONVERGED, np.uint8)),
        },
        {**axes, "repeat": np.arange(repeats), "layer": ("unit", names), "channel": ("unit", channels)},
    )
    mask = rng.random((1, 1, len(epochs), len(layers), SIZE, SIZE), dtype=np.float32)
    masks = xr.Dataset(
        {"mask": (schema.RECEPTIVE_FIELDS["mask"].dims, mask)},
        {**axes, "layer": np.array(list(layers), dtype=schema.TEXT)},
    )
    return cube, masks


class Thumbnail:
    """An embedder that remembers how many images it saw and how many at once."""

    def __init__(self):
        self.calls = []

    def __call__(self, images):
        self.calls.append(len(images))
        assert images.dtype == np.float32
        assert images.min() >= 0
        assert images.max() <= 1
        return images[:, ::2, ::2].reshape(len(images), -1)


def test_store_holds_the_loops_over_units_epochs_and_repeats():
    cube, masks = toy()
    cube.status.values[0, 0, 1, 1, 2] = schema.Status.DEAD  # repeat 1, epoch 1, layer1 channel 2
    cube.status.values[0, 0, 0, 2, 5] = schema.Status.DIVERGED
    found = distances(cube, masks, {"thumbnail": Thumbnail()})
    live = cube.status.values[0, 0] == schema.Status.CONVERGED
    layer_of = [0] * 3 + [1] * 4
    for m, masking in enumerate(["masked", "unmasked"]):
        shown = cube.image.values[0, 0].astype(np.float64) / 255
        if masking == "masked":
            shown = shown * masks.mask.values[0, 0].astype(np.float64)[None, :, layer_of, :, :, None]
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
    stores.write_dataset(tmp_path / "a.zarr", found, schema.DISTANCES)
    again = stores.open_dataset(tmp_path / "a.zarr")
    np.testing.assert_array_equal(again.between_units, found.between_units)
    assert list(again.layer.values) == ["layer1"] * 3 + ["layer2"] * 4


def test_every_image_is_embedded_once_for_each_masking():
    cube, masks = toy()
    thumbnail = Thumbnail()
    distances(cube, masks, {"thumbnail": thumbnail})
    assert sum(thumbnail.calls) == 2 * 2 * 3 * 7


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
        StudyError, match=rf"mask of clrjit run 1 epoch \d layer1: expected a mask of 6 x 6.*{found}"
    ):
        distances(cube, damage(masks), {"thumbnail": Thumbnail()})


def test_embedder_that_overflows_is_named():
    cube, masks = toy()
    with pytest.raises(
        StudyError, match="embedder 'broken', epoch 0, layer1, masked: expected finite vectors"
    ):
        distances(cube, masks, {"broken": lambda images: np.full((len(images), 2), np.inf, np.float32)})
