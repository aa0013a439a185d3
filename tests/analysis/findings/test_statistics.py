"""Statistics: closed forms, exact enumeration by hand, and simulations of no effect and of a planted one."""

import itertools

import numpy as np
import pytest
from scipy import stats

from protoviz.analysis.findings import statistics


def test_draws_hold_the_sample_first_and_as_many_as_it_has():
    counts = statistics.draw_counts(7, "here", 1, draws=500)
    assert counts.shape == (501, 7)
    assert (counts[0] == 1).all()
    assert (counts.sum(1) == 7).all()
    assert counts[1:].mean(0) == pytest.approx(np.ones(7), abs=0.15)
    np.testing.assert_array_equal(counts, statistics.draw_counts(7, "here", 1, draws=500))
    assert (counts != statistics.draw_counts(7, "here", 2, draws=500)).any()


def test_resampled_mean_is_the_mean_of_what_was_drawn():
    rng = np.random.default_rng(0)
    values = rng.random((2, 3, 5))
    values[0, 1, 2] = np.nan
    values[1, 1] = np.nan
    counts = statistics.draw_counts(5, "x", draws=20)
    found = statistics.resampled_mean(values, counts)
    assert found.shape == (21, 2, 3)
    for d, i, j in np.ndindex(found.shape):
        drawn = np.repeat(values[i, j], counts[d].astype(int))
        expected = np.nanmean(drawn) if np.isfinite(drawn).any() else np.nan
        np.testing.assert_allclose(found[d, i, j], expected)


def test_pair_contributions_are_jackknife_pseudo_values():
    rng = np.random.default_rng(1)
    points = rng.normal(size=(6, 3))
    apart = ((points[:, None] - points[None]) ** 2).sum(-1)

    def diversity(chosen):
        return np.mean([apart[i, j] for i, j in itertools.combinations(chosen, 2)])

    whole = diversity(range(6))
    pseudo = [6 * whole - 5 * diversity([k for k in range(6) if k != left]) for left in range(6)]
    means = np.append(apart.sum(1) / 5, np.nan)  # and a dead unit
    found = statistics.pair_contributions(means)
    assert found[:6] == pytest.approx(pseudo)
    assert np.isnan(found[6])
    two = np.array([3.0, 3.0, np.nan])
    np.testing.assert_array_equal(statistics.pair_contributions(two), two)


def test_error_of_diversity_is_that_of_new_samples_of_units():
    rng = np.random.default_rng(2)
    units = 30

    def means():
        points = rng.normal(size=(units, 2))
        return ((points[:, None] - points[None]) ** 2).sum(-1).sum(1) / (units - 1)

    truth = np.std([means().mean() for _ in range(400)])
    errors = []
    for k in range(20):
        counts = statistics.draw_counts(units, "pairs", k, draws=200)
        errors.append(statistics.resampled_mean(statistics.pair_contributions(means()), counts)[1:].std())
    assert np.mean(errors) == pytest.approx(truth, rel=0.15)


def test_error_of_runs_alone_is_the_standard_error():
    runs = np.array([0.1, 0.5, 0.2, 0.9, 0.4])
    values = np.repeat(runs[None], 4001, axis=0)
    found = statistics.interval(values, "runs alone")
    assert found.estimate == pytest.approx(runs.mean())
    assert found.error == pytest.approx(stats.sem(runs), rel=0.05)
    low, high = stats.t.interval(0.95, 4, runs.mean(), found.error)
    assert (found.low, found.high) == pytest.approx((low, high))


def test_units_keep_runs_that_agree_by_chance_from_certainty():
    rng = np.random.default_rng(3)
    drawn = np.concatenate([[[1.0, 1.0]], 1 + rng.normal(size=(2000, 2))])
    found = statistics.interval(drawn, "agree")
    assert found.error == pytest.approx(np.sqrt(0.5), rel=0.05)
    assert found.high - found.low == pytest.approx(
        2 * 1.97 * found.error, rel=0.01
    )  # many degrees of freedom
    same = statistics.interval(np.ones((50, 2)), "agree")
    assert (same.low, same.high) == (1.0, 1.0)


def test_degrees_of_freedom():
    assert statistics.freedom(1.0, 0.0, 3) == 2
    assert statistics.freedom(1.0, 1.0, 3) == 8
    assert statistics.freedom(1e-9, 1.0, 2) == statistics.MANY
    assert statistics.freedom(0.0, 0.0, 4) == 3
    assert statistics.freedom(0.0, 1.0, 4) == statistics.MANY


def test_sign_flip_p_counts_all_exchanges():
    effects = np.array([0.5, 0.2, -0.1])
    sums = [abs(np.dot(signs, effects)) for signs in itertools.product((1, -1), repeat=3)]
    assert statistics.sign_flip_p(effects) == np.mean([value >= 0.6 - 1e-12 for value in sums]) == 0.5
    assert statistics.sign_flip_p(np.array([0.1, 0.2, 0.3])) == 0.25 == statistics.sign_flip_floor(3)
    assert statistics.sign_flip_p(np.array([1.0])) == 1.0 == statistics.sign_flip_floor(1)
    assert statistics.sign_flip_p(np.zeros(4)) == 1.0


def test_sign_flips_beyond_what_can_be_enumerated_are_drawn():
    assert statistics.sign_flip_p(np.ones(20)) < 1e-4
    rng = np.random.default_rng(0)
    effects = rng.normal(size=20)
    normal = 2 * stats.norm.sf(abs(effects.sum()) / np.sqrt((effects**2).sum()))
    assert statistics.sign_flip_p(effects) == pytest.approx(normal, abs=0.02)


def exchanged(one, other):
    """The exact two-sided p of the difference of means, by going through all ways to part the runs."""
    pooled = np.concatenate([one, other])
    parts = [list(chosen) for chosen in itertools.combinations(range(len(pooled)), len(one))]
    differences = [abs(pooled[part].mean() - np.delete(pooled, part).mean()) for part in parts]
    return np.mean(np.array(differences) >= abs(one.mean() - other.mean()) - 1e-9)


@pytest.mark.parametrize(
    ("runs", "paired", "unpaired"), [(1, 1, 1), (2, 0.5, 1 / 3), (3, 0.25, 0.1), (4, 0.125, 2 / 70)]
)
def test_floors_are_the_least_p_that_data_can_have(runs, paired, unpaired):
    effects = np.arange(1.0, runs + 1)
    assert statistics.sign_flip_floor(runs) == pytest.approx(paired)
    assert statistics.sign_flip_p(effects) == pytest.approx(paired)
    assert statistics.permutation_floor(runs, runs) == pytest.approx(unpaired)
    assert exchanged(effects, effects + 100) == pytest.approx(unpaired)
    assert statistics.permutation_floor(2, 3) == exchanged(np.arange(2.0), np.arange(5.0, 8)) == 0.1


def test_sign_flip_test_keeps_its_level_without_an_effect():
    rng = np.random.default_rng(5)
    p = np.array([statistics.sign_flip_p(rng.standard_t(2, 6)) for _ in range(3000)])
    for level in (0.05, 0.1, 0.25, 0.5):
        assert (p <= level).mean() <= level + 0.02
    assert (p <= 0.5).mean() > 0.45


def simulated(studies, runs, effect=0.0, run=1.0, repeat=0.3, unit=1.0):
    """How often the interval of a hierarchical study lies above zero, and below it."""
    rng = np.random.default_rng(runs)
    above = below = 0
    for study in range(studies):
        of_runs = effect + run * rng.normal(size=runs)
        values = (
            of_runs[:, None, None]
            + repeat * rng.normal(size=(runs, 2, 1))
            + unit * rng.normal(size=(runs, 1, 12))
        )
        drawn = []
        for r in range(runs):
            units = statistics.draw_counts(12, "units", study, r, draws=80)
            repeats = statistics.draw_counts(2, "repeats", study, r, draws=80)
            means = statistics.resampled_mean(values[r], units)  # (draw, repeat)
            drawn.append((means * repeats).sum(1) / repeats.sum(1))
        found = statistics.interval(np.stack(drawn, 1), study)
        above += found.low > 0
        below += found.high < 0
    return above / studies, below / studies


@pytest.mark.parametrize("runs", [2, 3, 5])
def test_without_an_effect_intervals_err_as_often_as_is_said(runs):
    above, below = simulated(800, runs)
    said = statistics.error_rate(runs)
    assert above + below <= said + 0.02
    assert above + below > 0.005  # they are no wider than they have to be
    assert abs(above - below) < 0.04


def test_where_only_runs_vary_the_interval_is_exact():
    above, below = simulated(1500, 3, repeat=0.0, unit=0.0)
    assert above + below == pytest.approx(0.05, abs=0.02)


def test_error_rates_are_those_of_the_note():
    assert statistics.error_rate(2, 20000) == pytest.approx(0.12, abs=0.01)
    assert statistics.error_rate(3, 20000) == pytest.approx(0.066, abs=0.01)
    assert statistics.error_rate(8, 20000) == pytest.approx(0.05, abs=0.006)


def test_a_planted_effect_is_found():
    above, below = simulated(100, 4, effect=2.0, run=0.3)
    assert above > 0.95
    assert below == 0


def test_permutation_p_counts_all_splits():
    rng = np.random.default_rng(1)
    for runs, others in ((2, 2), (3, 3), (2, 4), (5, 4)):
        one, other = rng.normal(size=runs), 0.7 + rng.normal(size=others)
        assert statistics.permutation_p(one, other) == pytest.approx(exchanged(one, other))
        assert statistics.permutation_p(one, one[:1]) >= statistics.permutation_floor(runs, 1)
    assert statistics.permutation_p(np.ones(3), np.ones(3)) == 1.0
    assert statistics.permutation_p(np.arange(3.0), np.arange(9.0, 12)) == 0.1


def test_splits_beyond_what_can_be_enumerated_are_drawn():
    rng = np.random.default_rng(2)
    one, other = rng.normal(size=14), 0.6 + rng.normal(size=14)
    welch = stats.ttest_ind(one, other, equal_var=False).pvalue
    assert statistics.permutation_p(one, other) == pytest.approx(welch, abs=0.02)
    far = statistics.permutation_p(one, other + 100)
    assert 0 < far <= 4 * statistics.permutation_floor(14, 14)


def test_permutation_test_keeps_its_level_without_an_effect():
    rng = np.random.default_rng(3)
    p = np.array([statistics.permutation_p(*rng.standard_t(2, (2, 4))) for _ in range(2000)])
    for level in (0.05, 0.1, 0.5):
        assert (p <= level).mean() <= level + 0.02
    assert (p <= 0.5).mean() > 0.45


def test_difference_of_runs_alone_is_that_of_welch():
    rng = np.random.default_rng(4)
    one, other = rng.normal(size=5), 2 * rng.normal(size=5)
    values = [np.tile(some, (40_001, 1)) for some in (one, other)]
    found = statistics.difference(*values, "here")
    there = stats.ttest_ind(one, other, equal_var=False).confidence_interval()
    assert found.estimate == pytest.approx(one.mean() - other.mean())
    assert found.low == pytest.approx(there.low, rel=0.05)  # degrees are rounded down: never narrower
    assert found.high == pytest.approx(there.high, rel=0.05)


def test_degrees_of_a_difference():
    assert statistics.welch(1.0, 4, 1.0, 4) == 8
    assert statistics.welch(1.0, 4, 0.0, 1) == 4
    assert statistics.welch(0.0, 3, 0.0, 2) == 2
    assert statistics.welch(1.0, 4, 2.0, 4) == int(25 / (1 / 4 + 16 / 4))
