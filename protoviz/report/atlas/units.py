"""What the page knows about the units of a layer in numbers, and the sheet of every unit."""

from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from protoviz.analysis import metrics
from protoviz.report.atlas import modes, neighbours, partners, scripts, sheets
from protoviz.report.atlas.sources import Images, Network, Source, as_shown, labels
from protoviz.store import schema
from protoviz.store.schema_appearance import SATURATION, SETTLING_EPOCH
from protoviz.store.schema_responses import ALONG, FAITHFULNESS, INNER, TOP_IMAGE

NEIGHBOURS = 6  # of each unit
PHOTOGRAPHS = 9  # natural images of each unit, at most


class Neighbourhood(NamedTuple):
    """Neighbours of all units of a layer, in all networks of a cube, at the last epoch and first repeat.

    Units are numbered consecutively: those of the first network, of the second, ...

    Attributes:
        images: (N, S, S, 3), as they are shown.
        places: (N, k), the nearest units; -1 for a unit without a prototype.
        distances: (N, k).
    """

    images: Images
    places: NDArray[np.int64]
    distances: NDArray[np.float64]


def neighbourhood(source: Source, layer: str) -> Neighbourhood:
    """Compare the units of a layer across all networks, but not across layers, whose masks differ."""
    at = source.layers[layer]
    last = {schema.REPEAT: 0, schema.EPOCH: source.cube.sizes[schema.EPOCH] - 1}
    images = np.concatenate([source.stored(network, at, **last) for network in source.networks])
    status = [source.numbers(network, schema.STATUS, at)[0, -1] for network in source.networks]
    masks = [source.stored_masks(network, layer)[-1] for network in source.networks]
    each = np.repeat(np.stack(masks), at.stop - at.start, axis=0)
    live = np.concatenate(status) == schema.Status.CONVERGED
    return Neighbourhood(as_shown(images), *neighbours.nearest(images, each, live, NEIGHBOURS))


def numbers(source: Source, network: Network, layer: str, near: Neighbourhood) -> dict[str, Any]:
    """All numbers of a layer's units in one network, as the page reads them.

    Returns:
        `status`, a digit for each unit, and `activation` [repeat][epoch]; if they were computed, `change`
        since the epoch before, `saturation`, `settling` and `photographs` [unit], places in the data set;
        `faithfulness` [repeat][epoch] and `along`, the same at the last epoch in each of the `layers` on the
        way, `values` [repeat][layer];
        `modes` [unit], see `modes.numbers`;
        `neighbours` [unit], each as place of the network, channel, distance; `partners` [unit], see
        `partners.of_layer`; `windows` of the masks.
    """
    at = source.layers[layer]
    status = source.numbers(network, schema.STATUS, at)
    own, channels = _own(source, network, at), source.channels(layer)
    masks = {"own": source.masks(network, layer), "fixed": source.fixed_mask(layer)}
    found: dict[str, Any] = {
        "windows": {name: sheets.window(mask) for name, mask in masks.items() if mask is not None},
        "status": [["".join(map(str, epoch)) for epoch in repeat] for repeat in status.tolist()],
        "activation": scripts.numbers(source.numbers(network, schema.ACTIVATION, at)),
        "neighbours": [
            [
                [int(place) // len(channels), channels[place % len(channels)], float(f"{distance:.3g}")]
                for place, distance in zip(near.places[unit], near.distances[unit], strict=True)
                if place >= 0
            ]
            for unit in range(own.start, own.stop)
        ],
    }
    if source.matching is not None:
        found["partners"] = partners.of_layer(source, network, layer)
    if network.distances is not None:
        found["change"] = scripts.numbers(_change(source, network.distances, at))
    if network.appearance is not None:
        found["saturation"] = scripts.numbers(_of(network.appearance, SATURATION, at), 3)
    if network.settling is not None:
        found["settling"] = scripts.numbers(_of(network.settling, SETTLING_EPOCH, at))
    if network.natural is not None:
        places = photographs(network.natural, at).tolist()
        found["photographs"] = [[one for one in unit if one >= 0] for unit in places]
        if FAITHFULNESS in network.natural:
            found["faithfulness"] = scripts.numbers(_of(network.natural, FAITHFULNESS, at), 3)
            found["along"] = _along(network.natural, at)
    if network.modes is not None:
        found["modes"] = modes.numbers(source, network, layer)
    return found


def unit_images(
    source: Source, network: Network, layer: str, near: Neighbourhood, units: slice
) -> list[Images]:
    """The images on the sheet of each of some units of a layer.

    They are, in this order, the unit's prototypes, by repeat and then by epoch; its neighbours; and its
    partners in other networks.

    Args:
        source: the cube.
        network: of the cube.
        layer: of the network.
        near: the neighbourhood of the layer.
        units: of the cube, within the layer.
    """
    at = source.layers[layer]
    first = _own(source, network, at).start + units.start - at.start
    grown = source.images(network, units).transpose(2, 0, 1, 3, 4, 5)
    place = {channel: k for k, channel in enumerate(source.channels(layer))}
    each, matched = at.stop - at.start, partners.of_layer(source, network, layer)
    found = []
    for k, own in enumerate(grown):
        places = near.places[first + k]
        others = [one * each + place[channel] for one, channel, *_ in matched[units.start - at.start + k]]
        beside = [*places[places >= 0].tolist(), *others]
        found.append(np.concatenate([own.reshape(-1, *own.shape[2:]), near.images[beside]]))
    return found


def photographs(natural: xr.Dataset, units: slice) -> NDArray[np.int64]:
    """(units, k): places of the natural images that drive each unit most, at the last epoch."""
    chosen = natural[TOP_IMAGE].isel(
        {schema.CONDITION: 0, schema.RUN: 0, schema.EPOCH: -1, schema.UNIT: units}
    )
    places: NDArray[np.int64] = chosen.to_numpy()[:, :PHOTOGRAPHS].astype(np.int64)
    return places


def _along(natural: xr.Dataset, at: slice) -> dict[str, Any]:
    """Faithfulness at the last epoch, in the layers on the way to a layer's units."""
    values = natural[ALONG].isel({schema.CONDITION: 0, schema.RUN: 0, schema.EPOCH: -1, schema.UNIT: at})
    table = values.transpose(schema.REPEAT, INNER, schema.UNIT).to_numpy()
    there = np.isfinite(table).any((0, 2))
    names = [name for name, one in zip(labels(natural, INNER), there, strict=True) if one]
    return {"layers": names, "values": scripts.numbers(table[:, there], 3)}


def _own(source: Source, network: Network, at: slice) -> slice:
    """Where a network's units are if those of all networks are numbered consecutively."""
    each = at.stop - at.start
    start = source.networks.index(network) * each
    return slice(start, start + each)


def _change(source: Source, distances: xr.Dataset, at: slice) -> NDArray[np.floating]:
    """(repeat, epoch, units): distance to the kept epoch before, in the main space; NaN at the first."""
    chosen = distances[schema.BETWEEN_EPOCHS].sel(metrics.main_space(distances))
    steps = chosen.isel({schema.CONDITION: 0, schema.RUN: 0, schema.UNIT: at})
    values = steps.transpose(schema.REPEAT, schema.STEP, schema.UNIT).to_numpy()
    epochs = labels(source.cube, schema.EPOCH)
    change = np.full((values.shape[0], len(epochs), values.shape[2]), np.nan, values.dtype)
    for step, epoch in enumerate(labels(distances, schema.EPOCH_TO)):
        change[:, epochs.index(epoch)] = values[:, step]
    return change


def _of(store: xr.Dataset, name: str, at: slice) -> NDArray[np.floating]:
    """A variable of one network's store, for some units, without the axes of extent one."""
    values: NDArray[np.floating] = (
        store[name].isel({schema.CONDITION: 0, schema.RUN: 0, schema.UNIT: at}).to_numpy()
    )
    return values
