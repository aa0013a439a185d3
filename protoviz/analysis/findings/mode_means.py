"""Means of how many images drive the units of each layer, measured and resampled, for the findings."""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from protoviz.analysis.findings import statistics
from protoviz.store import schema
from protoviz.store.schema_modes import COUNT, MEETING, START

Stores = Sequence[Sequence[xr.Dataset]]

DRAW = "draw"
MEASURES = (COUNT, MEETING)
MISSED = 10  # one start in so many leads to the mode of which it is said how often it is missed


def modes_of_layer(stores: Stores, layer: str) -> Stores:
    """The stores as if their networks had this layer alone."""
    return [
        [store.isel({schema.UNIT: schema.layer_slices(store[schema.LAYER].values)[layer]}) for store in runs]
        for runs in stores
    ]


def mode_means(
    stores: Stores, runs: Sequence[int], epochs: Sequence[int], draws: int
) -> dict[str, xr.Variable]:
    """Means over the units of each layer that something drives, measured and for draws of units.

    Args:
        stores: of each condition, and in it of each run that was started again.
        runs: of the study.
        epochs: of the study.
        draws: of the bootstrap.

    Returns:
        `modes` and `meeting` (draw, condition, run, epoch, layer), NaN in runs and at epochs of the study at
        which no unit was started again.
    """
    slices = schema.layer_slices(stores[0][0][schema.LAYER].values)
    shape = (draws + 1, len(stores), len(runs), len(epochs), len(slices))
    found = {name: np.full(shape, np.nan) for name in MEASURES}
    for i, networks in enumerate(stores):
        for store in networks:
            run = int(store[schema.RUN].values[0])
            places = [epochs.index(int(epoch)) for epoch in store[schema.EPOCH].values]
            for k, (layer, at) in enumerate(slices.items()):
                # The units of a run are drawn once, for all its conditions and epochs.
                counts = statistics.draw_counts(at.stop - at.start, "modes", run, layer, draws=draws)
                for name in MEASURES:
                    means = statistics.resampled_mean(_of_units(store, name, at), counts)
                    found[name][:, i, list(runs).index(run), places, k] = means
    dims = (DRAW, schema.CONDITION, schema.RUN, schema.EPOCH, schema.LAYER)
    return {name: xr.Variable(dims, values) for name, values in found.items()}


def what_starts_show(stores: Stores) -> str:
    """What the number of starts of a unit can and cannot show, in a sentence; empty where there are none."""
    starts = stores[0][0].sizes.get(START, 0) if stores else 0
    if not starts:
        return ""
    if starts < 2:
        return " Modes are of one start, which shows one mode at most."
    missed = 100 * (1 - 1 / MISSED) ** starts
    return (
        f" Modes are those of {starts} starts, a lower bound: one to which 1 in {MISSED} leads is missed in "
        f"{missed:.0f} % of units, and what is nearer than one start to itself is one mode."
    )


def _of_units(store: xr.Dataset, name: str, at: slice) -> NDArray[np.float64]:
    """(epoch, units), NaN where nothing drives the unit."""
    network = store.isel({schema.CONDITION: 0, schema.RUN: 0, schema.UNIT: at})
    values = network[name].where(network[COUNT] > 0)
    return values.transpose(schema.EPOCH, schema.UNIT).values.astype(np.float64)
