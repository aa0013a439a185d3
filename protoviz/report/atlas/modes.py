"""What the page knows about the modes of units, and the sheet of each unit's modes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from protoviz import layout
from protoviz.report.atlas.sources import Images, Network, Source, as_shown, labels
from protoviz.report.atlas.tally import Tally
from protoviz.store import schema, schema_modes


def numbers(source: Source, network: Network, layer: str) -> list[dict[str, Any] | None]:
    """The modes of each unit of a layer, at the last epoch with restarts; None for a unit without restarts.

    Returns:
        `epoch`; `starts`, the number made, and `reaching`, the number that count; `count` of modes; and
        `shown`, the number of starts of each mode that has an image.
    """
    if network.modes is None:
        return []
    last = network.modes.isel({schema.CONDITION: 0, schema.RUN: 0, schema.EPOCH: -1})
    places = _places(network, layer)
    found: list[dict[str, Any] | None] = []
    for channel in source.channels(layer):
        if channel not in places:
            found.append(None)
            continue
        unit = last.isel({schema.UNIT: places[channel]})
        sizes = unit[schema_modes.MODE_STARTS].to_numpy()
        found.append(
            {
                "epoch": labels(network.modes, schema.EPOCH)[-1],
                "starts": network.modes.sizes[schema_modes.START],
                "reaching": int(unit[schema_modes.REACHING]),
                "count": int(unit[schema_modes.COUNT]),
                "shown": sizes[sizes > 0].tolist(),
            }
        )
    return found


def sheets(folder: Path, source: Source, tally: Tally) -> None:
    """Write a sheet for each unit that something drives, with an image of each of its modes."""
    for network in source.networks:
        for layer in source.layers if network.modes is not None else ():
            for channel, images in _images(network, layer):
                name = layout.item(network.condition, network.run)
                tally.pictures("modes", folder / "modes" / name / layer / f"{channel}.webp", images)


def _images(network: Network, layer: str) -> Iterator[tuple[int, Images]]:
    assert network.modes is not None
    last = network.modes.isel({schema.CONDITION: 0, schema.RUN: 0, schema.EPOCH: -1})
    for channel, place in _places(network, layer).items():
        unit = last.isel({schema.UNIT: place})
        there = unit[schema_modes.MODE_STARTS].to_numpy() > 0
        if there.any():
            yield channel, as_shown(unit[schema_modes.MODE_IMAGE].to_numpy()[there])


def _places(network: Network, layer: str) -> dict[int, int]:
    """Channel -> place among the units that were started again."""
    assert network.modes is not None
    there = np.flatnonzero(network.modes[schema.LAYER].to_numpy() == layer)
    channels = network.modes[schema.CHANNEL].to_numpy()[there]
    return dict(zip(channels.tolist(), there.tolist(), strict=True))
