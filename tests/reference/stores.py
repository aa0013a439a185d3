"""A small store of every kind, filled with what its schema allows."""

import numpy as np
import xarray as xr

from protoviz.store import schema, zarr_io

LENGTHS = {schema.UNIT: 6, schema.Y: 4, schema.X: 4, schema.RGB: 3}  # the others have 2
LAYERS = ["layer1"] * 3 + ["läyer2.0"] * 3
ATTRIBUTES = {
    "synthesis": {"ascent": {"steps": 3, "lr": 0.1}, "prior": None, "layers": ["a", "b"]},
    "versions": {"torch": "2"},
    "nothing": None,
    "sure": True,
    "images": 1000,
    "numbers": [1, 2.5],
    "names": ["a", "b"],
    "told": "[in] words",
}


def dataset(kind):
    """Values of every type: text, numbers up to their greatest, NaN."""
    rng = np.random.default_rng(0)
    lengths = {
        dim: LENGTHS.get(dim, 2) for array in (*kind.coordinates, *kind.variables) for dim in array.dims
    }

    def labels(axis):
        if axis.name in (schema.LAYER, schema.UNIT_LAYER) and axis.dims == (schema.UNIT,):
            return np.array(LAYERS, dtype=schema.TEXT)
        if axis.name == schema.CHANNEL:
            return np.array([0, 1, 2, 0, 1, 2])
        count = lengths[axis.dims[0]]
        if axis.dtype == schema.TEXT:
            return np.array([f"{axis.name} {i}" for i in range(count)], dtype=schema.TEXT)
        return np.arange(count).astype(axis.dtype)

    def values(variable):
        shape = tuple(lengths[dim] for dim in variable.dims)
        if variable.states is not None:
            return rng.integers(1, len(variable.states), shape).astype(variable.dtype)
        if variable.dtype.kind == "f":
            return np.where(rng.random(shape) < 0.2, np.nan, rng.standard_normal(shape)).astype(
                variable.dtype
            )
        return rng.integers(0, min(np.iinfo(variable.dtype).max, 255) + 1, shape).astype(variable.dtype)

    return xr.Dataset(
        {variable.name: (variable.dims, values(variable)) for variable in kind.variables},
        {axis.name: (axis.dims, labels(axis)) for axis in kind.coordinates},
        ATTRIBUTES,
    )


def write(path, kind):
    """Write it; return the path."""
    zarr_io.write_dataset(path, dataset(kind), kind)
    return path
