"""The store of the modes of one network: laid out empty, filled epoch by epoch, read unit by unit.

The numbers of an epoch are one chunk; the images of each unit are a chunk of their own, and those of an epoch
lie in one file. So an epoch can be written alone, and the images of a unit are read in milliseconds.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr
from numpy.typing import NDArray

from protoviz import files
from protoviz.errors import StudyError
from protoviz.store import channels, manifest, schema, schema_modes, validation, zarr_io
from protoviz.store.schema_modes import MODE_IMAGE, MODES

Extent = Mapping[str, int]
_EPOCH = MODES[schema_modes.COUNT].dims.index(schema.EPOCH)


def create(
    path: Path,
    network: tuple[str, int],
    epochs: Sequence[int],
    layers: Mapping[str, int | Sequence[int]],
    extent: Extent,
    attributes: Mapping[str, Any],
) -> None:
    """Lay out an empty store.

    Args:
        path: a folder that does not exist yet.
        network: condition and run.
        epochs: at which units were started again.
        layers: layer -> number of its channels, or those that are units.
        extent: of `start`, `mode`, `y`, `x` and `rgb`.
        attributes: what it is made with, JSON values.
    """
    layer, channel = schema.unit_labels(layers)
    values: dict[str, Any] = {
        schema.CONDITION: np.array([network[0]], dtype=schema.TEXT),
        schema.RUN: np.array([network[1]], dtype=schema.INTEGER),
        schema.EPOCH: np.array(epochs, dtype=schema.INTEGER),
        schema.LAYER: layer,
        schema.CHANNEL: channel,
        **{name: np.arange(extent[name]) for name in (schema_modes.START, schema_modes.MODE)},
    }
    coordinates: dict[str, Any] = {
        axis.name: (axis.dims, values[axis.name], {"description": axis.description})
        for axis in MODES.coordinates
    }
    if (names := channels.labels(extent[schema.RGB])) is not None:
        axis = channels.COORDINATE
        coordinates[axis.name] = axis.dims, names, {"description": axis.description}
    zarr_io.write(path, xr.Dataset(coords=coordinates, attrs={"title": MODES.title, **attributes}))
    lengths = {
        schema.CONDITION: 1,
        schema.RUN: 1,
        schema.EPOCH: len(epochs),
        schema.UNIT: len(channel),
        **extent,
    }
    group = zarr.open_group(path, mode="r+", use_consolidated=False)
    for variable in MODES.variables:
        shape = tuple(lengths[dim] for dim in variable.dims)
        shard = (*shape[:_EPOCH], 1, *shape[_EPOCH + 1 :])
        pictures = variable.name == MODE_IMAGE
        group.create_array(
            variable.name,
            shape=shape,
            dtype=variable.dtype,
            chunks=(1, 1, 1, 1, *shape[4:]) if pictures else shard,
            shards=shard if pictures else None,
            compressors=zarr_io.COMPRESSOR,
            fill_value=variable.fill,
            dimension_names=variable.dims,
            attributes=variable.attributes(),
        )
    zarr_io.consolidate(path)


def open_empty(path: Path) -> xr.Dataset:
    """A store that is being filled: its coordinates and extent."""
    laid: xr.Dataset = xr.open_zarr(path, chunks=None)
    return laid


def write_epoch(path: Path, epoch: int, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write all variables of one epoch, (units, ...); each file is flushed to disk before it gets its name.

    Args:
        path: of the store.
        epoch: its label.
        arrays: by the names of the schema.

    Raises:
        StudyError: a variable is missing, or has another type or shape than the store.
    """
    group = zarr.open_group(zarr_io.LastingStore(path), mode="r+")
    place = _places(path).index(epoch)
    for variable in MODES.variables:
        array: Any = group[variable.name]
        values = np.asarray(arrays[variable.name])
        expected, found = (
            f"{one.dtype} {shape}" for one, shape in ((array, array.shape[3:]), (values, values.shape))
        )
        if expected != found:
            raise StudyError(
                f"{path}: {variable.name}, epoch {epoch}",
                expected=expected,
                found=found,
                remedy="fit the extent of the store",
            )
        with zarr.config.set({"array.write_empty_chunks": True}):  # a file of fill values is a file, too
            filled: Any = group[variable.name]
            filled[0, 0, place] = values


def done(path: Path, epoch: int) -> bool:
    """Whether all files of an epoch are there; each appears only when it is whole."""
    place = _places(path).index(epoch)
    position = (0, 0, place)
    return all(
        (path / manifest.shard_file(one.name, (*position, *[0] * (len(one.dims) - 3)))).is_file()
        for one in MODES.variables
    )


def finish(path: Path) -> None:
    """Check that every epoch is there, then write the manifest.

    Raises:
        StudyError: naming what is missing.
    """
    validation.require(path, MODES, fast=True)
    manifest.write(path)


def open_modes(path: str | Path, *, images: bool = True) -> xr.Dataset:
    """Open a store; its numbers are read at once, images when they are used.

    Args:
        path: of the store.
        images: whether they are wanted at all.

    Raises:
        StudyError: there is no such store, or it is incomplete.
    """
    if not (Path(path) / manifest.METADATA).is_file():
        raise files.missing(path)
    validation.require(path, MODES, fast=True)
    found: xr.Dataset = xr.open_zarr(path, chunks=None)
    numbers = found.drop_vars(MODE_IMAGE).load()
    return numbers.assign({MODE_IMAGE: found[MODE_IMAGE]}) if images else numbers


def _places(path: Path) -> list[int]:
    labels: Any = zarr.open_group(path, mode="r")[schema.EPOCH]
    found: list[int] = labels[:].tolist()
    return found
