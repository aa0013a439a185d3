"""What figures show where params.yaml does not say it: the middle layer, channels that lie evenly apart."""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from protoviz.store import schema

UNITS = 4  # rows of a page


def middle_layer(cube: xr.Dataset) -> str:
    """The layer in the middle; of an even number the deeper of two."""
    layers = list(schema.layer_slices(cube[schema.LAYER].to_numpy()))
    return layers[len(layers) // 2]


def spaced_units(cube: xr.Dataset, layer: str) -> tuple[list[int], list[int]]:
    """Channels of a layer for two pages: from the first to the last evenly apart, and between those.

    The second page has none where the first has all of them; both have none where there is no such layer.
    """
    at = schema.layer_slices(cube[schema.LAYER].to_numpy()).get(layer, slice(0))
    channels: list[int] = cube[schema.CHANNEL].to_numpy()[at].tolist()
    places = _even(len(channels), 2 * UNITS - 1)
    if len(channels) <= UNITS:
        return channels, []
    return [channels[k] for k in places[::2]], [channels[k] for k in places[1::2]]


def _even(number: int, most: int) -> Sequence[int]:
    """At most so many of the places from 0 to the last of a number of things, all different."""
    found: list[int] = np.rint(np.linspace(0, number - 1, min(number, most))).astype(int).tolist()
    return found
