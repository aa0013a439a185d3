"""The map of the atlas: where every prototype lies in the plane, encoded compactly."""

import base64
from collections.abc import Iterator
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from protoviz.report.atlas.sources import Network, labels
from protoviz.store import attributes, schema
from protoviz.store.schema_projection import AXIS

STEPS = 65534  # of a coordinate between the least and the greatest value
NOWHERE = 65535  # of a prototype without a place
SEQUENCES = (schema.CONDITION, schema.RUN, schema.REPEAT, schema.EPOCH)
OF_THE_VARIABLE = ("title", "description", "units")  # attributes that do not describe this map


def points(position: xr.DataArray) -> dict[str, Any]:
    """Positions as the page reads them: whole numbers in base64, in the order of the projection.

    Not all networks and repeats of the cube need have a place.

    Args:
        position: (condition, run, repeat, epoch, unit, axis), NaN where a prototype has no place.

    Returns:
        `axes`, the labels along condition, run, repeat and epoch; `x` and `y`, each little-endian uint16 in
        base64, y upwards; `aspect`, width divided by height of the map; `count`, the number of prototypes
        that have a place; `said`, what the attributes say about the map.
    """
    axes = {name: labels(position, name) for name in SEQUENCES}
    values = position.transpose(*SEQUENCES, schema.UNIT, AXIS).to_numpy().reshape(-1, 2).astype(np.float64)
    there = np.isfinite(values).all(axis=1)
    if not there.any():
        return {"axes": axes, "x": "", "y": "", "aspect": 1.0, "count": 0, "said": {}}
    least, greatest = values[there].min(axis=0), values[there].max(axis=0)
    extent = np.where(greatest > least, greatest - least, 1.0)
    whole = np.full(values.shape, NOWHERE, "<u2")
    whole[there] = np.rint((values[there] - least) / extent * STEPS)
    told = sorted(attributes.read(position).items())
    said = {name: value for name, value in told if name not in OF_THE_VARIABLE}
    return {
        "axes": axes,
        "x": _base64(whole[:, 0]),
        "y": _base64(whole[:, 1]),
        "aspect": float(f"{extent[0] / extent[1]:.6g}"),
        "count": int(there.sum()),
        "said": said,
    }


def moments(position: xr.DataArray, network: Network) -> Iterator[tuple[int, int]]:
    """Repeat and epoch of each moment of a network at which prototypes have a place."""
    here = {schema.CONDITION: network.condition, schema.RUN: network.run}
    if any(value not in labels(position, name) for name, value in here.items()):
        return
    for repeat in labels(position, schema.REPEAT):
        for epoch in labels(position, schema.EPOCH):
            at = {**here, schema.REPEAT: repeat, schema.EPOCH: epoch}
            if np.isfinite(position.sel(at).to_numpy()).any():
                yield repeat, epoch


def _base64(values: NDArray[np.uint16]) -> str:
    return base64.b64encode(values.tobytes()).decode("ascii")
