"""Maps: repeatable, of the same units, and still where nothing moves."""

import numpy as np
import pytest
import xarray as xr

from protoviz.analysis import umap_maps
from protoviz.analysis.embedders import Setting, pixels
from protoviz.config.finetuning import Umap
from protoviz.errors import StudyError
from protoviz.store import cube, schema, schema_projection, zarr_io
from tests.reference import prototypes as toy

pytestmark = pytest.mark.slow  # UMAP is compiled on its first use
SETTINGS = Umap(neighbours=8, min_dist=0.1, epochs=50, alignment=0.01)


def vectors(epochs=3, units=24, seed=0):
    """Three groups of units, which move a little from epoch to epoch: (1, 1, 1, epochs, units, D)."""
    rng = np.random.default_rng(seed)
    groups = 6 * rng.standard_normal((3, 8))[np.arange(units) % 3]
    drift = 0.3 * rng.standard_normal((epochs, units, 8)).cumsum(0)
    return (groups + rng.standard_normal((units, 8)) + drift).astype(np.float32)[None, None, None]


def test_the_same_vectors_and_seed_give_the_same_map_to_the_bit():
    of = vectors()
    first, again = (umap_maps.together(of, SETTINGS, 3) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert first.shape == (1, 1, 1, 3, 24, 2)
    assert not np.allclose(first, umap_maps.together(of, SETTINGS, 4))
    for one, other in zip(
        umap_maps.by_epoch(of, SETTINGS, 3), umap_maps.by_epoch(of, SETTINGS, 3), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_groups_stay_together():
    places = umap_maps.together(vectors(), SETTINGS, 0)[0, 0, 0].reshape(-1, 2)
    group = np.tile(np.arange(24) % 3, 3)
    middle = np.array([places[group == k].mean(0) for k in range(3)])
    nearest = np.linalg.norm(places[:, None] - middle, axis=2).argmin(1)
    assert (nearest == group).mean() > 0.95


def test_aligned_maps_barely_move_where_the_network_is_frozen():
    """A frozen network at three stages: the vectors of each differ by the chance of the search alone."""
    rng = np.random.default_rng(1)
    frozen = np.repeat(vectors(1), 3, axis=3)
    frozen = frozen + 0.05 * rng.standard_normal(frozen.shape).astype(np.float32)
    alone, aligned = (places[0, 0, 0] for places in umap_maps.by_epoch(frozen, SETTINGS, 0))
    extent = np.linalg.norm(aligned - aligned.mean(1, keepdims=True), axis=2).mean()

    def moved(places):
        return np.linalg.norm(np.diff(places, axis=0), axis=2).mean() / extent

    assert moved(aligned) < 0.25
    assert moved(aligned) < moved(alone) or moved(alone) < 0.05
    moving = umap_maps.by_epoch(vectors(), SETTINGS, 0)[1][0, 0, 0]
    assert moved(aligned) < moved(moving)


def test_dead_prototypes_have_no_place_and_break_no_alignment():
    of = vectors()
    of[0, 0, 0, 1, 5] = np.nan
    of[0, 0, 0, :, 7] = np.nan
    alone, aligned = umap_maps.by_epoch(of, SETTINGS, 0)
    for places in (umap_maps.together(of, SETTINGS, 0), alone, aligned):
        np.testing.assert_array_equal(np.isnan(places).all(-1), np.isnan(of).all(-1))


def test_relations_name_the_rows_of_the_same_unit():
    alive = np.array([[True, False, True, True], [True, True, False, True], [False, True, True, True]])
    assert umap_maps.relations(alive) == [{0: 0, 2: 2}, {1: 0, 2: 2}]


def test_one_epoch_is_its_own_alignment():
    alone, aligned = umap_maps.by_epoch(vectors(1), SETTINGS, 0)
    np.testing.assert_array_equal(alone, aligned)


def test_too_few_prototypes_are_refused():
    with pytest.raises(StudyError, match="at least 4 prototypes that converged, found 3"):
        umap_maps.together(vectors(1, 3), SETTINGS, 0)


def test_maps_of_a_cube_follow_the_schema(tmp_path):
    made = cube.open_cube(toy.write_cube(tmp_path / "cube.zarr"))
    dead = made[schema.STATUS].to_numpy().copy()
    dead[0, 0, 1, 2, 3] = schema.Status.DEAD
    made = made.assign({schema.STATUS: (made[schema.STATUS].dims, dead)})
    embed = pixels(Setting(tmp_path, "cpu", 1, 8))
    of = umap_maps.vectors(made, embed)
    assert of.shape == (1, 1, 2, 3, 12, 6 * 6 * 3)
    np.testing.assert_allclose(
        of[0, 0, 1, 0, 4], made[schema.IMAGE].to_numpy()[0, 0, 1, 0, 4].ravel() / 255, rtol=1e-6
    )
    assert np.isnan(of[0, 0, 1, 2, 3]).all()
    found = umap_maps.maps(made, of, SETTINGS, [0, 5])
    zarr_io.write_dataset(tmp_path / "study.zarr", found, schema_projection.PROJECTION)
    read = xr.open_zarr(tmp_path / "study.zarr", chunks=None).set_xindex(["layer", "channel"])
    assert read.position.sel(repeat=0, epoch=8, layer="layer2", channel=1).shape == (1, 1, 2)
    assert read.seed.values.tolist() == [0, 5]
    np.testing.assert_array_equal(read.position_seeds.sel(seed=0), read.position)
    assert int(np.isnan(read.position_alone).sum()) == 2


def test_epochs_with_too_few_prototypes_have_no_places():
    of = vectors(3)
    of[:, :, :, 1, 3:] = np.nan
    for places in umap_maps.by_epoch(of, SETTINGS, 0):
        there = np.isfinite(places).all(-1)[0, 0, 0]
        assert there[[0, 2]].all()
        assert not there[1].any()


def test_a_cube_without_enough_prototypes_has_a_store_without_places(tmp_path):
    made = cube.open_cube(toy.write_cube(tmp_path / "cube.zarr"))
    found = umap_maps.nowhere(made, [0, 1])
    zarr_io.write_dataset(tmp_path / "map.zarr", found, schema_projection.PROJECTION)
    assert np.isnan(found.position).all()
    assert umap_maps.enough(vectors(1, 4))
    assert not umap_maps.enough(vectors(1, 3))
