"""What figures show where params.yaml does not say it: the middle layer, channels that lie evenly apart."""

import xarray as xr

from protoviz.report.text import spread
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
    places = spread(range(len(channels)), 2 * UNITS - 1)
    if len(channels) <= UNITS:
        return channels, []
    return [channels[k] for k in places[::2]], [channels[k] for k in places[1::2]]
