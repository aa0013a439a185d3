"""All figures of a study, by the names of their files, and which of them a study cannot have."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import xarray as xr
from matplotlib.figure import Figure

from protoviz.analysis.kinds import GENERAL
from protoviz.report.figures import curves, explanations
from protoviz.report.figures.choices import middle_layer, spaced_units
from protoviz.report.figures.contrasts import contrasts
from protoviz.report.figures.curves import Space, Stores
from protoviz.report.figures.development import development
from protoviz.report.figures.faithfulness import along, faithfulness, is_measured
from protoviz.report.figures.forest import forest
from protoviz.report.figures.grids import prototype_grids
from protoviz.report.figures.measured import measured
from protoviz.report.figures.modes import modes
from protoviz.report.figures.partners import SHARES, known, matched
from protoviz.report.figures.prediction import prediction
from protoviz.report.figures.readouts import probe
from protoviz.report.figures.sample import Masks
from protoviz.store import schema

FAITHFUL = ("faithfulness", "faithfulness_along")
MATCHED = dict(zip(SHARES, ("matched_units", "matched_units_beyond"), strict=True))
UNMASKED_UNITS = 16  # of each layer: without masks the images are all detail, and the file is large


@dataclass(frozen=True)
class Shown:
    """Which parts of it are shown, see params.yaml; None: chosen automatically (choices.py)."""

    grid_units: int
    layer: str | None
    units: Sequence[int] | None
    more_units: Sequence[int] | None
    dpi: int


@dataclass(frozen=True)
class Artefacts:
    """What earlier stages have written; networks are listed with conditions in the order of their colours.

    Attributes:
        title: of the data set.
        cube: the prototypes.
        masks: the receptive fields of the first run by condition.
        distances: of every network.
        units, appearance, natural, modes: the same; empty if the study has none.
        accuracies: rows of the probe; none without one.
        classes: number of classes; None without a probe.
        findings: what metrics/findings.json holds.
        matching: which unit of one network corresponds to which of another; None if that was not asked for.
    """

    title: str
    cube: xr.Dataset
    masks: Masks
    distances: Stores
    units: Stores
    appearance: Stores
    natural: Stores
    accuracies: Sequence[Mapping[str, str]]
    classes: int | None
    findings: Mapping[str, Any]
    matching: xr.Dataset | None = None
    modes: Stores = ()


def left_out(made: Artefacts, shown: Shown) -> dict[str, str]:
    """Name of each figure that is not drawn -> the reason, in words."""
    found = {}
    if not made.accuracies or made.classes is None:
        found["g4_probe"] = "the study has no probe"
    if not made.units:
        found["settled_units"] = "the study has no settling epochs"
    if not made.appearance:
        found |= dict.fromkeys(explanations.APPEARANCE, "the appearance of prototypes was not measured")
    if not made.natural:
        found |= dict.fromkeys(("dimension", *FAITHFUL), "the study has no natural images")
    elif not is_measured(made.natural):
        found |= dict.fromkeys(FAITHFUL, "prototypes were not compared with natural images along the layers")
    for share, name in MATCHED.items():
        if not known(made.matching, share):
            found[name] = "no two runs of a condition were matched by responses to natural images"
    if not made.findings.get("prediction", {}).get("rows"):
        found["prediction"] = "; ".join(made.findings.get("prediction", {}).get("missing", ["not asked"]))
    if not _rows_of_units(made, shown)[2]:
        found["g8_development"] = "g3_development shows all units of the layer"
    return found


def _rows_of_units(made: Artefacts, shown: Shown) -> tuple[str, Sequence[int], Sequence[int]]:
    """The layer, and its units on the two pages of development."""
    layer = shown.layer or middle_layer(made.cube)
    first, second = spaced_units(made.cube, layer)
    wanted = (
        (first if shown.units is None else shown.units),
        (second if shown.more_units is None else shown.more_units),
    )
    return layer, *wanted


def gallery(made: Artefacts, shown: Shown) -> dict[str, Callable[[], Figure]]:
    """Name of the file, without ending -> function that draws the figure; the animation (G9) is excluded.

    Figures in `left_out` are excluded, too.
    """
    title, dpi = made.title, shown.dpi
    space = Space(str(made.distances[0][schema.EMBEDDER].values[0]))
    cosine = Space(space.embedder, "cosine")
    epochs = [int(epoch) for epoch in made.cube[schema.EPOCH].values]

    def grids(units: int, *, masked: bool) -> Figure:
        return prototype_grids(made.cube, made.masks, units, title, dpi, masked=masked)

    layer, units, more_units = _rows_of_units(made, shown)

    def rows(units: Sequence[int]) -> Figure:
        return development(made.cube, made.masks, layer, units, title, dpi)

    conditions = [str(name) for name in made.cube[schema.CONDITION].values]
    named = dict(zip(epochs, made.cube[schema.CHECKPOINT].to_numpy().tolist(), strict=True))
    first = named.get(0, schema.checkpoint_name(0))
    at_a_glance = forest
    if made.findings.get("kind") == GENERAL:
        at_a_glance = contrasts if len(made.findings["study"]["conditions"]) > 1 else measured
    every = {
        "findings": lambda: at_a_glance(made.findings, title),
        "g1_prototypes": lambda: grids(shown.grid_units, masked=True),
        "g1_prototypes_unmasked": lambda: grids(UNMASKED_UNITS, masked=False),
        "g2_diversity": lambda: curves.diversity(made.distances, space, title),
        "g3_development": lambda: rows(units),
        "g4_probe": lambda: probe(made.accuracies, made.classes or 0, title, first),
        "g5_diversity_cosine": lambda: curves.diversity(made.distances, cosine, title),
        "g6_rate_of_change": lambda: curves.rate_of_change(made.distances, space, title),
        "g6_learning": lambda: explanations.learning(made.distances, space, title),
        "g7_between_repeats": lambda: curves.between_repeats(made.distances, space, title),
        "g8_development": lambda: rows(more_units),
        "settled_units": lambda: explanations.settled(made.units, epochs, title),
        **{
            name: lambda name=name: explanations.appearance(made.appearance, name, title)  # type: ignore[misc]
            for name in explanations.APPEARANCE
        },
        "dimension": lambda: explanations.dimension(made.natural, title),
        "faithfulness": lambda: faithfulness(made.natural, title),
        "faithfulness_along": lambda: along(made.natural, title),
        **{
            name: lambda share=share: matched(made.matching, share, conditions, title)  # type: ignore[misc]
            for share, name in MATCHED.items()
        },
        "prediction": lambda: prediction(made.findings["prediction"], title),
    }
    if made.modes:  # which a study asks for (modes.runs)
        every["modes"] = lambda: modes(made.modes, title)
    if "beside" in made.findings:  # in a study of the paper's form: what its claims do not cover
        every["findings_conditions"] = lambda: contrasts(made.findings["beside"], title)
    absent = left_out(made, shown)
    return {name: draw for name, draw in every.items() if name not in absent}
