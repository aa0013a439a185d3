"""Measures along training, one panel for each layer: diversity (G2, G5), rate of change (G6),
distance between repeats (G7).

All take the distance stores, one for each condition and run. A curve is the mean over the live units
of a layer; units without a prototype are NaN in the stores and left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from protoviz.errors import StudyError
from protoviz.report.figures.panels import Curve, epoch_axis, finite_mean, interval_axis, panels
from protoviz.report.figures.style import count, message, styled
from protoviz.store import schema

Stores = Sequence[xr.Dataset]

SCALES = "scales differ: masks, and so distances, do not compare across layers"


@dataclass(frozen=True)
class Space:
    """The space in which images are compared, the distance, and whether the receptive field masks them."""

    embedder: str
    distance: str = "mse"
    masking: str = "masked"

    def __str__(self) -> str:
        what = "pixels" if self.embedder == "pixels" else f"{self.embedder} features"
        return f"{self.masking} prototypes, {self.measure} of {what}"

    @property
    def measure(self) -> str:
        """A short name of the distance, which has no unit."""
        return {"mse": "MSE", "cosine": "cosine distance"}.get(self.distance, self.distance)


@styled
def diversity(distances: Stores, space: Space, title: str) -> Figure:
    """G2 (G5 with cosine distance): the mean distance between all pairs of units of a layer, by epoch.

    Args:
        distances: the distance stores, conditions in the order of their colours.
        space: where to compare.
        title: of the data set.

    Raises:
        StudyError: the stores have no such space.
    """
    return panels(
        _curves(distances, schema.BETWEEN_UNITS, space),
        epoch_axis(_epochs(distances)),
        heading="Diversity of prototypes during training",
        explanation="Mean distance between all pairs of units in a layer.",
        y_label="distance between units",
        measure=space.measure,
        caption=[title, n_of(distances), str(space), left_out(distances), SCALES],
        lines="each run and repeat",
    )


@styled
def rate_of_change(distances: Stores, space: Space, title: str) -> Figure:
    """G6: how far a unit's prototype moves between neighbouring kept epochs, mean over a layer's units.

    Arguments and errors as for `diversity`.
    """
    heading, caption = "Change of prototypes during training", [title, n_of(distances), str(space)]
    ends = (distances[0][name].values.tolist() for name in (schema.EPOCH_FROM, schema.EPOCH_TO))
    intervals = list(zip(*ends, strict=True))
    if not intervals:
        return message(heading, "Only one epoch was kept: there is no change to show.", caption)
    uneven = len({end - start for start, end in intervals}) > 1
    return panels(
        _curves(distances, schema.BETWEEN_EPOCHS, space),
        interval_axis(intervals),
        heading=heading,
        explanation="Distance between a unit's prototypes at neighbouring kept epochs, mean over units.",
        y_label="distance between epochs",
        measure=space.measure,
        caption=[
            *caption,
            "not divided by the length of the interval" if uneven else "",
            left_out(distances),
            SCALES,
        ],
        lines="each run and repeat",
        from_zero=True,
    )


@styled
def between_repeats(distances: Stores, space: Space, title: str) -> Figure:
    """G7: how far apart two repeats of the synthesis put a unit's prototype, mean over a layer's units.

    Arguments and errors as for `diversity`.
    """
    heading, caption = "Distance between repeats during training", [title, n_of(distances), str(space)]
    if all(store.sizes[schema.REPEAT] < 2 for store in distances):
        return message(heading, "Each prototype was made once: repeats cannot be compared.", caption)
    return panels(
        _curves(distances, schema.BETWEEN_REPEATS, space),
        epoch_axis(_epochs(distances)),
        heading=heading,
        explanation="Distance between a unit's prototypes from different random starts, mean over units.",
        y_label="distance between repeats",
        measure=space.measure,
        caption=[*caption, left_out(distances), SCALES],
        lines="each run",
    )


def _curves(distances: Stores, variable: str, space: Space) -> list[Curve]:
    """One curve for each store, repeat (where the variable has them) and layer: the mean over live units."""
    curves = []
    for store in distances:
        values = in_space(store, variable, space)
        layer_of_unit = np.array([str(name) for name in store[schema.LAYER].values])
        repeats = values.transpose(schema.REPEAT, ...) if schema.REPEAT in values.dims else [values]
        for repeat in repeats:
            table = repeat.transpose(..., schema.UNIT).values.astype(np.float64)
            for layer in dict.fromkeys(layer_of_unit.tolist()):
                part = table[:, layer_of_unit == layer]
                curves.append(Curve(condition_of(store), layer, part.shape[1], finite_mean(part, axis=1)))
    return curves


def in_space(store: xr.Dataset, variable: str, space: Space) -> xr.DataArray:
    """A variable of one condition and run in one space."""
    for axis, name in (
        (schema.EMBEDDER, space.embedder),
        (schema.DISTANCE, space.distance),
        (schema.MASKING, space.masking),
    ):
        known = [str(value) for value in store[axis].values]
        if name not in known:
            raise StudyError(
                f"distances of {condition_of(store)} run {_run(store)}",
                expected=f"{axis} among {', '.join(known)}",
                found=name,
                remedy="name one of these, or add it to params.yaml and run the distances again",
            )
    part = store[variable].isel(condition=0, run=0)
    return part.sel(embedder=space.embedder, distance=space.distance, masking=space.masking)


def _epochs(distances: Stores) -> list[int]:
    return [int(epoch) for epoch in distances[0][schema.EPOCH].values]


def condition_of(store: xr.Dataset) -> str:
    """The condition of the network that a store belongs to."""
    return str(store[schema.CONDITION].values[0])


def _run(store: xr.Dataset) -> int:
    return int(store[schema.RUN].values[0])


def n_of(stores: Stores, *, repeats: bool = True) -> str:
    """How many runs and repeats the figure is based on."""
    runs = dict.fromkeys(map(condition_of, stores), 0)
    for store in stores:
        runs[condition_of(store)] += 1
    each = " / ".join(dict.fromkeys(map(str, runs.values())))
    noun = "run" if each == "1" else "runs"
    number = count(max(store.sizes[schema.REPEAT] for store in stores), "repeat") if repeats else ""
    return f"n = {each} {noun}" + f" \u00d7 {number}" * bool(number) + " for each condition"


def left_out(distances: Stores) -> str:
    """The share of prototypes left out of all means, as they were not made or the unit is dead."""
    live = sum(int(store[schema.LIVE_UNITS].sum()) for store in distances)
    axes = (schema.REPEAT, schema.EPOCH, schema.UNIT)
    made = sum(int(np.prod([store.sizes[axis] for axis in axes])) for store in distances)
    share = 100 * (1 - live / made)
    return f"{share:.1f} % of prototypes left out (dead or diverged)" if live < made else "no dead units"
