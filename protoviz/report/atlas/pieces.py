"""Write the files of the atlas with images and numbers: for each layer of each network, and for the map."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from protoviz import layout, machine
from protoviz.report.atlas import projected, scripts, sheets, units
from protoviz.report.atlas.sources import Network, Source, labels
from protoviz.report.atlas.tally import Tally
from protoviz.store import schema

THUMBNAIL = 32  # px, of the pictures on the map
MOST_THREADS = 8  # each of them holds the images of some units at all epochs


def layers(folder: Path, source: Source, tally: Tally, strips: frozenset[str]) -> Iterator[None]:
    """Write everything about each layer of each network, and yield after each of them.

    The networks of a layer are written side by side, a thread for each core: packing pictures takes most of
    the time, and other threads go on meanwhile. The files do not depend on the number of threads.

    Args:
        folder: of the atlas.
        source: the cube.
        tally: counts what is written.
        strips: the layers whose units have sheets of their own.
    """
    threads = ThreadPoolExecutor(min(machine.cores(), MOST_THREADS))
    try:
        for layer in source.layers:
            near = units.neighbourhood(source, layer)
            fixed = source.fixed_mask(layer)
            if fixed is not None:
                _veil(folder / "veils" / source.name / f"{layer}.webp", fixed, tally)
            write = partial(_layer, folder, source, layer, near, tally.quality, layer in strips)
            for part in threads.map(write, source.networks):
                tally.add(part)
                yield
    finally:
        threads.shutdown(cancel_futures=True)


def with_strips(source: Source, above: float) -> frozenset[str]:
    """The layers with more than `above` million pixels in all epochs and repeats of a network."""
    moments = source.cube.sizes[schema.REPEAT] * source.cube.sizes[schema.EPOCH]
    each = moments * source.size**2 / 1e6
    return frozenset(layer for layer, at in source.layers.items() if each * (at.stop - at.start) > above)


def photographs(folder: Path, source: Source, tally: Tally) -> None:
    """Write each natural image that some unit shows, once."""
    if source.photographs is None:
        return
    everything = slice(None)
    places = [
        units.photographs(network.natural, everything).ravel()
        for network in source.networks
        if network.natural is not None
    ]
    if not places:
        return
    shown: NDArray[np.int64] = np.unique(np.concatenate(places))
    shown = shown[shown >= 0]
    if not len(shown):
        return
    for place, image in zip(shown.tolist(), source.photographs(shown), strict=True):
        tally.pictures("photographs", folder / "photographs" / source.name / f"{place}.webp", image[None])


def projection(folder: Path, source: Source, tally: Tally) -> None:
    """Write the map, if there is a projection, and thumbnails of the prototypes on it."""
    if source.projection is None:
        return
    tally.bytes["map"] += scripts.write(folder, f"map/{source.name}", projected.points(source.projection))
    repeats, epochs = (labels(source.cube, name) for name in (schema.REPEAT, schema.EPOCH))
    for network in source.networks:
        masks = {layer: source.masks(network, layer) for layer in source.layers}
        for repeat, epoch in projected.moments(source.projection, network):
            i, j = repeats.index(repeat), epochs.index(epoch)
            small = [
                sheets.thumbnails(
                    source.images(network, at, **{schema.REPEAT: i, schema.EPOCH: j}),
                    masks[layer][j],
                    THUMBNAIL,
                )
                for layer, at in source.layers.items()
            ]
            path = folder / "map" / _name(network) / str(repeat) / f"{epoch}.webp"
            tally.pictures("map", path, np.concatenate(small))


def _layer(
    folder: Path,
    source: Source,
    layer: str,
    near: units.Neighbourhood,
    quality: sheets.Quality,
    strips: bool,
    network: Network,
) -> Tally:
    """Write everything about one layer of one network; what was written."""
    name, at, tally = _name(network), source.layers[layer], Tally(quality)
    for i, repeat in enumerate(labels(source.cube, schema.REPEAT)):
        for j, epoch in enumerate(labels(source.cube, schema.EPOCH)):
            images = source.images(network, at, **{schema.REPEAT: i, schema.EPOCH: j})
            path = folder / "sheets" / name / str(repeat) / str(epoch) / f"{layer}.webp"
            tally.prototypes("sheets", path, images)
            if source.transparent:
                opacities = source.opacities(network, at, **{schema.REPEAT: i, schema.EPOCH: j})
                path = folder / "transparency" / name / str(repeat) / str(epoch) / f"{layer}.webp"
                _veil(path, opacities, tally, "transparency")
    _veil(folder / "veils" / name / f"{layer}.webp", source.masks(network, layer), tally)
    found = units.numbers(source, network, layer, near)
    tally.bytes["numbers"] += scripts.write(folder, f"units/{name}/{layer}", found)
    if strips:
        _strips(folder, source, network, layer, near, tally)
    return tally


def _strips(
    folder: Path, source: Source, network: Network, layer: str, near: units.Neighbourhood, tally: Tally
) -> None:
    """Write a sheet for each unit, with the units of a chunk of the cube at once, so that it is read once."""
    name, at = _name(network), source.layers[layer]
    step = schema.unit_chunk(one.stop - one.start for one in source.layers.values())
    for start in range(at.start, at.stop, step):
        block = slice(start, min(start + step, at.stop))
        for k, images in enumerate(units.unit_images(source, network, layer, near, block)):
            channel = source.channels(layer)[start - at.start + k]
            tally.prototypes("units", folder / "units" / name / layer / f"{channel}.webp", images)


def _veil(path: Path, masks: NDArray[np.floating], tally: Tally, kind: str = "veils") -> None:
    """Write masks losslessly: an error in one would change every image that it is laid over."""
    tally.bytes[kind] += sheets.write(path, sheets.veil(masks))
    tally.images[kind] += len(masks)


def _name(network: Network) -> str:
    return layout.item(network.condition, network.run)
