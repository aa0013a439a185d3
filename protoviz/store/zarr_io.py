"""Zarr stores on disk: whole, with checksums, and of the same bytes whenever the data are the same.

Small stores (receptive fields, distances) are written and read whole here; the cube, which is
written piece by piece, has its own module and takes the format from this one.
"""

import json
import warnings
from pathlib import Path

import numpy as np
import xarray as xr
import zarr
from zarr.codecs import ZstdCodec

from protoviz import files
from protoviz.errors import StudyError
from protoviz.store import schema

METADATA = "zarr.json"
COMPRESSOR = ZstdCodec(level=9, checksum=True)  # without the checksum, damaged bytes are read in silence


def write_dataset(path: str | Path, dataset: xr.Dataset, store: schema.Store | None = None) -> None:
    """Write a data set as a Zarr v3 store that exists only when it is complete.

    Every array is one chunk. The bytes depend on nothing but the data set.

    Args:
        path: the folder of the store; what stood there is replaced.
        dataset: in memory; not changed.
        store: the schema that the data set has to follow; its descriptions and units are added.

    Raises:
        StudyError: the data set does not follow the schema, or the disk is full.
    """
    if store is not None:
        dataset = _described(dataset, store, str(path))
    with files.complete(path) as partial:
        write(partial, dataset)


def open_dataset(path: str | Path) -> xr.Dataset:
    """Read a store of `write_dataset` into memory.

    Raises:
        StudyError: there is no such store, or it is incomplete or damaged.
    """
    if not (Path(path) / METADATA).is_file():
        raise files.missing(path)
    try:
        dataset: xr.Dataset = xr.open_zarr(path, chunks=None).load()
        _require_chunks(Path(path))
    except (OSError, ValueError, RuntimeError) as error:
        raise StudyError(
            str(path),
            expected="a complete store",
            found=" ".join(str(error).split()) or type(error).__name__,
            remedy="run the stage that writes it again, or `dvc checkout` it",
        ) from error
    dataset.encoding = {}
    for variable in dataset.variables.values():
        variable.encoding = {}
    return dataset


def write(path: Path, dataset: xr.Dataset) -> None:
    """Write all arrays of a data set to a new folder, each as one chunk, and consolidate the metadata."""
    named = {name: _storable(array) for name, array in dataset.variables.items()}
    coordinates = {name: named.pop(name) for name in list(dataset.coords)}
    stored = xr.Dataset(named, coordinates, dataset.attrs)
    encoding = {
        name: {"compressors": (COMPRESSOR,), "chunks": array.shape}
        for name, array in stored.variables.items()
    }
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Consolidated metadata")
        stored.to_zarr(
            path, mode="w", zarr_format=3, consolidated=False, encoding=encoding, write_empty_chunks=True
        )
    consolidate(path)


def consolidate(path: Path) -> None:
    """Gather the metadata of all arrays in the store's own, in alphabetical order.

    A store is then opened by reading one file, and plain xarray opens it without a warning.
    """
    with warnings.catch_warnings():
        # The format has no word on consolidated metadata yet; every reader that we name knows them.
        warnings.filterwarnings("ignore", message="Consolidated metadata")
        zarr.consolidate_metadata(path, zarr_format=3)
    metadata = json.loads((path / METADATA).read_text())
    arrays = metadata["consolidated_metadata"]["metadata"]
    # Zarr lists the arrays in the order of the directory, which differs between file systems.
    metadata["consolidated_metadata"]["metadata"] = {name: arrays[name] for name in sorted(arrays)}
    (path / METADATA).write_text(json.dumps(metadata, indent=2))


def _storable(array: xr.Variable) -> xr.Variable:
    """The array without an encoding of earlier files, and text as variable-length strings."""
    values = array.to_numpy()
    if values.dtype.kind in "UO":
        values = values.astype(schema.TEXT)
    return xr.Variable(array.dims, values, array.attrs)


def _require_chunks(path: Path) -> None:
    """Zarr reads a chunk that is not there as fill values, in silence: look for all of them."""
    group = zarr.open_group(path, mode="r")
    for name, array in group.arrays():
        if array.nchunks_initialized != array.nchunks:
            raise ValueError(f"{name} without its data")


def _described(dataset: xr.Dataset, store: schema.Store, where: str) -> xr.Dataset:
    wanted = {array.name: array for array in store.variables}
    if set(dataset.data_vars) != set(wanted):
        raise _differs(
            where, "variables " + ", ".join(sorted(wanted)), ", ".join(sorted(map(str, dataset.data_vars)))
        )
    names = {axis.name for axis in store.coordinates}
    if not names <= set(dataset.coords):
        raise _differs(
            where, "coordinates " + ", ".join(sorted(names)), ", ".join(sorted(map(str, dataset.coords)))
        )
    described = dataset.copy(deep=False)
    for name, variable in wanted.items():
        array = dataset[name]
        if array.dims != variable.dims:
            raise _differs(f"{where}: {name}", f"dimensions {variable.dims}", str(array.dims))
        if array.dtype != variable.dtype:
            raise _differs(f"{where}: {name}", str(np.dtype(variable.dtype)), str(array.dtype))
        described[name] = array.assign_attrs(variable.attributes())
    for axis in store.coordinates:
        described[axis.name] = dataset[axis.name].assign_attrs(description=axis.description)
    described.attrs = {"title": store.title, **dataset.attrs}
    return described


def _differs(where: str, expected: str, found: str) -> StudyError:
    return StudyError(
        where, expected=expected, found=found, remedy="make the writer and protoviz/store/schema.py agree"
    )
