"""The files of the atlas that hold images and numbers: of each layer of each network, and of the map."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from protoviz import layout, schema
from protoviz.atlas import projected, scripts, sheets, units
from protoviz.atlas.sources import Network, Source, labels

THUMBNAIL = 32  # px, of the pictures on the map

Written = Counter[str]  # kind of file -> bytes


def layers(folder: Path, source: Source) -> Iterator[Written]:
    """Write everything about each layer of each network; after each of them say how much it was."""
    for layer in source.layers:
        near = units.neighbourhood(source, layer)
        fixed = source.fixed_mask(layer)
        if fixed is not None:
            path = folder / "veils" / source.name / f"{layer}.webp"
            yield Counter(veils=sheets.write(path, sheets.veil(fixed)))
        for network in source.networks:
            yield _layer(folder, source, network, layer, near)


def projection(folder: Path, source: Source) -> Written:
    """Write the map and its thumbnails, if there is a projection."""
    written: Written = Counter()
    if source.projection is None:
        return written
    written["map"] += scripts.write(folder, f"map/{source.name}", projected.points(source.projection))
    for network in source.networks:
        masks = {layer: source.masks(network, layer) for layer in source.layers}
        for i, repeat in enumerate(labels(source.cube, schema.REPEAT)):
            for j, epoch in enumerate(labels(source.cube, schema.EPOCH)):
                at = {schema.REPEAT: i, schema.EPOCH: j}
                small = [
                    sheets.thumbnails(source.images(network, units, **at), masks[layer][j], THUMBNAIL)
                    for layer, units in source.layers.items()
                ]
                path = folder / "map" / _name(network) / str(repeat) / f"{epoch}.webp"
                written["map"] += sheets.write(path, np.concatenate(small))
    return written


def _layer(folder: Path, source: Source, network: Network, layer: str, near: units.Neighbourhood) -> Written:
    name, at = _name(network), source.layers[layer]
    written: Written = Counter()
    for i, repeat in enumerate(labels(source.cube, schema.REPEAT)):
        for j, epoch in enumerate(labels(source.cube, schema.EPOCH)):
            images = source.images(network, at, **{schema.REPEAT: i, schema.EPOCH: j})
            path = folder / "sheets" / name / str(repeat) / str(epoch) / f"{layer}.webp"
            written["sheets"] += sheets.write(path, images)
    veils = sheets.veil(source.masks(network, layer))
    written["veils"] += sheets.write(folder / "veils" / name / f"{layer}.webp", veils)
    # All epochs of so many units as lie in a chunk of the cube: a chunk is read once.
    step = schema.unit_chunk(one.stop - one.start for one in source.layers.values())
    for start in range(at.start, at.stop, step):
        block = slice(start, min(start + step, at.stop))
        for k, images in enumerate(units.unit_images(source, network, layer, near, block)):
            channel = source.channels(layer)[start - at.start + k]
            path = folder / "units" / name / layer / f"{channel}.webp"
            written["units"] += sheets.write(path, images)
    if network.natural is not None and source.photographs is not None:
        for channel, places in zip(
            source.channels(layer), units.photographs(network.natural, at), strict=True
        ):
            there = places[places >= 0]
            if there.size:
                path = folder / "photographs" / name / layer / f"{channel}.webp"
                written["photographs"] += sheets.write(path, source.photographs(there), lossless=False)
    found = units.numbers(source, network, layer, near)
    written["numbers"] += scripts.write(folder, f"units/{name}/{layer}", found)
    return written


def _name(network: Network) -> str:
    return layout.item(network.condition, network.run)
