"""Whether a store is right: schema, coordinates, gaps, checksums, states, and the manifest of its files.

Nothing is changed. The result is a list of problems, each with its place as a scientist names it (condition,
run, repeat, epoch); if the list is empty, the store can be trusted.

There are two depths. `problems` reads every byte. `problems(..., fast=True)` reads only the coordinates and
the states, and checks that all other shards exist: thousands of files in a second, for a stage that is about
to read them and finds damaged ones by their checksums. It needs no manifest, so a store can be checked before
it gets one.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr

from protoviz import digests
from protoviz.errors import StudyError, said
from protoviz.store import manifest, schema

_OUTER = (schema.CONDITION, schema.RUN, schema.REPEAT, schema.EPOCH)
_NUMBERS = {schema.ACTIVATION, schema.LATENT}  # finite in converged prototypes
_REMEDY = "remove the store and run `make repro`, which makes it anew"
_OLD = (
    "not there: the store was made by an older version or another program, or has lost it; no one can tell "
    "whether it is as it was written"
)


@dataclass(frozen=True)
class Problem:
    """What is wrong, and where: "condition clrjit, run 1, repeat 0, epoch 2", a coordinate, a file.

    Attributes:
        where: in words.
        found: what is wrong there.
        file: the file of the store that is to blame, if it is a file.
    """

    where: str
    found: str
    file: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.found}"


def problems(path: str | Path, kind: schema.Store | None, *, fast: bool = False) -> list[Problem]:
    """Read a store and list what is wrong with it.

    Args:
        path: of the store.
        kind: the kind it has to be, see `kinds.kind_of`; None: coordinates, gaps, checksums, manifest only.
        fast: read no more than coordinates and states, as described above.
    """
    path = Path(path)
    try:
        listed = manifest.read_arrays(path)
        arrays: dict[str, Any] = dict(zarr.open_group(path, mode="r").arrays())
    except Exception as error:  # whatever zarr raises for metadata that are damaged or missing
        return [Problem("the store", f"cannot be opened: {said(error)}", manifest.METADATA)]
    dataset: xr.Dataset | None = None
    try:
        dataset = xr.open_zarr(path, chunks=None)
    except Exception as error:
        labels = {name: array for name, array in arrays.items() if array.ndim == 1}
        found = list(_shards(path, None, listed, labels, fast=False))
        found = found or [Problem("the store", f"cannot be opened: {said(error)}")]
    else:
        found = _contents(path, dataset, listed, arrays, kind, fast)
    return found if fast else [*found, *_files(path, dataset, listed, arrays, found)]


def require(path: str | Path, kind: schema.Store | None, *, fast: bool = False) -> None:
    """Check that a store is right; see `problems`.

    Raises:
        StudyError: naming the first thing that is wrong with it.
    """
    for problem in problems(path, kind, fast=fast):
        where, expected = f"{path}: {problem.where}", "a whole store"
        raise StudyError(where, expected=expected, found=problem.found, remedy=_REMEDY)


def place(path: str | Path, file: str) -> str:
    """What a file of a store holds, in words, such as a shard of one (condition, run, repeat, epoch)."""
    try:
        arrays = dict(zarr.open_group(path, mode="r").arrays())
        with xr.open_zarr(path, chunks=None) as dataset:
            return _place(dataset, arrays, file)
    except Exception:  # in a damaged store, only the file can be named
        return f"file {file}"


def _contents(
    path: Path,
    dataset: xr.Dataset,
    listed: manifest.Arrays,
    arrays: dict[str, Any],
    kind: schema.Store | None,
    fast: bool,
) -> list[Problem]:
    """What is wrong with what a store holds."""
    found = list(_structure(dataset, arrays, kind)) if kind else []
    labels = {name: array for name, array in arrays.items() if name in dataset.coords}
    found += _shards(path, None, listed, labels, fast=False)
    if found:  # what the shards hold cannot be told without labels
        return found
    found += _coordinates(dataset, kind)
    data = {name: array for name, array in arrays.items() if name in dataset.data_vars}
    found += _shards(path, dataset, listed, data, fast)
    if kind is schema.CUBE:
        found += _states(dataset, listed, arrays, {problem.file for problem in found}, fast)
    return found


def _structure(dataset: xr.Dataset, arrays: dict[str, Any], kind: schema.Store) -> Iterator[Problem]:
    """Variables and coordinates are those of the schema."""
    for variable in kind.variables:
        if variable.name not in dataset.data_vars:
            if variable.optional:
                continue
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
        if axis.name not in dataset.coords and axis.optional:
            continue
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
            file = manifest.shard_file(str(name), (0,))
            yield Problem(f"coordinate {name}", f"labels that are not distinct: {labels}", file)
    units = [dataset[name].to_numpy() for name in schema.UNIT_LABELS if kind is schema.CUBE]
    if units and not schema.in_order(*units):
        file = manifest.shard_file(schema.CHANNEL, (0,))
        yield Problem(
            f"coordinate {schema.CHANNEL}", "not layer after layer, the channels of each ascending", file
        )


def _shards(
    path: Path, dataset: xr.Dataset | None, listed: manifest.Arrays, arrays: dict[str, Any], fast: bool
) -> Iterator[Problem]:
    """Every shard exists and can be read, for which the codecs compare the checksums."""
    for name, array in arrays.items():
        for position in manifest.shards(listed[name]):
            file = manifest.shard_file(name, position)
            if there := manifest.holds(path, file):
                if fast:
                    continue
                try:
                    array[_extent(array, position)]
                    continue
                except Exception as error:  # whatever the codecs say
                    wrong = f"{name} is damaged: {said(error)}"
            where = f"coordinate {name}" if dataset is None else _labels(dataset, array, position)
            yield Problem(where or f"variable {name}", wrong if there else f"no shard of {name}", file)


def _states(
    dataset: xr.Dataset, listed: manifest.Arrays, arrays: dict[str, Any], known: set[str], fast: bool
) -> Iterator[Problem]:
    """No prototype is missing, every state has a name, and converged prototypes have finite numbers.

    Args:
        dataset: a cube.
        listed: its arrays.
        arrays: likewise, open.
        known: files with a problem that is already reported.
        fast: leave out the numbers.
    """
    array = arrays[schema.STATUS]
    for position in manifest.shards(listed[schema.STATUS]):
        where = _labels(dataset, array, position) or f"variable {schema.STATUS}"
        file = manifest.shard_file(schema.STATUS, position)
        if file in known:
            continue
        extent = _extent(array, position)
        try:
            states = np.asarray(array[extent])
        except Exception as error:
            yield Problem(where, f"{schema.STATUS} is damaged: {said(error)}", file)
            continue
        missing = states == schema.Status.MISSING
        unnamed = ~np.isin(states, [int(state) for state in schema.Status])
        for which, what in ((missing, "missing"), (unnamed, "in a state without a name")):
            if which.any():
                yield Problem(where, f"{which.sum()} of {states.size} prototypes {what}", file)
        for name in () if fast else arrays.keys() & _NUMBERS:
            inner = (0,) * (arrays[name].ndim - len(position))
            file = manifest.shard_file(name, (*position, *inner))
            if file not in known:
                values = np.asarray(arrays[name][extent]).reshape(*states.shape, -1)
                infinite = (states == schema.Status.CONVERGED) & ~np.isfinite(values).all(axis=-1)
                if infinite.any():
                    wrong = f"{infinite.sum()} prototypes called converged whose {name} is not finite"
                    yield Problem(where, wrong, file)


def _files(
    path: Path,
    dataset: xr.Dataset | None,
    listed: manifest.Arrays,
    arrays: dict[str, Any],
    found: Iterable[Problem],
) -> Iterator[Problem]:
    """No file is lost, unknown or changed since it was written, except those already reported."""
    own, known = manifest.manifest_file(listed), {problem.file for problem in found}
    there = {file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file()} - {own}
    actual = {file: digests.of_file(path / file) for file in there}
    for name in manifest.disagreeing(listed, actual):
        file = f"{name}/{manifest.METADATA}"
        wrong = "unlike its copy in zarr.json" if file in there else "missing"
        known.add(file)
        yield Problem(f"file {file}", wrong, file)
    for file in sorted(there.difference(manifest.all_files(listed))):
        known.add(file)
        yield Problem(f"file {file}", "belongs to no array of the store", file)
    try:
        written = manifest.read(path)
    except FileNotFoundError:
        yield Problem("the manifest", _OLD, own)
        return
    except (OSError, ValueError) as error:
        yield Problem("the manifest", f"cannot be read: {said(error)}", own)
        return
    for file in sorted(written.keys() | there):
        if written.get(file) != actual.get(file) and file not in known:
            wrong = "changed since it was written" if file in written else "not in the manifest"
            where = f"file {file}" if dataset is None else _place(dataset, arrays, file)
            yield Problem(where, wrong if file in there else "in the manifest, but not there", file)


def _place(dataset: xr.Dataset, arrays: dict[str, Any], file: str) -> str:
    name, _, rest = file.partition("/c/")
    position = [int(index) for index in rest.split("/") if index.isdecimal()]
    if name in dataset.data_vars and len(position) == arrays[name].ndim:
        labels = _labels(dataset, arrays[name], position)
        return f"{labels}: {name}" if labels else f"variable {name}"
    return f"coordinate {name}" if name in dataset.coords else f"file {file}"


def _labels(dataset: xr.Dataset, array: Any, position: Iterable[int]) -> str:
    """The labels of a shard, "condition clrjit, run 1, ...", of the dimensions of which it has one."""
    labelled = []
    for dim, at in zip(array.metadata.dimension_names, _extent(array, position), strict=True):
        if dim in _OUTER and dim in dataset.coords:
            labels = dataset[dim].to_numpy().tolist()[at]
            labelled += [f"{dim} {labels[0]}"] if len(labels) == 1 else []
    return ", ".join(labelled)


def _extent(array: Any, position: Iterable[int]) -> tuple[slice, ...]:
    """What a shard holds of an array."""
    steps = zip(position, array.shards or array.chunks, strict=True)
    return tuple(slice(at * step, (at + 1) * step) for at, step in steps)
