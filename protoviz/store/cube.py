"""The cube of prototypes on disk, in the order of its life: template, validated shards, check, reading.

    create       shapes, coordinates, chunks and attributes are fixed, before any work is spent
    write_shard  all units of one (condition, run, repeat, epoch), checked against the template
    finish       nothing is missing, and the manifest holds the MD5 of every file
    open_cube    an xarray Dataset that reads only what is asked for

A shard file holds all units of one (repeat, epoch) and has one writer. Coordinates, never file
names, carry identity. To read a cube, xarray alone is enough:

    cube = xr.open_zarr("data/cube.zarr", chunks=None).set_xindex(["layer", "channel"])
"""

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import xarray as xr
import zarr

from protoviz import files
from protoviz.errors import StudyError
from protoviz.store import channels, manifest, schema, validation, zarr_io
from protoviz.store.shard import Address as Address
from protoviz.store.shard import Shard as Shard
from protoviz.store.shard import require_fit, require_states


@dataclass(frozen=True)
class Template:
    """The extent of a cube.

    Args:
        conditions, runs, repeats, epochs: the labels along the first four dimensions.
        layers: layer -> number of its channels, or those that are units, in the order of the network.
        size: height and width of the images, px: a number for squares, or (H, W).
        components: numbers in a latent; 0: latents are not kept.
        trace: values in an activation trace.
        checkpoints: names of the epochs; by default those of a training from scratch.
        channels: of the images.
        transparency: whether the cube keeps where images were worked on.
    """

    conditions: tuple[str, ...]
    runs: tuple[int, ...]
    repeats: tuple[int, ...]
    epochs: tuple[int, ...]
    layers: Mapping[str, int | Sequence[int]]
    size: int | tuple[int, int]
    components: int
    trace: int
    checkpoints: tuple[str, ...] | None = None
    channels: int = len(channels.COLOURS)
    transparency: bool = False

    @property
    def shape(self) -> dict[str, int]:
        """Dimension -> extent."""
        height, width = (self.size, self.size) if isinstance(self.size, int) else self.size
        return {
            schema.CONDITION: len(self.conditions),
            schema.RUN: len(self.runs),
            schema.REPEAT: len(self.repeats),
            schema.EPOCH: len(self.epochs),
            schema.UNIT: len(schema.unit_labels(self.layers)[1]),
            schema.Y: height,
            schema.X: width,
            schema.RGB: self.channels,
            schema.COMPONENT: self.components,
            schema.STEP: self.trace,
        }

    @property
    def nbytes(self) -> int:
        """Size of the arrays before compression."""
        shape = self.shape
        return sum(int(np.prod([shape[d] for d in v.dims])) * v.dtype.itemsize for v in self.variables)

    @property
    def variables(self) -> tuple[schema.Variable, ...]:
        """The variables of the schema that the cube has: all but those that are not kept."""
        kept = {schema.LATENT: self.components > 0, schema.TRANSPARENCY: self.transparency}
        return tuple(v for v in schema.CUBE.variables if kept.get(v.name, True))


def create(path: str | Path, template: Template, attributes: Mapping[str, Any]) -> None:
    """Lay out an empty cube: all shapes, coordinates, chunks and attributes.

    Args:
        path: a folder that does not exist yet.
        template: the extent.
        attributes: what the cube is made with (title, parameters, digests, versions): JSON values.

    Raises:
        StudyError: the attributes are not JSON.
    """
    path = Path(path)
    layer, channel = schema.unit_labels(template.layers)
    checkpoints = template.checkpoints or [schema.checkpoint_name(epoch) for epoch in template.epochs]
    values: dict[str, Any] = {
        schema.CONDITION: np.array(template.conditions, dtype=schema.TEXT),
        schema.RUN: np.array(template.runs, dtype=schema.INTEGER),
        schema.REPEAT: np.array(template.repeats, dtype=schema.INTEGER),
        schema.EPOCH: np.array(template.epochs, dtype=schema.INTEGER),
        schema.CHECKPOINT: np.array(checkpoints, dtype=schema.TEXT),
        schema.LAYER: layer,
        schema.CHANNEL: channel,
    }
    coordinates = {
        axis.name: (axis.dims, values[axis.name], {"description": axis.description})
        for axis in schema.CUBE.coordinates
    }
    names = channels.labels(template.channels)
    if names is not None:
        axis = channels.COORDINATE
        coordinates[axis.name] = axis.dims, names, {"description": axis.description}
    described = {"title": schema.CUBE.title, **attributes}
    zarr_io.write(path, xr.Dataset(coords=coordinates, attrs=described))
    group = zarr.open_group(path, mode="r+", use_consolidated=False)
    chunk_units = schema.unit_chunk(Counter(layer.tolist()).values())
    for variable in template.variables:
        shape = tuple(template.shape[dim] for dim in variable.dims)
        shard = (1, 1, 1, 1, *shape[4:])
        # One number a unit: too small to cut.
        whole = variable.dims[-1] == schema.UNIT
        group.create_array(
            variable.name,
            shape=shape,
            dtype=variable.dtype,
            chunks=shard if whole else (1, 1, 1, 1, chunk_units, *shape[5:]),
            shards=None if whole else shard,
            compressors=zarr_io.COMPRESSOR,
            fill_value=variable.fill,
            dimension_names=variable.dims,
            attributes=variable.attributes(),
        )
    zarr_io.consolidate(path)


def write_shard(path: str | Path, address: Address, shard: Shard) -> None:
    """Write all prototypes of one (condition, run, repeat, epoch), after checking them.

    Each file is flushed to the disk before it gets its name. Latents and transparencies are left out of a
    cube that does not keep them.

    Raises:
        StudyError: the cube has no such shard, or shapes, types or values do not fit the template.
    """
    group = zarr.open_group(zarr_io.LastingStore(path), mode="r+")
    position = _position(group, address, str(path))
    arrays = shard.arrays
    optional = {variable.name for variable in schema.CUBE.variables if variable.optional}
    kept = {name: values for name, values in arrays.items() if name not in optional or name in group}
    if schema.TRANSPARENCY in group and schema.TRANSPARENCY not in arrays:
        raise StudyError(
            f"{schema.TRANSPARENCY} of {address}",
            expected="opacities, as the cube keeps them",
            found="none",
            remedy="make the shard with `keep_transparency`",
        )
    for name, values in kept.items():
        require_fit(name, values, _array(group, name), address)
    require_states(arrays, address)
    with zarr.config.set({"array.write_empty_chunks": True}):  # a shard of zeros is a file, too
        for name, values in kept.items():
            _array(group, name)[position] = values


def open_cube(path: str | Path) -> xr.Dataset:
    """Open a cube for reading; data are read when they are used.

    Raises:
        StudyError: there is no such cube.
    """
    if not (Path(path) / manifest.METADATA).is_file():
        raise files.missing(path)
    cube: xr.Dataset = xr.open_zarr(path, chunks=None)
    return cube.set_xindex([schema.LAYER, schema.CHANNEL])


def validate(path: str | Path) -> None:
    """Check quickly that a cube is whole; see `validation` for what is checked and what is not.

    Raises:
        StudyError: naming the first shard that is missing or unfinished, or what else is wrong.
    """
    if not (Path(path) / manifest.METADATA).is_file():
        raise files.missing(path)
    validation.require(path, schema.CUBE, fast=True)


def finish(path: str | Path, known: Mapping[str, str] = MappingProxyType({})) -> None:
    """Check that all shards are written, then write the manifest: the last act of whoever fills a cube.

    Args:
        path: of the cube.
        known: path within it -> MD5 of files that need not be read.

    Raises:
        StudyError: see `validate`.
    """
    validate(path)
    manifest.write(path, known)


def _array(group: zarr.Group, name: str) -> Any:
    """An array of the store; zarr cannot tell its type from that of a group."""
    return group[name]


def _position(group: zarr.Group, address: Address, where: str) -> tuple[int, ...]:
    position = []
    for dim, label in zip(address._fields, address, strict=True):
        labels = _array(group, dim)[:].tolist()
        if label not in labels:
            raise StudyError(
                f"{where}: {dim}",
                expected=f"one of {', '.join(map(str, labels))}",
                found=repr(label),
                remedy="write only what the template holds",
            )
        position.append(labels.index(label))
    return tuple(position)


def addresses(cube: xr.Dataset) -> Iterator[tuple[tuple[int, ...], Address]]:
    """Position and labels of every shard."""
    axes = [cube[dim].to_numpy().tolist() for dim in Address._fields]
    for position in itertools.product(*(range(len(axis)) for axis in axes)):
        yield position, Address(*(axis[i] for axis, i in zip(axes, position, strict=True)))


def shard_file(path: Path, variable: schema.Variable, position: tuple[int, ...]) -> Path:
    """The file of a shard: every later axis is whole, so its place along it is 0."""
    later = (0,) * (len(variable.dims) - len(position))
    return path / manifest.shard_file(variable.name, (*position, *later))
