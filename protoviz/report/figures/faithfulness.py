"""Figures of whether networks process prototypes like the natural images that drive the same units.

This is the sanity check along the layers of Geirhos et al. 2023 (arXiv:2306.04719); see the store `natural`.
"""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from protoviz.report.figures.curves import Stores, condition_of, n_of
from protoviz.report.figures.panels import ACROSS, LAYERS, Curve, Values, epoch_axis, finite_mean, panels
from protoviz.report.figures.style import (
    FAINT,
    FOOTER,
    HEADER,
    MARGIN,
    SOFT,
    WIDTH,
    Page,
    colours,
    count,
    nothing,
    styled,
)
from protoviz.report.text import shortened, spread
from protoviz.store import schema
from protoviz.store.schema_responses import ALONG, FAITHFULNESS, INNER

HEIGHT, GAP, BELOW, LEGEND = 3.0, 0.45, 1.25, 0.35  # inches
NAMES, EPOCHS = 8, 5  # at most this many names of layers under a panel, and lines of a condition
LIMITS = -2.0, 3.0  # beyond these, a layer that hardly tells images apart would flatten all others
MEANING = "1: as natural images that drive the unit, 0: as those that drive others"


def is_measured(natural: Stores) -> bool:
    """Whether the stores hold what these figures show."""
    return bool(natural) and all(FAITHFULNESS in store for store in natural)


@styled
def faithfulness(natural: Stores, title: str) -> Figure:
    """The faithfulness of prototypes along training, mean over the units of a layer.

    Args:
        natural: the stores of responses to natural images, conditions in the order of their colours.
        title: of the data set.
    """
    curves = []
    for store in natural:
        table = (
            store[FAITHFULNESS].isel(condition=0, run=0).transpose(schema.REPEAT, schema.EPOCH, schema.UNIT)
        )
        for layer, at in _layers(store).items():
            for repeat in table.values.astype(np.float64):
                part = repeat[:, at]
                curves.append(Curve(condition_of(store), layer, part.shape[1], finite_mean(part, axis=1)))
    return panels(
        curves,
        epoch_axis([int(epoch) for epoch in natural[0][schema.EPOCH].values]),
        heading="Faithfulness of prototypes during training",
        explanation="How alike the layers see a prototype and the natural images that drive its unit most.",
        y_label="faithfulness",
        measure="1: as the unit's, 0: as others'",
        caption=[title, n_of(natural), MEANING],
        lines="each run and repeat",
    )


@styled
def along(natural: Stores, title: str) -> Figure:
    """The same in each layer on the way to the units: a line for each condition and epoch, the last thick.

    Arguments as for `faithfulness`.
    """
    every = _layers(natural[0])
    layers = spread(list(every), LAYERS)
    inner = [str(name) for name in natural[0][INNER].values]
    conditions = list(dict.fromkeys(map(condition_of, natural)))
    epochs = natural[0][schema.EPOCH].values.tolist()
    shown = spread(range(len(epochs)), EPOCHS)
    rows, left, top = -(-len(layers) // ACROSS), MARGIN + 0.6, HEADER + 0.4 + LEGEND
    width = (WIDTH - left - MARGIN - GAP * (ACROSS - 1)) / ACROSS
    page = Page(WIDTH, top + rows * (HEIGHT + BELOW) + FOOTER)
    colour = colours(conditions)
    for k, layer in enumerate(layers):
        row, column = divmod(k, ACROSS)
        axes = page.axes(left + column * (width + GAP), top + row * (HEIGHT + BELOW), width, HEIGHT)
        axes.set_title(shortened(layer, 20))
        units = every[layer].stop - every[layer].start
        axes.set_title(count(units, "unit"), loc="right", color=SOFT, size=10.5, weight="normal")
        tables = {name: _table(natural, name, layer) for name in conditions}
        on_way = np.any([np.isfinite(table).any(0) for table in tables.values()], axis=0)
        if not on_way.any():
            nothing(axes, "no layer tells images apart")
            continue
        for name, table in tables.items():
            _lines(axes, table[shown][:, on_way], colour[name])
        _dress(axes, [name for name, there in zip(inner, on_way, strict=True) if there])
        if column == 0:
            axes.set_ylabel("faithfulness")
    for k, name in enumerate(conditions):
        place = left + k * (WIDTH - left - MARGIN) / len(conditions)
        page.text(place, HEADER + 0.15, shortened(name, 24), 12, colour=colour[name], bold=True)
    named = ", ".join(str(epochs[at]) for at in shown)
    page.frame(
        "Faithfulness of prototypes along the layers",
        "How alike each layer on the way to a unit sees its prototype and the natural images that drive it.",
        [
            title,
            n_of(natural),
            MEANING,
            f"thin to thick: epoch {named}" if len(shown) > 1 else f"epoch {named}",
            "mean over units, repeats, runs; left out: layers that do not tell images of units apart",
            f"cut at {LIMITS[0]:g} and {LIMITS[1]:g}",
        ],
    )
    return page.figure


def _layers(store: xr.Dataset) -> dict[str, slice]:
    return schema.layer_slices(store[schema.UNIT_LAYER].values)


def _table(natural: Stores, condition: str, layer: str) -> Values:
    """(epoch, layers on the way): means over the units, repeats and runs of a condition."""
    own = []
    for store in natural:
        if condition_of(store) == condition:
            chosen = store[ALONG].isel(
                {schema.CONDITION: 0, schema.RUN: 0, schema.UNIT: _layers(store)[layer]}
            )
            table = chosen.transpose(schema.EPOCH, INNER, schema.REPEAT, schema.UNIT).values.astype(
                np.float64
            )
            own.append(finite_mean(table.reshape(*table.shape[:2], -1), axis=2))
    return finite_mean(np.stack(own), axis=0)


def _lines(axes: Axes, table: Values, colour: str) -> None:
    """A line for each epoch, later ones darker and thicker."""
    for k, values in enumerate(table):
        late = (k + 1) / len(table)
        last = k == len(table) - 1
        axes.plot(
            values,
            color=colour,
            lw=2.4 if last else 1.1,
            alpha=1 if last else 0.15 + 0.5 * late,
            marker="o",
            ms=3.4 if last else 2,
            mew=0,
        )


def _dress(axes: Axes, names: Sequence[str]) -> None:
    shown = spread(range(len(names)), NAMES)
    axes.set_xticks(shown, [shortened(names[k], 18) for k in shown], rotation=40, ha="right", size=8)
    axes.axhline(0, color=SOFT, lw=1, ls=(0, (4, 3)))
    axes.axhline(1, color=SOFT, lw=1, ls=(0, (4, 3)))
    axes.margins(x=0.06, y=0.08)
    low, high = axes.get_ylim()
    axes.set_ylim(max(low, LIMITS[0]), min(high, LIMITS[1]))
    axes.grid(axis="y", color=FAINT, lw=0.7)
