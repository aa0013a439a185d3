"""Distances between points: against literal loops, closed forms, invariances, in blocks of any size."""

import numpy as np
import pytest

from protoviz.analysis import pairwise as kernels
from protoviz.analysis.pairwise import (
    POINTS,
    PointsOf,
    between,
    mean_between_repeats,
    mean_to_others,
    paired,
    pairwise,
)
from protoviz.store import schema
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
    found = mean_between_repeats([POINTS[distance](each) for each in vectors], live)
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


# The whole matrix

BLOCKS = pytest.mark.parametrize("rows", [1, 3, 1000])


@pytest.fixture
def blocks(monkeypatch, rows):
    """Blocks of so many rows of forty numbers."""
    monkeypatch.setattr(kernels, "BLOCK", rows * 8 * 41)


@BOTH
@BLOCKS
@pytest.mark.usefixtures("blocks")
def test_matrix_is_the_loop_over_pairs(distance, rng):
    vectors = (100 + 0.01 * rng.normal(size=(11, 40))).astype(np.float32)
    vectors[4] = vectors[9]
    vectors[7] = np.nextafter(vectors[2], np.float32(np.inf))
    live = np.array([1, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1], dtype=bool)
    found = pairwise(PointsOf(vectors, distance), live)
    expected = np.array([[oracle.DISTANCES[distance](a, b) for b in vectors] for a in vectors])
    expected[~live] = expected[:, ~live] = np.nan
    # The oracle's cosine subtracts a number near 1 from 1: its own error is some 1e-16.
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-15, equal_nan=True)
    np.testing.assert_array_equal(found, found.T)
    assert (np.diag(found)[live] == 0).all()
    assert found[4, 9] == 0
    assert found[2, 7] > 0


@BOTH
@BLOCKS
@pytest.mark.usefixtures("blocks")
def test_mean_of_the_matrix_is_the_mean_to_others(distance, rng):
    vectors = rng.normal(size=(10, 40)).astype(np.float32)
    live = rng.random(10) < 0.7
    points = PointsOf(vectors, distance)
    of_matrix = np.nansum(pairwise(points, live), axis=1)[live] / (live.sum() - 1)
    np.testing.assert_allclose(mean_to_others(points, live)[live], of_matrix, rtol=1e-10)
    np.testing.assert_allclose(mean_to_others(POINTS[distance](vectors), live)[live], of_matrix, rtol=1e-10)


@BLOCKS
@pytest.mark.usefixtures("blocks")
def test_far_apart_and_close_together_at_once(rng):
    """Two clusters, far narrower than they are apart: products alone would lose their widths."""
    centres = np.repeat([[0.0], [1e4]], 4, axis=0) * np.ones(40)
    points = centres + 1e-5 * rng.normal(size=(8, 40))
    expected = ((points[:, None] - points) ** 2).sum(-1)
    np.testing.assert_allclose(pairwise(points), expected, rtol=1e-5)
    assert 0 < expected[:4, :4].max() < 1e-6 * expected[0, 7]


@pytest.mark.parametrize("live", [np.zeros(3, bool), np.array([0, 1, 0], bool)])
def test_matrix_of_none_or_one(live, rng):
    found = pairwise(rng.normal(size=(3, 5)), live)
    assert np.isnan(found).sum() == 9 - live.sum()
    assert np.nansum(found) == 0


def test_no_units_at_all():
    nothing = np.empty((0, 4))
    assert pairwise(nothing).shape == (0, 0)
    assert paired(nothing, nothing).shape == (0,)


@BOTH
@BLOCKS
@pytest.mark.usefixtures("blocks")
def test_pairs_in_blocks(distance, rng):
    a, b = rng.normal(size=(2, 7, 40)).astype(np.float32)
    found = paired(PointsOf(a, distance), PointsOf(b, distance))
    expected = [oracle.DISTANCES[distance](x, y) for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


class Counting:
    """Vectors that are read block by block and remember the largest."""

    def __init__(self, vectors):
        self.vectors, self.largest, self.read = vectors, 0, 0

    def __len__(self):
        return len(self.vectors)

    def __getitem__(self, rows):
        found = self.vectors[rows]
        self.largest, self.read = max(self.largest, len(found)), self.read + len(found)
        return found


def test_no_more_than_a_block_is_read_at_once(monkeypatch, rng):
    monkeypatch.setattr(kernels, "BLOCK", 4 * 8 * 41)
    rows = Counting(rng.normal(size=(30, 40)).astype(np.float32))
    points = PointsOf(rows, "cosine")
    mean_to_others(points, np.ones(30, bool))
    mean_between_repeats([points, points], np.ones((2, 30), bool))
    pairwise(points)
    assert rows.largest == 4


def test_what_fits_into_a_block_is_read_once(rng):
    rows = Counting(rng.normal(size=(30, 40)).astype(np.float32))
    points = PointsOf(rows, "cosine")
    before = rows.read
    mean_to_others(points, np.ones(30, bool))
    pairwise(points)
    assert before >= 30
    assert rows.read == before
