"""What figures show if params.yaml does not say so: the middle layer, and evenly spaced channels."""

import xarray as xr

from protoviz.report.text import spread
from protoviz.store import schema

UNITS = 4  # rows of a page


def middle_layer(cube: xr.Dataset) -> str:
    """The layer in the middle; if the number of layers is even, the deeper of the middle two."""
    layers = list(schema.layer_slices(cube[schema.LAYER].to_numpy()))
    return layers[len(layers) // 2]


def spaced_units(cube: xr.Dataset, layer: str) -> tuple[list[int], list[int]]:
    """Channels of a layer for two pages: evenly spaced from the first to the last, and others between those.

    The second page has none if the first has all of them; both have none if there is no such layer.
    """
    at = schema.layer_slices(cube[schema.LAYER].to_numpy()).get(layer, slice(0))
    channels: list[int] = cube[schema.CHANNEL].to_numpy()[at].tolist()
    places = spread(range(len(channels)), 2 * UNITS - 1)
    if len(channels) <= UNITS:
        return channels, []
    return [channels[k] for k in places[::2]], [channels[k] for k in places[1::2]]
