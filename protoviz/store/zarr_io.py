"""Zarr stores on disk: whole, with checksums, and byte for byte the same for the same data.

Small stores (receptive fields, distances) are written and read whole here; the cube, which is
written piece by piece, has its own module and takes the format from this one.

Readers of a store open it with xarray alone and go on with other libraries, so it holds what these
understand:

* Labels are stored as Zarr's `string`, with the attribute `missing_value` "" of the CF conventions. It makes
  xarray give Python strings (dtype object); without it they would be NumPy's StringDType, which neither
  scikit-learn nor `astype(str)` takes. From there they go unchanged through pandas, scikit-learn, pickle,
  `to_netcdf` and `to_zarr`. The alternative, fixed-length text, is not a data type of the Zarr format: every
  `to_zarr` of a reader would warn. The attribute means that no label may be empty. Where dask is asked to
  find chunks of its own (`chunks="auto"`) it refuses arrays of objects: open with `chunks=None` or
  `chunks={}`.
* Attributes are numbers, text and lists of numbers; see `attributes`.
* NetCDF has no 16-bit floats, and NetCDF 3, all that SciPy writes, no unsigned bytes above 127. Cast these:
  `cube.assign(latent=cube.latent.astype("float32"), image=cube.image.astype("int16")).to_netcdf(path)`.
* A manifest tells whether files are as they were written; see `manifest`.
"""

import asyncio
import json
import uuid
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

import numpy as np
import xarray as xr
import zarr
from zarr.codecs import ZstdCodec
from zarr.core.buffer import Buffer
from zarr.storage import LocalStore

from protoviz import files
from protoviz.errors import StudyError
from protoviz.store import attributes, manifest, schema
from protoviz.store.manifest import METADATA

# Level 15: images of few colours take a sixth less than at 9, for 5 ms each of 100 px. Higher ones gain 2 %
# for twice the time. Without the checksum, damaged bytes are read silently.
COMPRESSOR = ZstdCodec(level=15, checksum=True)


class LastingStore(LocalStore):
    """A store on disk whose files are either whole or absent, even after a power cut.

    Zarr's own store gives a file its name without forcing it to the disk. That is harmless in a store that
    becomes visible as a whole (`files.complete`), but not where single files say that something is done.
    """

    async def set(self, key: str, value: Buffer) -> None:
        """Write a file, as Zarr asks for it."""
        await asyncio.to_thread(self.set_sync, key, value)

    def set_sync(self, key: str, value: Buffer) -> None:
        """The same, for callers that wait."""
        target = self.root / key
        files.make_folder(target.parent)
        # A name of its own: a worker that a cluster has given up for lost may write the same file.
        partial = target.with_name(f".{target.name}.{uuid.uuid4().hex}.partial")
        try:
            partial.write_bytes(value.as_buffer_like())
            files.settle(partial, target)
        finally:
            files.remove(partial)


def write_dataset(path: str | Path, dataset: xr.Dataset, store: schema.Store | None = None) -> None:
    """Write a data set as a Zarr v3 store that exists only when it is complete.

    Every array is one chunk, unless the schema says (`by`) along which dimension it is cut. The bytes depend
    on nothing but the data set.

    Args:
        path: the folder of the store; what stood there is replaced.
        dataset: in memory, or mapped from the disk; not changed.
        store: the schema that the data set has to follow; its descriptions and units are added.

    Raises:
        StudyError: the data set does not follow the schema, or the disk is full.
    """
    if store is not None:
        dataset = described(dataset, store, str(path))
    cut = {one.name: one.by for one in store.variables if one.by} if store is not None else {}
    with files.complete(path) as partial:
        write(partial, dataset, cut)
        manifest.write(partial)


def open_dataset(path: str | Path, without: Sequence[str] = ()) -> xr.Dataset:
    """Read a store of `write_dataset` into memory.

    Args:
        path: of the store.
        without: arrays that are left where they are, such as `Store.large`.

    Raises:
        StudyError: there is no such store, or it is incomplete or damaged.
    """
    with _complete(path):
        dataset: xr.Dataset = xr.open_zarr(path, chunks=None, drop_variables=list(without)).load()
    dataset.encoding = {}
    for variable in dataset.variables.values():
        variable.encoding = {}
    return dataset


def open_lazily(path: str | Path) -> xr.Dataset:
    """A store whose arrays are read from the disk when, and as far as, they are used.

    Raises:
        StudyError: there is no such store, or it is damaged.
    """
    with _complete(path):
        found: xr.Dataset = xr.open_zarr(path, chunks=None)
    return found


@contextmanager
def _complete(path: str | Path) -> Iterator[None]:
    """A context for reading a store, of which every shard must exist."""
    if not (Path(path) / METADATA).is_file():
        raise files.missing(path)
    try:
        yield
        _require_shards(Path(path))
    except (OSError, ValueError, RuntimeError) as error:
        raise StudyError.of(
            error,
            str(path),
            expected="a complete store",
            remedy="run the stage that writes it again, or `dvc checkout` it",
        ) from error


def write(path: Path, dataset: xr.Dataset, cut: Mapping[str, str] = MappingProxyType({})) -> None:
    """Write all arrays of a data set to a new folder, each as one chunk, and consolidate the metadata.

    Args:
        path: of the folder.
        dataset: what is written.
        cut: arrays with a chunk for each label of a dimension, and the name of that dimension.

    Raises:
        StudyError: attributes are not JSON values, or a label is empty.
    """
    where = str(path)
    named = {name: _storable(array, f"{where}: {name}") for name, array in dataset.variables.items()}
    coordinates = {name: named.pop(name) for name in list(dataset.coords)}
    stored = xr.Dataset(named, coordinates, attributes.encoded(dataset.attrs, where))
    encoding = {
        name: {
            "compressors": (COMPRESSOR,),
            "chunks": tuple(min(n, 1) if d == cut.get(str(name)) else n for d, n in array.sizes.items()),
        }
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

    A store can then be opened by reading one file, and plain xarray opens it without a warning.
    """
    with warnings.catch_warnings():
        # The format does not define consolidated metadata yet; every reader that we name knows them.
        warnings.filterwarnings("ignore", message="Consolidated metadata")
        zarr.consolidate_metadata(path, zarr_format=3)
    metadata = json.loads((path / METADATA).read_text())
    arrays = metadata["consolidated_metadata"]["metadata"]
    # Zarr lists the arrays in the order of the directory, which differs between file systems.
    metadata["consolidated_metadata"]["metadata"] = {name: arrays[name] for name in sorted(arrays)}
    (path / METADATA).write_text(manifest.metadata_text(metadata))
    for name, array in arrays.items():
        (path / name / METADATA).write_text(manifest.metadata_text(array))


def _storable(array: xr.Variable, where: str) -> xr.Variable:
    """The array without an encoding of earlier files, its attributes encoded, and text as strings."""
    values, said = array.to_numpy(), attributes.encoded(array.attrs, where)
    if values.dtype.kind in "UOT":
        values = values.astype(np.dtypes.StringDType())
        if (values == "").any():
            raise StudyError(where, expected="labels", found="an empty one", remedy="name it")
        said |= schema.TEXT_ENCODING
    return xr.Variable(array.dims, values, said)


def _require_shards(path: Path) -> None:
    """Check that every shard exists: Zarr silently reads a missing one as fill values."""
    for file in manifest.shard_files(manifest.read_arrays(path)):
        if not manifest.holds(path, file):
            raise ValueError(f"no shard at {file}")


def described(dataset: xr.Dataset, store: schema.Store, where: str) -> xr.Dataset:
    """A data set with the title, the descriptions and the units of a schema.

    Args:
        dataset: not changed.
        store: the schema that it has to follow.
        where: what it is, for errors.

    Raises:
        StudyError: it does not follow the schema.
    """
    there = dataset.data_vars
    wanted = {array.name: array for array in store.variables if array.name in there or not array.optional}
    if set(dataset.data_vars) != set(wanted):
        raise _differs(
            where, "variables " + ", ".join(sorted(wanted)), ", ".join(sorted(map(str, dataset.data_vars)))
        )
    axes = [axis for axis in store.coordinates if axis.name in dataset.coords or not axis.optional]
    names = {axis.name for axis in axes}
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
    for axis in axes:
        described[axis.name] = dataset[axis.name].assign_attrs(description=axis.description)
    described.attrs = {"title": store.title, **dataset.attrs}
    return described


def _differs(where: str, expected: str, found: str) -> StudyError:
    return StudyError(
        where, expected=expected, found=found, remedy="make the writer and protoviz/store/schema.py agree"
    )
