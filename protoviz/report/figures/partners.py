"""The share of units with a partner in another run, along training, one panel for each layer (F13)."""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from protoviz.analysis import partners
from protoviz.report.figures.panels import Curve, epoch_axis, panels
from protoviz.report.figures.style import message, styled
from protoviz.store import schema
from protoviz.store import schema_matching as names

SHARES = {  # variable -> heading, explanation
    names.SHARE_MATCHED: (
        "Units with a partner in another run",
        "Share of units whose responses correlate with their partner's beyond what shuffled images give.",
    ),
    names.SHARE_BEYOND_SPACE: (
        "Units with a partner beyond a common space",
        "Share of units that correlate with their partner beyond random directions in the other run's space.",
    ),
}


def known(matching: xr.Dataset | None, name: str) -> bool:
    """Whether there is anything to draw: two runs of a condition whose responses were compared."""
    return matching is not None and bool(
        np.isfinite(matching[name].values[partners.same_condition(matching)]).any()
    )


@styled
def matched(matching: xr.Dataset | None, name: str, conditions: Sequence[str], title: str) -> Figure:
    """One share along training, a line for each pair of runs.

    Args:
        matching: the store of matched units; None if there is none.
        name: a key of `SHARES`.
        conditions: in the order of their colours.
        title: of the data set.
    """
    heading, explanation = SHARES[name]
    if matching is None or not known(matching, name):
        return message(heading, "No two runs of a condition were compared.", [title])
    layer_of_unit = [str(layer) for layer in matching[schema.UNIT_LAYER].values]
    same = partners.same_condition(matching)
    curves = []
    for condition in conditions:
        ours = same & (matching[names.FIRST[0]].values == condition)
        for values in matching[name].values[ours].astype(np.float64):
            for k, layer in enumerate(matching[schema.LAYER].values):
                units = layer_of_unit.count(str(layer))
                curves.append(Curve(condition, str(layer), units, 100 * values[:, k]))
    error = float(matching.attrs["error"])
    return panels(
        curves,
        epoch_axis([int(epoch) for epoch in matching[schema.EPOCH].values]),
        heading=heading,
        explanation=explanation,
        y_label="units",
        measure="%",
        caption=[
            title,
            f"dashed: {100 * error:g} %, by chance",
            "best one-to-one assignment, found and by chance",
        ],
        lines="each pair of runs",
        from_zero=True,
        chance=100 * error,
    )
