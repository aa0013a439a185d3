"""Turns quantities of pairs of runs into contributions of single runs.

A pair of runs is not a replicate: each run is in many pairs. A run contributes what changes when it is left
out (jackknife pseudo-values, Efron and Stein 1981), and these are treated as the runs' own values.
"""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import xarray as xr

from protoviz.analysis import partners
from protoviz.analysis.findings.statistics import Floats
from protoviz.store import schema
from protoviz.store import schema_matching as names

DRAW = "draw"
LEAST_RUNS = 3  # leaving one out leaves two


def contributions(of: Callable[[Sequence[int]], Floats], runs: Sequence[int]) -> Floats:
    """What each run contributes to a quantity of all: its jackknife pseudo-values, (R, ...).

    Their mean is the quantity itself where it is a mean over pairs of runs.

    Args:
        of: computes the quantity of some runs, at least two.
        runs: at least three.
    """
    whole, count = of(runs), len(runs)
    without = np.stack([of([one for one in runs if one != left]) for left in runs])
    found: Floats = count * whole - (count - 1) * without
    return found


def over_pairs(store: xr.Dataset, name: str, condition: str, runs: Sequence[int]) -> Floats:
    """The mean of a variable of pairs over those of some runs of a condition, (epoch, layer)."""
    ours = partners.same_condition(store) & (store[names.FIRST[0]].values == condition)
    for side in (names.FIRST, names.SECOND):
        ours &= np.isin(store[side[1]].values, runs)
    mean: Floats = store[name].values[ours].astype(np.float64).mean(0)
    return mean


def measured(
    store: xr.Dataset | None,
    conditions: Sequence[str],
    runs: Sequence[int],
    layers: Sequence[str],
    draws: int,
) -> dict[str, xr.Variable]:
    """What the runs contribute to the mean of each measure of matching, at its last epoch.

    Args:
        store: of `matching.matched`; None where units were not matched.
        conditions: of the study.
        runs: of each of them.
        layers: those asked for.
        draws: of the bootstrap; units are not resampled here.

    Returns:
        `partners.OF_RUNS` (draw, condition, run, layer), as far as they were measured; nothing where
        there are fewer than three runs.
    """
    if store is None or len(runs) < LEAST_RUNS:
        return {}
    at = [store[schema.LAYER].values.tolist().index(layer) for layer in layers]
    found = {}
    for name in partners.OF_RUNS:
        if np.isfinite(store[name]).any():

            def last(some: Sequence[int], condition: str, name: str = name) -> Floats:
                return over_pairs(store, name, condition, some)[-1, at]

            values = np.stack([contributions(partial(last, condition=one), runs) for one in conditions])
            dims = (DRAW, schema.CONDITION, schema.RUN, schema.LAYER)
            found[name] = xr.Variable(dims, np.broadcast_to(values, (draws + 1, *values.shape)))
    return found
