"""Summarises matching for each run of a condition: how much of it recurs in the others.

Every pair of runs is one number, but pairs that have a run in common are not independent, so uncertainty is
stated over runs.
"""

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from protoviz.store import schema
from protoviz.store import schema_matching as names

# Of a layer in one run: means over the other runs of its condition.
OF_RUNS = (names.SHARE_MATCHED, names.SHARE_BEYOND_SPACE, names.MATCHED, names.AGREEMENT)


def of_runs(store: xr.Dataset, means: xr.Dataset) -> xr.Dataset:
    """The results of matching for the layers of each run: the mean over the other runs of its condition.

    Args:
        store: of `matched`.
        means: gives the conditions, runs, epochs and layers; NaN where nothing was matched.

    Returns:
        `OF_RUNS` (condition, run, epoch, layer); nothing where no two runs of a condition were compared.
    """
    conditions, runs, epochs, layers = (
        means[name].values.tolist() for name in (schema.CONDITION, schema.RUN, schema.EPOCH, schema.LAYER)
    )
    if not same_condition(store).any():
        return xr.Dataset()
    dims = (schema.CONDITION, schema.RUN, schema.EPOCH, schema.LAYER)
    there = [name for name in OF_RUNS if np.isfinite(store[name]).any()]
    found = {name: np.full([len(means[dim]) for dim in dims], np.nan) for name in there}
    at = [epochs.index(epoch) for epoch in store[schema.EPOCH].values.tolist()]
    deep = [layers.index(layer) for layer in store[schema.LAYER].values.tolist()]
    for c, condition in enumerate(conditions):
        for r, run in enumerate(runs):
            mine = of_run(store, condition, run)
            for name in there if mine.any() else ():
                values = store[name].values[mine].astype(np.float64)
                found[name][c, r][np.ix_(at, deep)] = values.mean(0)
    return xr.Dataset({name: (dims, array) for name, array in found.items()})


def same_condition(store: xr.Dataset) -> NDArray[np.bool_]:
    """(pair,): the pairs of two runs of one condition."""
    same: NDArray[np.bool_] = store[names.FIRST[0]].values == store[names.SECOND[0]].values
    return same


def of_run(store: xr.Dataset, condition: str, run: int) -> NDArray[np.bool_]:
    """(pair,): the pairs of two runs of a condition that include a run."""
    ours = same_condition(store) & (store[names.FIRST[0]].values == condition)
    runs = (store[side[1]].values == run for side in (names.FIRST, names.SECOND))
    one, other = runs
    found: NDArray[np.bool_] = ours & (one | other)
    return found
