"""Prototypes in memory as a Dataset with the schema of the cube."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from protoviz.store import channels, schema
from protoviz.store.attributes import encoded
from protoviz.store.cube import Address, Shard


def dataset(
    addresses: Sequence[Address],
    shards: Sequence[Shard],
    layers: Sequence[str],
    numbers: Sequence[int],
    attributes: Mapping[str, Any],
    checkpoint: str,
) -> xr.Dataset:
    """The prototypes of some units of one network, in one or more repeats.

    Args:
        addresses: of the shards; they differ only in the repeat.
        shards: of the same units.
        layers: of the units, in the order of the shards.
        numbers: of their channels, likewise.
        attributes: what they were made with, JSON values.
        checkpoint: what the weights of the network are called.
    """
    first = addresses[0]
    coordinates = {
        schema.CONDITION: np.array([first.condition], dtype=schema.TEXT),
        schema.RUN: np.array([first.run], dtype=schema.INTEGER),
        schema.REPEAT: np.array([address.repeat for address in addresses], dtype=schema.INTEGER),
        schema.EPOCH: np.array([first.epoch], dtype=schema.INTEGER),
        schema.CHECKPOINT: np.array([checkpoint], dtype=schema.TEXT),
        schema.LAYER: np.array(layers, dtype=schema.TEXT),
        schema.CHANNEL: np.array(numbers, dtype=schema.INTEGER),
    }
    variables = {}
    for name in shards[0].arrays:
        variable = schema.CUBE[name]
        values = np.stack([shard.arrays[name] for shard in shards])
        variables[name] = (
            variable.dims,
            values[np.newaxis, np.newaxis, :, np.newaxis],
            variable.attributes(),
        )
    axes = [*schema.CUBE.coordinates]
    names = channels.labels(shards[0].image.shape[-1])
    if names is not None:
        axes.append(channels.COORDINATE)
        coordinates[channels.RGB] = names
    made = xr.Dataset(
        variables,
        {axis.name: (axis.dims, coordinates[axis.name], {"description": axis.description}) for axis in axes},
        encoded({"title": schema.CUBE.title, **attributes}, "prototypes"),
    )
    for axis in axes:
        if axis.dtype == schema.TEXT:
            made[axis.name].encoding |= schema.TEXT_ENCODING  # so that it is read as written, see zarr_io.py
    return made.set_xindex([schema.LAYER, schema.CHANNEL])
