"""Figures that explain the measures, with one panel for each layer.

They show change without the noise of the synthesis, the share of settled units (F9), the appearance of
prototypes (F10), and the dimension of responses (F11).
"""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from protoviz.analysis import settling
from protoviz.report.figures.curves import Space, Stores, condition_of, in_space, left_out, n_of
from protoviz.report.figures.panels import Curve, epoch_axis, finite_mean, interval_axis, panels
from protoviz.report.figures.style import message, styled
from protoviz.store import schema, schema_appearance, schema_responses

APPEARANCE = {  # measure -> heading, explanation, label; all in %
    schema_appearance.SATURATION: (
        "Saturation of prototypes during training",
        "How colourful the image is that drives a unit most, mean over units: 0 grey, 100 pure colours.",
        "saturation",
    ),
    schema_appearance.WARMTH: (
        "Warmth of prototypes during training",
        "How near to orange the colours of a prototype are, mean over units: 0 azure, 100 orange.",
        "warmth",
    ),
    schema_appearance.HIGH_FREQUENCY: (
        "High frequencies in prototypes during training",
        "Share of a prototype's variance in waves shorter than 8 px, mean over units.",
        "high frequencies",
    ),
}


@styled
def learning(distances: Stores, space: Space, title: str) -> Figure:
    """Like G6, without the noise of the synthesis: how much a step of training changes the prototypes.

    Args:
        distances: the distance stores, conditions in the order of their colours.
        space: where to compare.
        title: of the data set.
    """
    heading, caption = "Learning in prototypes during training", [title, n_of(distances), str(space)]
    ends = (distances[0][name].values.tolist() for name in (schema.EPOCH_FROM, schema.EPOCH_TO))
    intervals = list(zip(*ends, strict=True))
    if not intervals:
        return message(heading, "Only one epoch was kept: there is no change to show.", caption)
    if distances[0].sizes[schema.REPEAT] < 2:
        return message(heading, "Each prototype was made once: its noise is not known.", caption)
    curves = []
    for store in distances:
        apart = in_space(store, schema.BETWEEN_REPEATS, space).astype(np.float64)
        learnt = settling.learning(in_space(store, schema.BETWEEN_EPOCHS, space).astype(np.float64), apart)
        curves += _curves(store, learnt.transpose(schema.REPEAT, schema.STEP, schema.UNIT).values)
    return panels(
        curves,
        interval_axis(intervals),
        heading=heading,
        explanation="Distance between neighbouring kept epochs less that between repeats of the same epoch.",
        y_label="learnt between epochs",
        measure=space.measure,
        caption=[*caption, "0: no more than another start of the synthesis changes", left_out(distances)],
        lines="each run and repeat",
    )


@styled
def settled(units: Stores, epochs: Sequence[int], title: str) -> Figure:
    """The share of units that have settled by each epoch (F9), by change point of their rate of change.

    Args:
        units: the stores of settling epochs, conditions in the order of their colours.
        epochs: the epochs that were kept.
        title: of the data set.
    """
    heading, caption = "Units that have settled", [title, n_of(units)]
    if len(epochs) < 3:
        return message(heading, "A change point needs three kept epochs.", caption)
    curves = []
    for store in units:
        found = store[schema_appearance.SETTLING_EPOCH].isel(condition=0, run=0)
        table = found.transpose(schema.REPEAT, schema.UNIT).values[:, None]
        by = np.where(np.isfinite(table), 100.0 * (table <= np.asarray(epochs)[:, None]), np.nan)
        by[:, -1] = np.where(np.isfinite(table[:, 0]), 100.0 * (table[:, 0] < epochs[-1]), np.nan)
        curves += _curves(store, by)
    return panels(
        curves,
        epoch_axis(epochs),
        heading=heading,
        explanation="Share of units whose prototype changes, from then on, at most half as fast as before.",
        y_label="settled units",
        measure="%",
        caption=[*caption, "change point of each unit's rate of change, without the noise of the synthesis"],
        lines="each run and repeat",
        from_zero=True,
    )


@styled
def appearance(stores: Stores, measure: str, title: str, masking: str = schema.MASKED) -> Figure:
    """Saturation, warmth or high frequencies of prototypes along training (F10).

    Args:
        stores: of the appearance of prototypes, conditions in the order of their colours.
        measure: a key of `APPEARANCE`.
        title: of the data set.
        masking: one of `schema.MASKINGS`.
    """
    heading, explanation, label = APPEARANCE[measure]
    curves = []
    for store in stores:
        found = store[schema_appearance.appearance_name(measure, masking)].isel(condition=0, run=0)
        curves += _curves(store, 100 * found.transpose(schema.REPEAT, schema.EPOCH, schema.UNIT).values)
    return panels(
        curves,
        epoch_axis([int(epoch) for epoch in stores[0][schema.EPOCH].values]),
        heading=heading,
        explanation=explanation,
        y_label=label,
        measure="%",
        caption=[title, n_of(stores), f"{masking} prototypes"],
        lines="each run and repeat",
    )


@styled
def dimension(natural: Stores, title: str) -> Figure:
    """The participation ratio of each layer's responses to natural images along training (F11).

    Args:
        natural: the stores of responses to natural images, conditions in the order of their colours.
        title: of the data set.
    """
    curves = []
    for store in natural:
        found = store[schema_responses.PARTICIPATION_RATIO].isel(condition=0, run=0)
        units = [str(name) for name in store[schema.UNIT_LAYER].values]
        for layer in store[schema.LAYER].values:
            values = found.sel(layer=layer).transpose(schema.EPOCH).values.astype(np.float64)
            curves.append(Curve(condition_of(store), str(layer), units.count(str(layer)), values))
    return panels(
        curves,
        epoch_axis([int(epoch) for epoch in natural[0][schema.EPOCH].values]),
        heading="Dimension of responses during training",
        explanation="Participation ratio of a layer's responses to natural images: the directions they fill.",
        y_label="participation ratio",
        measure="dimensions",
        caption=[title, n_of(natural, repeats=False)],
        lines="each run",
        from_zero=True,
    )


def _curves(store: xr.Dataset, tables: np.ndarray) -> list[Curve]:
    """The mean over the live units of each layer for every repeat, from (repeat, epoch or step, unit)."""
    layer_of_unit = np.array([str(name) for name in store[schema.LAYER].values])
    curves = []
    for table in tables.astype(np.float64):
        for layer in dict.fromkeys(layer_of_unit.tolist()):
            part = table[:, layer_of_unit == layer]
            curves.append(Curve(condition_of(store), layer, part.shape[1], finite_mean(part, axis=1)))
    return curves
