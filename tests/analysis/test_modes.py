"""How many images drive a unit: clusters of starts against their definition, planted modes, the null."""

import numpy as np
import pytest

from protoviz.analysis import modes
from protoviz.analysis.modes import Rule
from tests.reference import modes as slow

RULE = Rule(0.8, 0.95, "single")


def starts(counts, starts=8, dims=20, noise=0.1, seed=0, spread=0.0):
    """Images (K + 1, U, D) of units of so many modes each, apart by about 2, with noise; the twin is last."""
    rng = np.random.default_rng(seed)
    units = len(counts)
    centres = rng.normal(size=(max(counts), units, dims))
    which = np.array([rng.permutation(np.arange(starts) % count) for count in counts]).T
    which = np.concatenate([which, which[:1]])
    size = noise * np.exp(spread * rng.normal(size=(1, units, 1)))
    vectors = np.take_along_axis(centres, which[:, :, None], 0) + size * rng.normal(
        size=(starts + 1, units, dims)
    )
    return vectors.astype(np.float32)


def counted(vectors, rule=RULE, activation=None, live=None):
    shape = vectors.shape[:2]
    activation = np.ones(shape) if activation is None else activation
    return modes.count(vectors, activation, np.ones(shape, bool) if live is None else live, rule)


@pytest.mark.parametrize("linkage", ["single", "average", "complete"])
def test_counts_are_those_of_the_definition(linkage):
    rng = np.random.default_rng(3)
    vectors = rng.normal(size=(7, 12, 4)).astype(np.float32)
    activation = rng.uniform(0.5, 1.0, size=(7, 12))
    live = rng.random((7, 12)) < 0.9
    vectors[-1] = vectors[0] + 0.7 * rng.normal(size=(12, 4)).astype(np.float32)
    rule = Rule(0.7, 0.6, linkage)
    found = counted(vectors, rule, activation, live)
    limit = slow.threshold(vectors, activation, live, rule.share, rule.confidence)
    assert found.threshold == pytest.approx(limit, rel=1e-5)
    several = 0
    for unit in range(12):
        best = max(activation[k, unit] for k in range(6) if live[k, unit])
        rows = [k for k in range(6) if live[k, unit] and activation[k, unit] >= rule.share * best]
        groups = slow.clusters(vectors[rows, unit], limit, linkage)
        labels = found.mode_of_start[unit, rows]
        assert {frozenset(np.flatnonzero(labels == one)) for one in set(labels)} == groups
        assert found.modes[unit] == len(groups)
        assert found.reaching[unit] == len(rows)
        assert (np.delete(found.mode_of_start[unit], rows) == modes.NONE).all()
        if len(rows) > 1:
            several += 1
            assert found.meeting[unit] == pytest.approx(slow.meeting(labels.tolist()), rel=1e-5)
            pairs = [slow.mse(vectors[a, unit], vectors[b, unit]) for a in rows for b in rows if a < b]
            alive = np.flatnonzero(live[0])
            units = [slow.mse(vectors[0, a], vectors[0, b]) for a in alive for b in alive if a < b]
            assert found.spread[unit] == pytest.approx(np.mean(pairs) / np.mean(units), rel=1e-5)
        for mode, start in enumerate(found.medoids[unit]):
            members = [rows[k] for k in np.flatnonzero(labels == mode)]
            sums = {k: sum(slow.mse(vectors[k, unit], vectors[j, unit]) for j in members) for k in members}
            assert start in members
            assert sums[start] == pytest.approx(min(sums.values()), rel=1e-5)
    assert several > 8


def test_planted_modes_are_found():
    planted = np.array([1, 2, 5] * 40)
    found = counted(starts(planted.tolist()))
    assert (found.modes == planted).mean() >= 0.98
    assert (found.modes[planted == 1] == 1).all()
    sizes = [np.bincount(row).tolist() for row in found.mode_of_start]
    assert all(one == sorted(one, reverse=True) for one in sizes)  # the mode of most starts first
    assert (found.meeting[planted == 1] == 1).all()
    assert (found.spread[planted == 1] < 0.1).all()


@pytest.mark.parametrize(("dims", "spread"), [(2, 0.0), (20, 0.0), (200, 0.0), (20, 0.3), (20, 1.0)])
def test_of_one_mode_and_the_noise_of_twins_one_is_found(dims, spread):
    """In at least 95 % of units; units whose noise differs much are the hard case."""
    found = counted(starts([1] * 2000, dims=dims, spread=spread))
    assert (found.modes == 1).mean() >= RULE.confidence


def test_twins_that_end_in_another_mode_are_no_noise():
    """Of a fifth of the units they do; a quantile of their distances would make one mode of all."""
    planted = [1, 2, 5] * 40
    vectors = starts(planted)
    rng = np.random.default_rng(1)
    vectors[-1, ::5] = rng.normal(size=(24, 20))
    assert (counted(vectors).modes == planted).mean() >= 0.95


def test_a_chance_of_meeting_does_not_depend_on_the_number_of_starts():
    """Unbiased for a unit of three modes to which shares of .5, .3, .2 lead, from 3 starts as from 30."""
    rng = np.random.default_rng(0)
    truth = 0.5**2 + 0.3**2 + 0.2**2
    for number in (2, 3, 8, 30):
        draws = rng.choice(3, p=[0.5, 0.3, 0.2], size=(4000, number))
        assert np.mean([modes.chance_of_meeting(one) for one in draws]) == pytest.approx(truth, abs=0.03)


def test_equal_modes_stand_by_their_best_activation():
    labels = modes.ordered(np.array([7, 3, 3, 7, 5]), np.array([0.2, 0.1, 0.9, 0.3, 2.0]))
    assert labels.tolist() == [1, 0, 0, 1, 2]


def test_one_start_shows_one_mode_at_most():
    found = counted(starts([1, 1, 1], starts=1))
    assert found.modes.tolist() == [1, 1, 1]
    assert found.reaching.tolist() == [1, 1, 1]
    assert np.isnan(found.meeting).all()
    assert np.isnan(found.spread).all()
    assert np.isfinite(found.threshold)


def test_a_unit_that_nothing_drives_has_no_mode():
    vectors = starts([2, 2, 2])
    live = np.ones(vectors.shape[:2], bool)
    live[:, 1] = False
    activation = np.ones(vectors.shape[:2])
    activation[:, 1] = -1.0
    found = counted(vectors, activation=activation, live=live)
    assert found.modes.tolist() == [2, 0, 2]
    assert found.reaching.tolist() == [8, 0, 8]
    assert np.isnan(found.spread[1])
    assert np.isnan(found.meeting[1])
    assert np.isnan(found.noise[1])
    assert (found.mode_of_start[1] == modes.NONE).all()
    assert found.medoids[1] == []
    nothing = counted(vectors, activation=-activation, live=np.zeros_like(live))
    assert nothing.modes.tolist() == [0, 0, 0]
    assert np.isnan(nothing.threshold)


def test_without_a_twin_that_reaches_nothing_tells_images_apart():
    vectors = starts([5, 2])
    live = np.ones(vectors.shape[:2], bool)
    live[-1] = False
    found = counted(vectors, live=live)
    assert np.isnan(found.threshold)
    assert found.modes.tolist() == [1, 1]


def test_starts_that_drive_the_unit_little_are_left_out():
    vectors = starts([5])
    activation = np.full((9, 1), 1.0)
    activation[2:8] = 0.79
    found = counted(vectors, activation=activation)
    assert found.reaching.tolist() == [2]
    assert found.modes[0] <= 2
