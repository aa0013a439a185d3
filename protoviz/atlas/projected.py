"""The map of the atlas: where every prototype lies in the plane, small enough to send."""

import base64
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from protoviz import schema
from protoviz.schema_projection import AXIS

STEPS = 65534  # of a coordinate between the least and the greatest value
NOWHERE = 65535  # of a prototype without a place
OF_THE_VARIABLE = ("description", "units")  # attributes that say nothing of this map


def points(position: xr.DataArray) -> dict[str, Any]:
    """Positions as the page reads them: whole numbers in base64, in the order of the cube.

    Args:
        position: (condition, run, repeat, epoch, unit, axis), NaN where a prototype has no place.

    Returns:
        `x` and `y`, each little-endian uint16 in base64, y upwards; `aspect`, width by height of the map;
        `count` of those that have a place; `said`, what the attributes say of the map.
    """
    order = (schema.CONDITION, schema.RUN, schema.REPEAT, schema.EPOCH, schema.UNIT, AXIS)
    values = position.transpose(*order).to_numpy().reshape(-1, 2).astype(np.float64)
    there = np.isfinite(values).all(axis=1)
    if not there.any():
        return {"x": "", "y": "", "aspect": 1.0, "count": 0, "said": {}}
    least, greatest = values[there].min(axis=0), values[there].max(axis=0)
    extent = np.where(greatest > least, greatest - least, 1.0)
    whole = np.full(values.shape, NOWHERE, "<u2")
    whole[there] = np.rint((values[there] - least) / extent * STEPS)
    said = {name: value for name, value in sorted(position.attrs.items()) if name not in OF_THE_VARIABLE}
    return {
        "x": _base64(whole[:, 0]),
        "y": _base64(whole[:, 1]),
        "aspect": float(f"{extent[0] / extent[1]:.6g}"),
        "count": int(there.sum()),
        "said": said,
    }


def _base64(values: NDArray[np.uint16]) -> str:
    return base64.b64encode(values.tobytes()).decode("ascii")
