"""Build the atlas: sheets of images, numbers, and the page that shows them.

    index.html, *.js, style.css                                        the page
    data/study.js, curves.js, findings.js                              what it reads first, or when asked
    data/units/<network>/<layer>.js                                    numbers
    sheets/<network>/<repeat>/<epoch>/<layer>.webp                     all units of a layer, for the grid
    units/<network>/<layer>/<channel>.webp                             all epochs of a unit of a large layer
    veils/<network>/<layer>.webp, veils/<cube>/<layer>.webp            masks, as what is laid over images
    transparency/<network>/<repeat>/<epoch>/<layer>.webp               the same of each unit, where kept
    modes/<network>/<layer>/<channel>.webp                             images of the modes of a unit
    photographs/<cube>/<place in the test set>.webp                    natural images that drive units most
    data/map/<cube>.js, map/<network>/<repeat>/<epoch>.webp            places, and thumbnails of all units

The page reads only the files that it shows, so a larger study has more files, not a larger page.
"""

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xarray as xr

from protoviz import files
from protoviz.config.analysis import Atlas
from protoviz.progress import track
from protoviz.report.atlas import curves, modes, pieces, scripts
from protoviz.report.atlas.sources import Source, labels
from protoviz.report.atlas.tally import Tally
from protoviz.report.palette import colours
from protoviz.store import channels, schema

PAGE = Path(__file__).parent / "page"


@dataclass(frozen=True)
class Findings:
    """What was measured and concluded: the tables of verdicts as read, and the rows of each curve."""

    tables: Sequence[Mapping[str, Any]]
    curves: Mapping[str, Iterable[Mapping[str, str]]]


def build(target: Path, title: str, sources: Sequence[Source], findings: Findings, how: Atlas) -> None:
    """Write the whole atlas to a folder, which exists only when it is complete.

    The same study gives the same bytes.

    Args:
        target: the folder; what is there is replaced.
        title: of the study.
        sources: the study's cube first, then further cubes of other conditions.
        findings: of the study.
        how: how images are stored.

    Raises:
        StudyError: the disk is full, or a sheet would be larger than the format allows.
    """
    with files.complete(target) as folder:
        shutil.copytree(PAGE, folder)
        tally = Tally(how.quality)
        strips = [pieces.with_strips(source, how.strips_above) for source in sources]
        for source, large in zip(sources, strips, strict=True):
            parts = pieces.layers(folder, source, tally, large)
            for _ in track(parts, f"atlas of {source.name}: parts of layers"):
                pass
            pieces.photographs(folder, source, tally)
            modes.sheets(folder, source, tally)
            pieces.projection(folder, source, tally)
        layers = [layer for source in sources for layer in source.layers]
        tally.bytes["numbers"] += scripts.write(folder, "findings", list(findings.tables))
        tally.bytes["numbers"] += scripts.write(folder, "curves", curves.groups(findings.curves, layers))
        scripts.write(folder, "study", manifest(title, sources, strips, tally))


def manifest(
    title: str, sources: Sequence[Source], strips: Sequence[frozenset[str]], tally: Tally
) -> dict[str, Any]:
    """What the page has to know at once: axes, names and colours, what was computed, and its bytes."""
    names = [name for source in sources for name in labels(source.cube, schema.CONDITION)]
    return {
        "title": title,
        "colours": colours([str(name) for name in names]),
        "cubes": [_cube(source, large) for source, large in zip(sources, strips, strict=True)],
        "bytes": dict(tally.bytes),
        "images": dict(tally.images),
        "quality": tally.quality,
        "distance": tally.distance(),
        "thumbnail": pieces.THUMBNAIL,
    }


def _cube(source: Source, strips: frozenset[str]) -> dict[str, Any]:
    computed = {
        "masks": all(network.fields is not None for network in source.networks),
        "transparency": source.transparent,
        "fixed": source.fixed_mask(next(iter(source.layers))) is not None,
        "change": all(network.distances is not None for network in source.networks),
        "saturation": all(network.appearance is not None for network in source.networks),
        "settling": all(network.settling is not None for network in source.networks),
        "photographs": all(network.natural is not None for network in source.networks),
        "modes": any(network.modes is not None for network in source.networks),
        "partners": source.matching is not None,
        "map": source.projection is not None,
    }
    return {
        "name": source.name,
        "title": source.title,
        **{name: labels(source.cube, name) for name in (schema.CONDITION, schema.RUN, schema.REPEAT)},
        "epoch": labels(source.cube, schema.EPOCH),
        "checkpoint": labels(source.cube, schema.CHECKPOINT),
        "layers": [[layer, *_units(source, layer)] for layer in source.layers],
        "strips": [layer for layer in source.layers if layer in strips],
        "size": source.size,
        "shown": how_shown(source.cube),
        "networks": [[network.condition, network.run] for network in source.networks],
        "computed": computed,
    }


def _units(source: Source, layer: str) -> list[Any]:
    """The number of units of a layer, and their channels if these are not 0, 1, 2, ..."""
    channels = source.channels(layer)
    return [len(channels)] if channels == list(range(len(channels))) else [len(channels), channels]


def how_shown(cube: xr.Dataset) -> str:
    """A note on how images that are not RGB squares are shown; empty if they are."""
    height, width = cube.sizes[schema.Y], cube.sizes[schema.X]
    sides = ""
    if height != width:
        sides = f"They have {height} x {width} px and are shown with black around them."
    return " ".join(filter(None, (channels.how_shown(cube.sizes[schema.RGB]), sides)))
