"""Whether a store holds what it should: schema, coordinates, gaps, checksums, states.

Everything is read, nothing is changed. What is found is a list of problems, each with its place as a
scientist names it (condition, run, repeat, epoch); after an empty list the store can be trusted.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr

from protoviz.store import cube, schema, zarr_io

_OUTER = (schema.CONDITION, schema.RUN, schema.REPEAT, schema.EPOCH)
_NUMBERS = (schema.ACTIVATION, schema.LATENT)  # finite in what is called converged


@dataclass(frozen=True)
class Problem:
    """What is wrong, and where: "condition clrjit, run 1, repeat 0, epoch 2", a coordinate, a file."""

    where: str
    found: str

    def __str__(self) -> str:
        return f"{self.where}: {self.found}"


def check(path: str | Path) -> list[Problem]:
    """Read a store and list what is wrong with it.

    Args:
        path: of a cube or of another store of `schema.STORES`; of any other Zarr store the coordinates,
            gaps and checksums are checked.
    """
    path = Path(path)
    try:
        group = zarr.open_group(path, mode="r")
        arrays: dict[str, Any] = dict(group.arrays())
    except Exception as error:  # whatever zarr makes of metadata that are damaged or not there
        return [Problem("the store", f"cannot be opened: {_said(error)}")]
    try:
        dataset: xr.Dataset = xr.open_zarr(path, chunks=None)
    except Exception as error:
        labels = {name: array for name, array in arrays.items() if array.ndim == 1}
        return list(_shards(path, None, labels)) or [
            Problem("the store", f"cannot be opened: {_said(error)}")
        ]
    with dataset:
        kind = next((kind for kind in schema.STORES if kind.title == dataset.attrs.get("title")), None)
        problems = list(_structure(dataset, arrays, kind)) if kind else []
        problems += _shards(
            path, None, {name: array for name, array in arrays.items() if name in dataset.coords}
        )
        if problems:  # what the shards hold cannot be told without labels
            return problems
        problems += _coordinates(dataset, kind)
        problems += _strays(path, arrays)
        problems += _shards(
            path, dataset, {name: array for name, array in arrays.items() if name in dataset.data_vars}
        )
        if kind is schema.CUBE:
            problems += _states(dataset)
    return problems


def place(path: str | Path, file: str) -> str:
    """What a file of a store holds, in words, such as a shard of one (condition, run, repeat, epoch)."""
    name, _, position = file.partition("/c/")
    try:
        array: Any = zarr.open_group(path, mode="r")[name]
        with xr.open_zarr(path, chunks=None) as dataset:
            if name in dataset.data_vars:
                labels = _labels(dataset, array, [int(index) for index in position.split("/")])
                return f"{labels}: {name}" if labels else f"variable {name}"
            return f"coordinate {name}" if name in dataset.coords else f"file {file}"
    except Exception:  # of a damaged store the file alone can be named
        return f"file {file}"


def _structure(dataset: xr.Dataset, arrays: dict[str, Any], kind: schema.Store) -> Iterator[Problem]:
    """Variables and coordinates are those of the schema."""
    for variable in kind.variables:
        if variable.name not in dataset.data_vars:
            yield Problem(f"variable {variable.name}", "missing")
            continue
        stored = arrays[variable.name]
        states = [int(state) for state in variable.states] if variable.states else None
        wanted = {
            "dimensions": (variable.dims, stored.metadata.dimension_names),
            "type": (variable.dtype, stored.dtype),
            "unit": (variable.units, stored.attrs.get("units")),
            "states": (states, stored.attrs.get("flag_values")),
        }
        for what, (expected, found) in wanted.items():
            if expected != found:
                yield Problem(f"variable {variable.name}", f"{what} {found} in place of {expected}")
    for axis in kind.coordinates:
        if axis.name not in dataset.coords:
            yield Problem(f"coordinate {axis.name}", "missing")
        elif dataset[axis.name].dims != axis.dims or dataset[axis.name].dtype != axis.dtype:
            found = f"{dataset[axis.name].dtype} {dataset[axis.name].dims}"
            yield Problem(f"coordinate {axis.name}", f"{found} in place of {axis.dtype} {axis.dims}")


def _coordinates(dataset: xr.Dataset, kind: schema.Store | None) -> Iterator[Problem]:
    """Along a dimension of their own no two labels are the same; units are counted in order."""
    for name, coordinate in dataset.coords.items():
        labels = coordinate.to_numpy().tolist()
        if coordinate.dims == (name,) and len(set(labels)) != len(labels):
            yield Problem(f"coordinate {name}", f"labels that are not distinct: {labels}")
    units = [dataset[name].to_numpy() for name in schema.UNIT_LABELS if kind is schema.CUBE]
    if units and not schema.in_order(*units):
        yield Problem(f"coordinate {schema.CHANNEL}", "not layer after layer, the channels of each ascending")


def _strays(path: Path, arrays: dict[str, Any]) -> Iterator[Problem]:
    """No file that belongs to no array, left by a killed writer or of another template."""
    known = {zarr_io.METADATA}
    for name, array in arrays.items():
        known.add(f"{name}/{zarr_io.METADATA}")
        known.update(_file(name, position) for position in _positions(array))
    for file in sorted(path.rglob("*")):
        relative = file.relative_to(path).as_posix()
        if file.is_file() and relative not in known:
            yield Problem(f"file {relative}", "belongs to no array of the store")


def _shards(path: Path, dataset: xr.Dataset | None, arrays: dict[str, Any]) -> Iterator[Problem]:
    """Every shard is there, and all in it can be read, by which the codecs compare the checksums."""
    for name, array in arrays.items():
        for position in _positions(array):
            where = f"coordinate {name}" if dataset is None else _labels(dataset, array, position)
            if not (path / _file(name, position)).is_file():
                yield Problem(where or f"variable {name}", f"no shard of {name}")
                continue
            step = array.shards or array.chunks
            try:
                array[tuple(slice(i * n, (i + 1) * n) for i, n in zip(position, step, strict=True))]
            except Exception as error:  # whatever the codecs say
                yield Problem(where or f"variable {name}", f"{name} is damaged: {_said(error)}")


def _states(dataset: xr.Dataset) -> Iterator[Problem]:
    """No prototype is missing, every state has a name, and what is called converged has finite numbers."""
    for position, address in cube.addresses(dataset):
        try:
            states = dataset[schema.STATUS][position].to_numpy()
            numbers = [dataset[name][position].to_numpy().reshape(len(states), -1) for name in _NUMBERS]
        except Exception:  # `_shards` has said it
            continue
        missing = states == schema.Status.MISSING
        unnamed = ~np.isin(states, [int(state) for state in schema.Status])
        finite = np.all([np.isfinite(values).all(axis=1) for values in numbers], axis=0)
        infinite = (states == schema.Status.CONVERGED) & ~finite
        for which, what in ((missing, "missing"), (unnamed, "in a state without a name")):
            if which.any():
                yield Problem(str(address), f"{which.sum()} of {states.size} prototypes {what}")
        if infinite.any():
            yield Problem(str(address), f"{infinite.sum()} prototypes called converged that are not finite")


def _labels(dataset: xr.Dataset, array: Any, position: list[int]) -> str:
    """The labels of a shard, "condition clrjit, run 1, ...", of the dimensions of which it has one."""
    said = []
    for dim, at, step in zip(
        array.metadata.dimension_names, position, array.shards or array.chunks, strict=True
    ):
        if dim in _OUTER and dim in dataset.coords:
            labels = dataset[dim].to_numpy().tolist()[at * step : (at + 1) * step]
            said += [f"{dim} {labels[0]}"] if len(labels) == 1 else []
    return ", ".join(said)


def _positions(array: Any) -> Iterator[list[int]]:
    """Of every shard of an array."""
    step = array.shards or array.chunks
    counts = [-(-length // size) if size else 0 for length, size in zip(array.shape, step, strict=True)]
    yield from map(list, product(*map(range, counts)))


def _file(name: str, position: list[int]) -> str:
    return "/".join([name, "c", *map(str, position)])


def _said(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
