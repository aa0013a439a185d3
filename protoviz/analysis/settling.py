"""What a step of training changes in a prototype, apart from the noise of its synthesis, and when that ends.

Two prototypes of one unit differ even if the network did not change, because each search starts
elsewhere. All distances are squared Euclidean distances between suitable points (pairwise.py), and
starts are independent, so in expectation

    distance between epochs e and f = what was learnt + (N_e + N_f) / 2,

where N_e is the distance between repeats of epoch e. Subtracting the noise leaves an unbiased estimate of
what was learnt; it can be negative where little was.
"""

from collections.abc import Mapping

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from protoviz.store import schema
from protoviz.store.schema_appearance import SETTLING, SETTLING_EPOCH

Floats = NDArray[np.float64]

SETTLED = 0.5  # of the rate before: a unit has settled where its rate stays below this


def noise(between_repeats: xr.DataArray) -> xr.DataArray:
    """The part of every step that comes from the synthesis: half the distance between repeats at both ends.

    Args:
        between_repeats: with dimension epoch.

    Returns:
        With dimension step instead; NaN where a network has one repeat only.
    """
    ends = between_repeats.drop_vars(schema.EPOCH, errors="ignore")
    first = ends.isel(epoch=slice(None, -1)).rename(epoch=schema.STEP)
    second = ends.isel(epoch=slice(1, None)).rename(epoch=schema.STEP)
    return (first + second) / 2


def learning(between_epochs: xr.DataArray, between_repeats: xr.DataArray) -> xr.DataArray:
    """The distance between neighbouring kept epochs without the noise of the synthesis.

    Args:
        between_epochs: with dimension step.
        between_repeats: the same without repeat, with epoch instead of step.
    """
    return (between_epochs - noise(between_repeats)).transpose(*between_epochs.dims)


def settling_epochs(change: Floats, epochs: NDArray[np.int64]) -> Floats:
    """The epoch at which each unit settles: the change point of its rate of change, by least squares.

    Two levels are fitted to the rate (change per epoch, weighted by the epochs of each step), the later
    at most `SETTLED` times the earlier. The change point that leaves the least squares is the
    epoch at which the later level begins.

    >>> settling_epochs(np.array([5.0, 4.0, 1.0, 1.0]), np.array([0, 1, 2, 3, 4]))
    array(2.)

    Args:
        change: (..., S) distance between neighbouring kept epochs; NaN in a unit that was not alive.
        epochs: (S + 1,), ascending.

    Returns:
        (...); the last epoch for units that never settle, NaN for units with a gap or fewer than two steps.
    """
    steps = change.shape[-1]
    found = np.full(change.shape[:-1], np.nan)
    if steps < 2:
        return found
    gaps = np.diff(epochs).astype(np.float64)
    weight, total = np.cumsum(gaps), np.cumsum(change, -1)
    before = total[..., :-1] / weight[:-1]
    after = (total[..., -1:] - total[..., :-1]) / (weight[-1] - weight[:-1])
    # How much a change point reduces the sum of squares.
    gain = weight[:-1] * (weight[-1] - weight[:-1]) / weight[-1] * (before - after) ** 2
    gain = np.where((before > 0) & (after <= SETTLED * before), gain, -1.0)
    best = gain.argmax(-1)
    settles = np.take_along_axis(gain, best[..., None], -1)[..., 0] > 0
    place = np.where(settles, best + 1, steps)
    whole = np.isfinite(change).all(-1)
    return np.where(whole, np.asarray(epochs, np.float64)[place], found)


def in_space(store: xr.Dataset, name: str, space: Mapping[str, str]) -> xr.Variable:
    """A variable of a store in one space, as far as it depends on it, without its coordinates."""
    variable = store.variables[name]
    places = {
        axis: store.get_index(axis).get_loc(value) for axis, value in space.items() if axis in variable.dims
    }
    return variable.isel(places)


def settled(store: xr.Dataset, space: Mapping[str, str]) -> NDArray[np.float32]:
    """The settling epochs of the units of one network, (condition, run, repeat, unit): see `units`."""

    def apart(name: str) -> xr.DataArray:
        return xr.DataArray(in_space(store, name, space)).astype(np.float64)

    change = apart(schema.BETWEEN_EPOCHS)
    if store.sizes[schema.REPEAT] > 1:
        change = learning(change, apart(schema.BETWEEN_REPEATS))
    table = change.transpose(schema.CONDITION, schema.RUN, schema.REPEAT, schema.UNIT, schema.STEP).values
    return settling_epochs(table, store[schema.EPOCH].values).astype(np.float32)


def units(store: xr.Dataset, space: Mapping[str, str]) -> xr.Dataset:
    """The store of the settling epochs of one network, in the schema of the units.

    Args:
        store: the distances of the network.
        space: in which to look at them.

    Returns:
        `settling_epoch` (condition, run, repeat, unit): from the rate without noise where there are two
        repeats, from the rate as measured where there is one.
    """
    variable = SETTLING[SETTLING_EPOCH]
    names = [axis.name for axis in SETTLING.coordinates]
    found = xr.Dataset(
        {variable.name: (variable.dims, settled(store, space))},
        {name: store[name].variable for name in names},
    )
    return found.assign_attrs({f"space_{name}": value for name, value in space.items()})
