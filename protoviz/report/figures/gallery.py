"""All figures of a study, by the names of their files."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import xarray as xr
from matplotlib.figure import Figure

from protoviz.report.figures import curves, explanations
from protoviz.report.figures.curves import Space, Stores
from protoviz.report.figures.development import development
from protoviz.report.figures.forest import forest
from protoviz.report.figures.grids import prototype_grids
from protoviz.report.figures.readouts import probe
from protoviz.report.figures.sample import Masks
from protoviz.store import schema

UNMASKED_UNITS = 16  # of each layer: without masks the images are all detail, and the file is large


@dataclass(frozen=True)
class Shown:
    """What of it is shown, see params.yaml."""

    grid_units: int
    layer: str
    units: Sequence[int]
    more_units: Sequence[int]
    dpi: int


@dataclass(frozen=True)
class Artefacts:
    """What the stages before have written; networks with the conditions in the order of their colours.

    Attributes:
        title: of the data set.
        cube: the prototypes.
        masks: the receptive fields of the first run by condition.
        distances, units, appearance, natural: of every network.
        accuracies: rows of the probe.
        classes: number of classes.
        findings: what metrics/findings.json holds.
    """

    title: str
    cube: xr.Dataset
    masks: Masks
    distances: Stores
    units: Stores
    appearance: Stores
    natural: Stores
    accuracies: Sequence[Mapping[str, str]]
    classes: int
    findings: Mapping[str, Any]


def gallery(made: Artefacts, shown: Shown) -> dict[str, Callable[[], Figure]]:
    """Name of the file, without ending -> draws the figure; the animation (G9) is not among them."""
    title, dpi = made.title, shown.dpi
    space = Space(str(made.distances[0][schema.EMBEDDER].values[0]))
    cosine = Space(space.embedder, "cosine")
    epochs = [int(epoch) for epoch in made.cube[schema.EPOCH].values]

    def grids(units: int, *, masked: bool) -> Figure:
        return prototype_grids(made.cube, made.masks, units, title, dpi, masked=masked)

    def rows(units: Sequence[int]) -> Figure:
        return development(made.cube, made.masks, shown.layer, units, title, dpi)

    return {
        "findings": lambda: forest(made.findings, title),
        "g1_prototypes": lambda: grids(shown.grid_units, masked=True),
        "g1_prototypes_unmasked": lambda: grids(UNMASKED_UNITS, masked=False),
        "g2_diversity": lambda: curves.diversity(made.distances, space, title),
        "g3_development": lambda: rows(shown.units),
        "g4_probe": lambda: probe(made.accuracies, made.classes, title),
        "g5_diversity_cosine": lambda: curves.diversity(made.distances, cosine, title),
        "g6_rate_of_change": lambda: curves.rate_of_change(made.distances, space, title),
        "g6_learning": lambda: explanations.learning(made.distances, space, title),
        "g7_between_repeats": lambda: curves.between_repeats(made.distances, space, title),
        "g8_development": lambda: rows(shown.more_units),
        "settled_units": lambda: explanations.settled(made.units, epochs, title),
        **{
            name: lambda name=name: explanations.appearance(made.appearance, name, title)  # type: ignore[misc]
            for name in explanations.APPEARANCE
        },
        "dimension": lambda: explanations.dimension(made.natural, title),
    }
