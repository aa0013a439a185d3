"""Silhouette, energy distance and AUC against literal sums, and against what chance gives."""

import itertools

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score, silhouette_score

from protoviz.analysis.findings import separation

UNITS = 24
STRATA = np.repeat(np.arange(6), 4)


def points(shift=0.0, seed=0, units=UNITS):
    """Units at two states: a part that stays, a part that is new, and a shift."""
    rng = np.random.default_rng(seed)
    own = rng.standard_normal((units, 5))
    return np.concatenate(
        [own + rng.standard_normal((units, 5)), own + rng.standard_normal((units, 5)) + shift]
    )


def compared(of, strata=STRATA, **changes):
    how = {"voters": 5, "permutations": 99, "resamples": 50, "rng": np.random.default_rng(1)} | changes
    return separation.difference(separation.pairwise(of), strata, **how)


def test_distances_are_those_of_every_pair():
    of = points()
    found = separation.pairwise(of)
    for i, j in itertools.product(range(len(of)), repeat=2):
        assert found[i, j] == pytest.approx(np.linalg.norm(of[i] - of[j]), abs=1e-7)
    far = separation.pairwise(of.astype(np.float32) + 1000)
    np.testing.assert_allclose(far, found, atol=1e-3)


def test_silhouette_is_that_of_scikit_learn():
    of, labels = points(), np.repeat([0, 1, 2, 3, 4], [10, 10, 10, 17, 1])
    distances = separation.pairwise(of)
    expected = silhouette_score(distances, labels, metric="precomputed")
    assert separation.silhouette(distances, labels) == pytest.approx(expected, rel=1e-9)


def test_silhouette_of_separate_groups_is_one_and_of_swapped_ones_is_minus_one():
    of = np.array([[0.0], [0.0], [9.0], [9.0]])
    distances = separation.pairwise(of)
    assert separation.silhouette(distances, np.array([0, 0, 1, 1])) == 1
    assert separation.silhouette(distances, np.array([0, 1, 0, 1])) == pytest.approx(-0.5)


def test_clusters_are_told_from_chance():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(8), 4)
    grouped = rng.standard_normal((8, 5))[labels] + 0.3 * rng.standard_normal((32, 5))
    found = separation.clustering(separation.pairwise(grouped), labels, 99, rng)
    assert found.p == 0.01
    assert found.value > 0.3 > found.expected
    without = separation.clustering(separation.pairwise(points()), np.repeat(np.arange(12), 4), 99, rng)
    assert without.p > 0.05
    assert np.isnan(without.low)


def energy_by_loops(of):
    first, second = of[:UNITS], of[UNITS:]
    across = inside = 0.0
    for i, j in itertools.permutations(range(UNITS), 2):
        across += np.linalg.norm(first[i] - second[j])
        inside += np.linalg.norm(first[i] - first[j]) + np.linalg.norm(second[i] - second[j])
    return (2 * across - inside) / (2 * across)


@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_energy_distance_is_the_sum_over_pairs_of_different_units(shift):
    of = points(shift)
    assert compared(of)["energy"].value == pytest.approx(energy_by_loops(of), abs=1e-12)


@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_auc_is_that_of_the_votes_of_neighbours(shift):
    of = points(shift)
    votes = []
    for i in range(2 * UNITS):
        others = [j for j in range(2 * UNITS) if j % UNITS != i % UNITS]
        nearest = sorted(others, key=lambda j, i=i: np.linalg.norm(of[i] - of[j]))[:5]
        votes.append(sum(j >= UNITS for j in nearest))
    expected = roc_auc_score(np.repeat([0, 1], UNITS), votes)
    assert compared(of)["auc"].value == pytest.approx(expected)


def test_a_shift_is_found():
    found = compared(points(1.0))
    for name, estimate in found.items():
        assert estimate.p == 0.01, name
        assert estimate.low > estimate.expected, name
        assert estimate.low < estimate.value < estimate.high or name == "auc"


def test_without_a_difference_p_is_uniform_and_the_estimate_without_bias():
    found = [compared(points(seed=seed), permutations=19, resamples=20) for seed in range(60)]
    for name, centre in (("energy", 0.0), ("auc", 0.5)):
        ps = np.array([each[name].p for each in found])
        values = np.array([each[name].value for each in found])
        assert 0.3 < ps.mean() < 0.7
        assert (ps <= 0.05).mean() < 0.15
        assert abs(values.mean() - centre) < 3 * values.std() / np.sqrt(len(values))


def test_the_same_unit_at_two_states_is_no_evidence():
    """Identical states: without leaving the own unit out, every point would have its twin beside it."""
    own = points()[:UNITS]
    found = compared(np.concatenate([own, own]))
    assert found["energy"].value == pytest.approx(0, abs=1e-12)
    assert found["energy"].p == 1
    assert found["auc"].low <= 0.5 <= found["auc"].high


def test_units_are_resampled_within_their_layer():
    members = [np.flatnonzero(stratum == STRATA) for stratum in np.unique(STRATA)]
    weights = separation._resampled(members, np.random.default_rng(0))
    assert all(weights[k == STRATA].sum() == 4 for k in range(6))
    assert weights.max() > 1
