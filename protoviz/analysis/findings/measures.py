"""The measures of any study: each with the epoch it is taken at, or the reason why it cannot be taken.

F1 to F12 use the same numbers; here no direction is claimed.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import xarray as xr

from protoviz.analysis.findings.pairs import LEAST_RUNS
from protoviz.analysis.findings.study import (
    APART,
    CHANGE,
    DIVERSITY,
    DRAW,
    FAITHFULNESS,
    LEARNING,
    SETTLED,
    over_repeats,
)
from protoviz.store import schema, schema_appearance, schema_matching, schema_modes, schema_responses

EVERYWHERE = (schema.EMBEDDER, schema.DISTANCE, schema.MASKING)
NO_UNITS = "too few live units"


@dataclass(frozen=True)
class Taken:
    """The values of a measure.

    Attributes:
        values: (draw, condition, run, layer).
        when: the epochs they were taken at, in words.
    """

    values: xr.DataArray
    when: str


@dataclass(frozen=True)
class Absent:
    """Why a measure could not be taken, in words."""

    why: str


@dataclass(frozen=True)
class Measure:
    """A measure of the layers of a network.

    Attributes:
        name: as in metrics/<condition>.json, if it is there.
        text: what it is.
        take: from the measures of a study (Study.measures) to its values, or the reason why there are none.
        ratio: whether two conditions are compared by their ratio; else by their difference.
        unit: of its values, and of differences.
        axes: the parts of a space it depends on.
    """

    name: str
    text: str
    take: Callable[[xr.Dataset], Taken | Absent]
    ratio: bool = True
    unit: str = ""
    axes: tuple[str, ...] = EVERYWHERE


def _epochs(measures: xr.Dataset) -> list[int]:
    return [int(epoch) for epoch in measures[schema.EPOCH].values]


def _last(measures: xr.Dataset) -> str:
    return f"epoch {_epochs(measures)[-1]}"


def _diversity(measures: xr.Dataset) -> Taken:
    return Taken(over_repeats(measures[DIVERSITY].isel(epoch=-1), measures), _last(measures))


def _growth(measures: xr.Dataset) -> Taken | Absent:
    epochs = _epochs(measures)
    if len(epochs) < 2:
        return Absent("growth needs two epochs; the study has one")
    curve = over_repeats(measures[DIVERSITY], measures)
    base = curve.isel(epoch=0)
    return Taken(curve.isel(epoch=-1) / base.where(base > 0), f"epoch {epochs[-1]} / epoch {epochs[0]}")


def _change(measures: xr.Dataset) -> Taken | Absent:
    return _over_steps(measures, CHANGE)


def _first_change(measures: xr.Dataset) -> Taken | Absent:
    if measures.sizes[schema.STEP] < 2:
        return Absent("a first step among others needs three epochs")
    first, second = _epochs(measures)[:2]
    return Taken(over_repeats(measures[CHANGE].isel(step=0), measures), f"from epoch {first} to {second}")


def _learning(measures: xr.Dataset) -> Taken | Absent:
    if measures.sizes[schema.REPEAT] < 2:
        return Absent("telling learning from the noise of the synthesis needs two repeats; the study has one")
    return _over_steps(measures, LEARNING)


def _over_steps(measures: xr.Dataset, name: str) -> Taken | Absent:
    steps, epochs = measures.sizes[schema.STEP], _epochs(measures)
    if steps < 1:
        return Absent("a change needs two epochs; the study has one")
    mean = over_repeats(measures[name], measures).mean(schema.STEP, skipna=False)
    words = f"mean of {steps} steps from" if steps > 1 else "from"
    return Taken(mean, f"{words} epoch {epochs[0]} to {epochs[-1]}")


def _consistency(measures: xr.Dataset) -> Taken | Absent:
    if measures.sizes[schema.REPEAT] < 2:
        return Absent("consistency over repeats needs two repeats; the study has one")
    diversity = over_repeats(measures[DIVERSITY].isel(epoch=-1), measures)
    return Taken(1 - measures[APART].isel(epoch=-1) / diversity.where(diversity > 0), _last(measures))


def _settling(measures: xr.Dataset) -> Taken | Absent:
    epochs = _epochs(measures)
    if len(epochs) < 3:
        return Absent(f"settling needs three epochs; the study has {len(epochs)}")
    return Taken(over_repeats(measures[SETTLED], measures), f"from epoch {epochs[0]} to {epochs[-1]}")


def _looks(name: str) -> Callable[[xr.Dataset], Taken | Absent]:
    def take(measures: xr.Dataset) -> Taken | Absent:
        if name not in measures:
            return Absent("the appearance of the prototypes was not measured")
        return Taken(over_repeats(measures[name].isel(epoch=-1), measures), _last(measures))

    return take


def _responses(name: str) -> Callable[[xr.Dataset], Taken | Absent]:
    def take(measures: xr.Dataset) -> Taken | Absent:
        if name not in measures:
            return Absent("the study has no natural images")
        return Taken(measures[name].isel(epoch=-1), _last(measures))

    return take


def _modes(name: str) -> Callable[[xr.Dataset], Taken | Absent]:
    def take(measures: xr.Dataset) -> Taken | Absent:
        if name not in measures:
            return Absent("no units were started again (modes.runs)")
        known = measures[name].isel({DRAW: 0}).notnull()
        runs = known.any([dim for dim in known.dims if dim != schema.RUN]).values
        if not runs.all():
            again = ", ".join(str(run) for run in measures[schema.RUN].values[runs])
            return Absent(f"units were started again in run {again} alone")
        epochs = np.flatnonzero(known.any([dim for dim in known.dims if dim != schema.EPOCH]))
        last = int(epochs[-1])
        return Taken(measures[name].isel(epoch=last), f"epoch {_epochs(measures)[last]}")

    return take


def _faithfulness(measures: xr.Dataset) -> Taken | Absent:
    if FAITHFULNESS not in measures:
        return Absent("prototypes were not compared with natural images along the layers")
    return Taken(over_repeats(measures[FAITHFULNESS].isel(epoch=-1), measures), _last(measures))


def _matching(name: str) -> Callable[[xr.Dataset], Taken | Absent]:
    def take(measures: xr.Dataset) -> Taken | Absent:
        if name in measures:
            return Taken(measures[name], "the last epoch at which units were matched")
        if measures.sizes[schema.RUN] < LEAST_RUNS:
            return Absent("what is said of pairs of runs needs three runs")
        return Absent("units were not matched over runs by what this needs")

    return take


MEASURES = (
    Measure("diversity", "mean distance between two units", _diversity),
    Measure("diversity_growth", "diversity of the last epoch over that of the first", _growth),
    Measure("rate_of_change", "distance between a unit's prototypes at neighbouring kept epochs", _change),
    Measure("first_change", "the same of the first step", _first_change),
    Measure("learning", "rate of change without the noise of the synthesis", _learning, ratio=False),
    Measure(
        "consistency",
        "1 where repeats of a unit are identical, 0 where they differ like two units",
        _consistency,
        ratio=False,
    ),
    Measure("settling_epoch", "epoch from which a unit changes half as fast as before", _settling),
    *(
        Measure(name, text, _looks(name), axes=(schema.MASKING,))
        for name, text in (
            (schema_appearance.SATURATION, "colourfulness of prototypes, 0 to 1"),
            (schema_appearance.WARMTH, "how near to orange their colours are, 0 to 1"),
            (schema_appearance.HIGH_FREQUENCY, "share of waves shorter than 8 px, 0 to 1"),
        )
    ),
    *(
        Measure(name, text, _responses(name), axes=())
        for name, text in (
            (schema_responses.PARTICIPATION_RATIO, "dimension of responses to natural images"),
            (schema_responses.MEAN_CORRELATION, "mean correlation of two units' responses to natural images"),
        )
    ),
    Measure(
        schema_modes.COUNT,
        "different images that were found to drive a unit, a lower bound",
        _modes(schema_modes.COUNT),
        axes=(),
    ),
    Measure(
        schema_modes.MEETING,
        "chance that two starts of a unit end in one mode",
        _modes(schema_modes.MEETING),
        axes=(),
    ),
    Measure(
        FAITHFULNESS,
        "1 where layers see prototypes as the natural images that drive a unit, 0 where as any others",
        _faithfulness,
        ratio=False,
        axes=(),
    ),
    *(
        Measure(name, text, _matching(name), ratio=False, axes=())
        for name, text in (
            (schema_matching.SHARE_MATCHED, "share of units with a partner in another run, beyond chance"),
            (schema_matching.SHARE_BEYOND_SPACE, "the same, beyond units turned at random in their space"),
            (schema_matching.MATCHED, "mean correlation of units and their partners in another run"),
            (schema_matching.AGREEMENT, "share of units with the same partner by prototypes and responses"),
        )
    ),
)

# No claim of the paper covers these: a study that is tested on its claims is described by them as well.
UNCLAIMED = (FAITHFULNESS,)
