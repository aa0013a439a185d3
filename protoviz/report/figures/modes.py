"""How many different images drive the units of each layer during training (F12)."""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from protoviz.report.figures.curves import Stores, condition_of, n_of
from protoviz.report.figures.panels import Curve, epoch_axis, finite_mean, panels
from protoviz.report.figures.style import styled
from protoviz.store import schema, schema_modes
from protoviz.store.attributes import read


@styled
def modes(stores: Stores, title: str) -> Figure:
    """Mean number of modes of a unit along training, without units that nothing drives.

    Args:
        stores: of modes, conditions in the order of their colours.
        title: of the data set.
    """
    starts = stores[0].sizes[schema_modes.START]
    curves = []
    for store in stores:
        network = store.isel(condition=0, run=0)
        count = network[schema_modes.COUNT].transpose(schema.EPOCH, schema.UNIT)
        curves += _curves(store, count.where(count > 0).values.astype(np.float64))
    return panels(
        curves,
        epoch_axis([int(epoch) for epoch in stores[0][schema.EPOCH].values]),
        heading="Images that drive a unit, during training",
        explanation=f"Different images found from {starts} starts, mean over units: a lower bound.",
        y_label="modes",
        measure="images",
        caption=[title, n_of(stores, repeats=False), *said(stores[0])],
        lines="each run",
    )


def said(store: xr.Dataset) -> Sequence[str]:
    """How modes were told apart, and what the number of starts cannot show, for the small print."""
    starts = store.sizes[schema_modes.START]
    asked = read(store).get("modes", {})
    lines = [f"a mode of 1 in 10 starts is missed in {100 * 0.9**starts:.0f} % of units"]
    if asked:
        lines.append(
            f"starts that reach {asked['share']:g} of the best; different: beyond the noise of one start, "
            f"confidence {asked['confidence']:g}"
        )
    return lines


def _curves(store: xr.Dataset, table: np.ndarray) -> list[Curve]:
    """The mean over the units of each layer, from (epoch, unit)."""
    layers = schema.layer_slices(store[schema.LAYER].values)
    return [
        Curve(condition_of(store), layer, at.stop - at.start, finite_mean(table[:, at], axis=1))
        for layer, at in layers.items()
    ]
