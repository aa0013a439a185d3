"""What several claims compare: conditions, layers, halves of training."""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from protoviz.analysis.findings.study import DIVERSITY, over_repeats
from protoviz.store import schema

JITTER, KEEP = PAIR = ("clrjit", "keepclr")
SHALLOW, DEEP = ("layer1", "layer2"), ("layer3", "layer4")


def log(values: xr.DataArray) -> xr.DataArray:
    """Natural logarithm; NaN where a value is not above zero."""
    result: xr.DataArray = xr.apply_ufunc(np.log, values.where(values > 0))
    return result


def ratio(value: xr.DataArray, base: xr.DataArray) -> xr.DataArray:
    """The logarithm of value over base; NaN where one of them is not above zero."""
    return log(value) - log(base)


def log_diversity(measures: xr.Dataset) -> xr.DataArray:
    """Logarithm of the diversity, mean over repeats: (draw, condition, run, epoch, layer)."""
    return log(over_repeats(measures[DIVERSITY], measures))


def growth(curves: xr.DataArray, half: int) -> xr.DataArray | None:
    """Logarithm of the factor by which a curve grows over half the training, at the pace it has in one half.

    The pace is the least-squares slope over the kept epochs of the half, of which there must be at least two.

    Args:
        curves: logarithms, with dimension epoch.
        half: 0 or 1; an epoch in the middle belongs to both.
    """
    epochs = curves[schema.EPOCH].values
    if len(epochs) < 2:
        return None
    middle = epochs[-1] / 2
    place = np.flatnonzero(epochs <= middle if half == 0 else epochs >= middle)
    if len(place) < 2:
        return None
    curve = curves.isel(epoch=place)
    centred = curve[schema.EPOCH] - curve[schema.EPOCH].mean()
    slope = (curve * centred).sum(schema.EPOCH, skipna=False) / (centred**2).sum()
    return slope * middle


def absent_conditions(measures: xr.Dataset) -> tuple[str, ...]:
    """The reasons why the paper's conditions cannot be compared; none if both are there."""
    there = [str(name) for name in measures[schema.CONDITION].values]
    if all(name in there for name in PAIR):
        return ()
    return (f"the comparison needs the conditions {' and '.join(PAIR)}; the study has {', '.join(there)}",)


def absent_layers(measures: xr.Dataset, layers: Sequence[str]) -> tuple[str, ...]:
    """The same for layers."""
    there = [str(name) for name in measures[schema.LAYER].values]
    absent = [name for name in layers if name not in there]
    return (f"{' and '.join(absent)} needed; the study has {', '.join(there)}",) if absent else ()
