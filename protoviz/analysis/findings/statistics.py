"""Uncertainty with few runs: hierarchical bootstrap, exact permutation tests, Student's t.

The run is the unit of replication: repeats and units of one network are not independent evidence of what
training does. Every effect has one value for each run, and

- its interval comes from a hierarchical bootstrap. Runs are drawn with replacement; within a drawn run
  its repeats, and its units (once for all of its repeats: they are the same units). The deviation of
  such means is the standard error, and Student's t makes it an interval, with the degrees of freedom of
  Satterthwaite: few where runs differ, many where units alone leave the effect uncertain. Percentiles
  of the draws would be too narrow: with 2 runs, resampling yields only three means of runs, and the "95 %"
  interval can miss the truth four times in ten;
- its p is that of an exact test in which the sign of every run's effect is exchanged. In one run all
  conditions start from the same weights and see the images in the same order, so under the null hypothesis
  the two conditions (or epochs) that an effect compares may be exchanged within each run, and only there.

Numbers are drawn from the address of what is resampled (protoviz.seeding).
"""

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special  # `scipy.stats` takes three times as long to import

from protoviz import seeding

Floats = NDArray[np.float64]

DRAWS = 400  # of the bootstrap: the standard error is then known to 4 %
CONFIDENCE = 0.95
LEVEL = 0.05  # of p, below which one speaks of significance
MANY = 200  # degrees of freedom beyond which Student's t is the normal distribution
EXACT_RUNS = 16  # up to so many runs, every exchange of signs is tried; beyond, as many are drawn at random


@dataclass(frozen=True)
class Interval:
    """An estimate, its standard error, and the interval of confidence `CONFIDENCE`."""

    estimate: float
    error: float
    low: float
    high: float


def draw_counts(size: int, *address: seeding.Part, draws: int = DRAWS) -> Floats:
    """How often each of `size` things is drawn, with replacement.

    Returns:
        (1 + draws, size); the first row is the sample as it is, one of each.
    """
    rng = seeding.generator("bootstrap", *address)
    drawn = rng.multinomial(size, np.full(size, 1 / size), size=draws)
    return np.concatenate([np.ones((1, size)), drawn])


def resampled_mean(values: Floats, counts: Floats) -> Floats:
    """Mean over the last axis for every draw; values that are NaN do not count.

    Args:
        values: (..., U).
        counts: (D, U).

    Returns:
        (D, ...), NaN where nothing that counts was drawn.
    """
    there = np.isfinite(values)
    total = np.moveaxis(np.where(there, values, 0.0) @ counts.T, -1, 0)
    number = np.moveaxis(there.astype(np.float64) @ counts.T, -1, 0)
    return np.divide(total, number, out=np.full_like(total, np.nan), where=number > 0)


def pair_contributions(means: Floats) -> Floats:
    """What each unit contributes to the mean over all pairs of units: its jackknife pseudo-value.

    The mean over pairs counts every unit in n - 1 pairs, so a unit moves it twice as far as its own mean
    distance says; resampling the mean distances themselves would halve the standard error. With n = 2
    there is one pair and nothing to tell the units apart.

    Args:
        means: (..., n units), mean distance of each unit to all others; NaN for units that do not count.

    Returns:
        As `means`, with the same mean over units.
    """
    n = np.isfinite(means).sum(-1, keepdims=True)
    whole = np.where(np.isfinite(means), means, 0.0).sum(-1, keepdims=True) / np.maximum(n, 1)
    return np.where(n > 2, (2 * (n - 1) * means - n * whole) / np.maximum(n - 2, 1), means)


def interval(values: Floats, *address: seeding.Part) -> Interval:
    """The interval of the mean over runs, by hierarchical bootstrap.

    The bootstrap captures only (R - 1) / R of the variance between runs, so deviations of runs are stretched
    by the square root of the inverse. Units and repeats add variance, so two runs that agree by chance do not
    make an effect certain.

    Args:
        values: (1 + D, R >= 2), every run's effect as observed and for D draws of its repeats and units.
        address: of the effect.
    """
    spread = _spread(values, *address)
    return _reaching(spread.estimate, spread.error, spread.degrees)


def difference(first: Floats, second: Floats, *address: seeding.Part) -> Interval:
    """The interval of the difference of two means over runs that are not matched (Welch 1947).

    It is too wide, never too narrow, where runs of the same number have more in common than others.

    Args:
        first: as `values` of `interval`.
        second: the same of another condition.
        address: of the effect.
    """
    one, other = _spread(first, *address, "first"), _spread(second, *address, "second")
    error = math.hypot(one.error, other.error)
    return _reaching(
        one.estimate - other.estimate, error, welch(one.error, one.degrees, other.error, other.degrees)
    )


@dataclass(frozen=True)
class _Spread:
    estimate: float
    error: float
    degrees: int


def _reaching(estimate: float, error: float, degrees: int) -> Interval:
    quantile = float(special.stdtrit(degrees, 0.5 + CONFIDENCE / 2))
    return Interval(estimate, error, estimate - quantile * error, estimate + quantile * error)


def _spread(values: Floats, *address: seeding.Part) -> _Spread:
    observed, drawn = values[0], values[1:]
    draws, runs = drawn.shape
    rng = seeding.generator("bootstrap", "runs", *address)
    picked = rng.integers(runs, size=(draws, runs))
    row = rng.integers(draws, size=(draws, runs))  # a run that is drawn twice is resampled twice
    between = (observed - observed.mean())[picked].mean(1) * math.sqrt(runs / (runs - 1))
    within = (drawn - drawn.mean(0))[row, picked].mean(1)
    error, estimate = float((between + within).std()), float(observed.mean())
    return _Spread(estimate, error, freedom(float(between.var()), float(within.var()), runs))


def welch(first: float, degrees: int, second: float, others: int) -> int:
    """Degrees of freedom of the difference of two means, rounded down, from their errors and degrees."""
    if first == 0 and second == 0:
        return min(degrees, others)
    one, other = first**2, second**2
    return int((one + other) ** 2 / (one**2 / degrees + other**2 / others) + 1e-9)


def freedom(between: float, within: float, runs: int) -> int:
    """Satterthwaite's degrees of freedom of a sum of two variances, rounded down; `within` counts as known.

    Args:
        between: variance of the mean over runs that comes from runs, known to runs - 1 degrees.
        within: that which comes from units and repeats.
        runs: their number.
    """
    if between <= 0:
        return MANY if within > 0 else runs - 1
    return int(min((runs - 1) * (1 + within / between) ** 2 + 1e-9, MANY))


def error_rate(runs: int, studies: int = 4000) -> float:
    """How often an interval excludes zero where there is no effect, at worst; simulated, not computed.

    Runs and units are normal; the rate is the worst over several ratios of the variance of units to that of
    runs. The interval is exact where only the runs vary, and errs on the safe side where only the units do.
    """
    rng = seeding.generator("error rate", runs)
    draws = rng.normal(size=(studies, runs))
    rates = []
    for within in (0.0, 0.01, 0.03, 0.05, 0.1, 0.3, 1.0):
        values = draws * math.sqrt(1 + within)
        between = values.var(1, ddof=1)
        degrees = np.minimum((runs - 1) * (1 + within / between) ** 2 + 1e-9, MANY).astype(int)
        reach = special.stdtrit(degrees, 0.5 + CONFIDENCE / 2) * np.sqrt((between + within) / runs)
        rates.append(float((np.abs(values.mean(1)) > reach).mean()))
    return max(rates)


def error_rate_of_difference(runs: int, studies: int = 4000) -> float:
    """As `error_rate`, for `difference` with this many runs in both conditions."""
    rng = seeding.generator("error rate", "difference", runs)
    draws = rng.normal(size=(2, studies, runs))
    rates = []
    for within in (0.0, 0.01, 0.03, 0.05, 0.1, 0.3, 1.0):
        values = draws * math.sqrt(1 + within)
        between = values.var(2, ddof=1)
        degrees = np.minimum((runs - 1) * (1 + within / between) ** 2 + 1e-9, MANY).astype(int)
        squares = (between + within) / runs
        welched = (squares.sum(0) ** 2 / (squares**2 / degrees).sum(0) + 1e-9).astype(int)
        reach = special.stdtrit(welched, 0.5 + CONFIDENCE / 2) * np.sqrt(squares.sum(0))
        rates.append(float((np.abs(values[0].mean(1) - values[1].mean(1)) > reach).mean()))
    return max(rates)


def sign_flip_p(effects: Floats) -> float:
    """Two-sided p of the mean effect, exact: the share of all exchanges of signs that give at least as much.

    >>> sign_flip_p(np.array([1.0, 2.0, 3.0]))
    0.25

    Args:
        effects: (R,), one for each run, 0 where there is none.
    """
    runs = len(effects)
    if runs <= EXACT_RUNS:
        signs = np.array(list(itertools.product((1.0, -1.0), repeat=runs)))
    else:
        signs = seeding.generator("signs", runs).choice((1.0, -1.0), size=(2**EXACT_RUNS, runs))
        signs[0] = 1.0
    return _share_as_extreme(signs @ effects, float(effects.sum()))


def permutation_p(first: Floats, second: Floats) -> float:
    """Two-sided p of the difference of two means, exact: the share of all splits that give at least as much.

    Args:
        first: (R,), one for each run of a condition.
        second: (S,), the same of another, whose runs are not matched with the first's.
    """
    pooled, size = np.concatenate([first, second]), len(first)
    pooled = pooled - pooled.mean()  # the sum over the first then determines the difference of the means
    observed = float(pooled[:size].sum())
    if math.comb(len(pooled), size) <= 2**EXACT_RUNS:
        splits = np.array(list(itertools.combinations(range(len(pooled)), size)))
    else:
        rng = seeding.generator("splits", len(first), len(second))
        splits = rng.permuted(np.tile(np.arange(len(pooled)), (2**EXACT_RUNS, 1)), axis=1)[:, :size]
        splits[0] = np.arange(size)
    return _share_as_extreme(pooled[splits].sum(1), observed)


def _share_as_extreme(found: Floats, observed: float) -> float:
    """The share of values whose magnitude reaches that of the one observed, rounding aside."""
    return float((np.abs(found) >= abs(observed) * (1 - 1e-9) - 1e-300).mean())


def sign_flip_floor(runs: int) -> float:
    """The smallest two-sided p that this many matched runs allow.

    >>> sign_flip_floor(3)
    0.25
    """
    return min(1.0, 2.0 ** (1 - min(runs, EXACT_RUNS)))


def permutation_floor(first: int, second: int) -> float:
    """The smallest two-sided p that this many unmatched runs of two conditions allow.

    >>> permutation_floor(3, 3)
    0.1
    """
    mirrored = 2 if first == second else 1  # with equal numbers every split has its mirror image
    return min(1.0, max(mirrored / math.comb(first + second, first), 2.0**-EXACT_RUNS))
