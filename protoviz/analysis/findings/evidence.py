"""How a claim of the paper is tested on a study: ratios, their intervals, and the rule for verdicts.

A claim consists of effects. Every effect is a ratio ("times as large"), computed in logarithms for every
run, so that twice and half are equally far from one; the claim says on which side of one it lies.

The rule, for one effect and for a claim:

    supported      the 95 % interval lies wholly on the claimed side; every effect of the claim does
    not supported  the interval lies wholly on the other side; at least one effect of the claim does
    undecided      neither

It is not a test of significance: how often the rule is wrong with the runs of a study is simulated
(statistics.error_rate) and printed beside the verdicts, and so is the exact p with its floor.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import xarray as xr

from protoviz.analysis.findings import statistics
from protoviz.analysis.findings.study import DRAW
from protoviz.analysis.findings.verdicts import NOT_COMPUTED, NOT_SUPPORTED, SUPPORTED, UNDECIDED
from protoviz.store import schema

LARGEST = 1e6  # a ratio beyond this is only reported to lie beyond it: its value has no meaning


@dataclass(frozen=True)
class Effect:
    """One quantity of a claim.

    Attributes:
        quantity: what is compared with what.
        side: the side of one on which the claim puts the ratio.
        log: natural logarithm of the ratio, (draw, run) and, where the effect is pooled over them, condition
            and layer; NaN where it could not be computed.
        pool: whether the effect is the mean of these, or the least of them (a claim on all networks).
        exact: p and its floor from a test of the effect's own; None: they come from exchanging signs.
    """

    quantity: str
    side: Literal["above", "below"]
    log: xr.DataArray
    pool: Literal["mean", "least"] = "mean"
    exact: tuple[float, float] | None = None


@dataclass(frozen=True)
class Evidence:
    """All effects of a claim that could be computed, and plain words on those that could not."""

    effects: tuple[Effect, ...]
    missing: tuple[str, ...] = ()


def estimated(effect: Effect, *address: str) -> dict[str, Any]:
    """An effect in numbers, as JSON values: estimate, interval, p and its floor, verdict, and its parts.

    Args:
        effect: with at least one run.
        address: of the claim and the space, for the numbers of the bootstrap.
    """
    axes = [name for name in (schema.CONDITION, schema.LAYER) if name in effect.log.dims]
    parts = effect.log.stack(part=axes) if axes else effect.log.expand_dims("part")
    names = (
        [" ".join(map(str, np.atleast_1d(np.array(label, object)))) for label in parts["part"].values]
        if axes
        else [""]
    )
    complete = np.isfinite(parts.isel({DRAW: 0}).transpose("part", schema.RUN).values)
    sound = np.flatnonzero(complete.all(1))
    pooled = parts.isel(part=sound if len(sound) else [0])  # NaN if none is sound
    pooled = pooled.min("part", skipna=False) if effect.pool == "least" else pooled.mean("part", skipna=False)
    values = pooled.transpose(DRAW, schema.RUN).values
    runs = [str(run) for run in effect.log[schema.RUN].values]
    missing = [
        f"{effect.quantity}{', ' * bool(name)}{name}: {int((~there).sum())} of {len(runs)} runs have no live "
        "units, or no change to compare with"
        for name, there in zip(names, complete, strict=True)
        if not there.all()
    ]
    if len(runs) < 2 and len(sound):
        missing.append(f"{effect.quantity}: an interval needs two runs")
    means = parts.isel({DRAW: 0}).mean(schema.RUN, skipna=False).values
    return {
        "quantity": effect.quantity,
        "claim": effect.side,
        **_summary(values, effect, address),
        "per_run": {
            run: times(value) for run, value in zip(runs, values[0], strict=True) if np.isfinite(value)
        },
        "parts": {names[k]: times(means[k]) for k in sound} if axes else {},
        "missing": missing,
    }


def _summary(values: statistics.Floats, effect: Effect, address: Sequence[str]) -> dict[str, Any]:
    observed = values[0]
    runs = len(observed)
    nothing: dict[str, Any] = {
        "times": None,
        "interval": None,
        "p": None,
        "p_floor": None,
        "agreeing": "0 of 0",
    }
    if not np.isfinite(observed).all():
        return {**nothing, "verdict": NOT_COMPUTED}
    sign = 1 if effect.side == "above" else -1
    agreeing = f"{int((sign * observed > 0).sum())} of {runs}"
    found = {**nothing, "times": times(observed.mean()), "agreeing": agreeing, "verdict": UNDECIDED}
    if runs < 2:
        return found
    sound = values[np.isfinite(values).all(1)]  # draws of units in which nothing is left to compare
    interval = statistics.interval(sound, *address, effect.quantity)
    found["interval"] = [times(interval.low), times(interval.high)]
    p, floor = effect.exact or (statistics.sign_flip_p(observed), statistics.sign_flip_floor(runs))
    found["p"], found["p_floor"] = round(p, 4), round(floor, 4)
    found["verdict"] = of_interval(interval, effect.side)
    return found


def of_interval(interval: statistics.Interval, side: str) -> str:
    """The rule for one effect."""
    low, high = (interval.low, interval.high) if side == "above" else (-interval.high, -interval.low)
    if low > 0:
        return SUPPORTED
    return NOT_SUPPORTED if high < 0 else UNDECIDED


def of_claim(verdicts: Iterable[str], *, whole: bool) -> str:
    """The rule for a claim.

    Args:
        verdicts: of its effects.
        whole: whether these are all; a claim cannot be supported if a part of it could not be computed.
    """
    found = set(verdicts)
    if not found - {NOT_COMPUTED}:
        return NOT_COMPUTED
    if NOT_SUPPORTED in found:
        return NOT_SUPPORTED
    return SUPPORTED if whole and found == {SUPPORTED} else UNDECIDED


def times(log: float) -> float:
    """The ratio of a logarithm, to three digits, within the bounds in which it has meaning."""
    bounded = min(max(float(log), -math.log(LARGEST)), math.log(LARGEST))
    return float(f"{math.exp(bounded):.3g}")
