"""Describes a measure of some runs by a number with its interval, and compares two conditions.

Values above zero are averaged and compared as logarithms, so that twice and half are equally far from one;
a measure that can be zero or less is averaged and compared as it is. Missing values are not filled in: a
condition with a run that has no value has none either.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from protoviz.analysis.findings import statistics
from protoviz.analysis.findings.evidence import times
from protoviz.analysis.findings.statistics import Floats, Interval
from protoviz.analysis.findings.verdicts import NOT_COMPUTED, UNDECIDED

HIGHER, LOWER = "higher", "lower"
FEWEST_DRAWS = 20  # of the bootstrap, which must leave something to measure


def above_zero(*values: Floats) -> bool:
    """Whether every observed value, in the first row of each, is above zero."""
    return all(bool((some[0] > 0).all()) for some in values)


def known(values: Floats) -> bool:
    """Whether every run has a value."""
    return bool(np.isfinite(values[0]).all())


def described(values: Floats, runs: Sequence[int], *address: str, ratio: bool) -> dict[str, Any]:
    """The value of one condition as JSON values: mean over runs, interval, and the value of each run.

    Args:
        values: (1 + D, R), as observed and for D draws of repeats and units.
        runs: their numbers.
        address: of the value.
        ratio: whether the measure is compared by ratios.
    """
    each = {str(run): _short(value) for run, value in zip(runs, values[0], strict=True) if np.isfinite(value)}
    if not known(values):
        return {"value": None, "interval": None, "per_run": each}
    logarithmic = ratio and above_zero(values)
    scaled = _logarithm(values) if logarithmic else values
    found = _interval(scaled, *address)
    mean = float(scaled[0].mean())
    value = math.exp(mean) if logarithmic else mean

    def end(limit: float) -> float:
        return _short(value * times(limit - mean) if logarithmic else limit)

    return {
        "value": _short(value),
        "interval": None if found is None else [end(found.low), end(found.high)],
        "per_run": each,
    }


def compared(first: Floats, second: Floats, *address: str, ratio: bool, matched: bool) -> dict[str, Any]:
    """Compare the first condition with the second, as JSON values.

    Args:
        first: as `values` of `described`.
        second: the same of another condition.
        address: of the comparison.
        ratio: whether to take their ratio; where one of them is not above zero, the difference is taken.
        matched: whether runs of the same number share their random choices and are compared in pairs.

    Returns:
        `scale` ("ratio" or "difference"), `effect`, its `interval`, `p` and `p_floor`, `verdict` ("higher" or
        "lower" where the interval excludes 1, or 0; else "undecided", or "not computed").
    """
    nothing: dict[str, Any] = {"effect": None, "interval": None, "p": None, "p_floor": None}
    if not (known(first) and known(second)):
        return {"scale": "ratio" if ratio else "difference", **nothing, "verdict": NOT_COMPUTED}
    logarithmic = ratio and above_zero(first, second)
    one, other = (_logarithm(values) if logarithmic else values for values in (first, second))
    effect = float(one[0].mean() - other[0].mean())
    found = {"scale": "ratio" if logarithmic else "difference", **nothing, "verdict": UNDECIDED}
    found["effect"] = _back(effect, logarithmic)
    runs = first.shape[1]
    if runs < 2:
        return found
    if matched:
        interval = _interval(one - other, *address)
        found["p"] = round(statistics.sign_flip_p(one[0] - other[0]), 4)
        found["p_floor"] = round(statistics.sign_flip_floor(runs), 4)
    else:
        interval = _difference(one, other, *address)
        found["p"] = round(statistics.permutation_p(one[0], other[0]), 4)
        found["p_floor"] = round(statistics.permutation_floor(runs, runs), 4)
    if interval is not None:
        found["interval"] = [_back(interval.low, logarithmic), _back(interval.high, logarithmic)]
        found["verdict"] = HIGHER if interval.low > 0 else LOWER if interval.high < 0 else UNDECIDED
    return found


def _interval(values: Floats, *address: str) -> Interval | None:
    """The interval; None with one run, or where almost all draws leave nothing to measure."""
    sound = _sound(values)
    return None if sound is None else statistics.interval(sound, *address)


def _difference(first: Floats, second: Floats, *address: str) -> Interval | None:
    one, other = _sound(first), _sound(second)
    return None if one is None or other is None else statistics.difference(one, other, *address)


def _sound(values: Floats) -> Floats | None:
    there = values[np.isfinite(values).all(1)]
    return there if values.shape[1] > 1 and len(there) > FEWEST_DRAWS else None


def _logarithm(values: Floats) -> Floats:
    return np.log(np.where(values > 0, values, np.nan))


def _back(value: float, logarithmic: bool) -> float:
    return times(value) if logarithmic else _short(value)


def _short(value: float) -> float:
    return float(f"{value:.3g}")
