"""Each unit's partner in the other runs of its condition, and in the other conditions of its run."""

from typing import Any

import numpy as np
import xarray as xr

from protoviz.report.atlas.sources import Network, Source, labels
from protoviz.store import schema
from protoviz.store import schema_matching as names

Partner = tuple[int, int, float | None, int | None, float | None]


def of_layer(source: Source, network: Network, layer: str) -> list[list[Partner]]:
    """The partners of each unit of a layer of a network, at the last epoch at which units were matched.

    Returns:
        [unit], for each partner: the place of its network among those of the source, its channel, the
        correlation of responses, the channel of the partner by prototypes, and their distance. The partner is
        the one by responses, or, if there is none, the one by prototypes; unknown values are None.
    """
    found: list[list[Partner]] = [[] for _ in source.channels(layer)]
    store = source.matching
    if store is None:
        return found
    key, places = (network.condition, network.run), {}
    for place, one in enumerate(source.networks):
        places[one.condition, one.run] = place
    for pair, ends in enumerate(zip(*_ends(store), strict=True)):
        if key in ends and all(end in places for end in ends):
            other = ends[1] if ends[0] == key else ends[0]
            table = _table(store, pair, layer, source.channels(layer), turned=ends[0] != key)
            for unit, (channel, correlation, drawn, distance) in enumerate(table):
                partner = channel if channel is not None else drawn
                if partner is not None:
                    found[unit].append((places[other], partner, correlation, drawn, distance))
    return found


def _ends(store: xr.Dataset) -> tuple[list[tuple[str, int]], list[tuple[str, int]]]:
    first, second = (
        list(zip(*(labels(store, name) for name in side), strict=True))
        for side in (names.FIRST, names.SECOND)
    )
    return first, second


def _table(
    store: xr.Dataset, pair: int, layer: str, channels: list[int], *, turned: bool
) -> list[tuple[int | None, float | None, int | None, float | None]]:
    """For each unit of the first or the second network: partner, correlation, and the same by prototypes."""
    at = np.flatnonzero(store[schema.UNIT_LAYER].values == layer)
    own = store[schema.CHANNEL].values[at].tolist()
    halves: list[dict[int, tuple[int, float]]] = []
    for partner, value in (
        (names.PARTNER, names.CORRELATION),
        (names.PROTOTYPE_PARTNER, names.PROTOTYPE_DISTANCE),
    ):
        there, values = (store[name].values[pair, -1, at].tolist() for name in (partner, value))
        both = [(a, b, c) for a, b, c in zip(own, there, values, strict=True) if b != names.NO_PARTNER]
        halves.append({(b if turned else a): (a if turned else b, float(f"{c:.3g}")) for a, b, c in both})
    none: tuple[Any, Any] = (None, None)
    return [(*halves[0].get(channel, none), *halves[1].get(channel, none)) for channel in channels]
