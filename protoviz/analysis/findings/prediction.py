"""Correlates the measures of each layer with probe accuracy, over networks and epochs (F14).

Accuracy and most measures change during training, so any two of them are correlated. The question is whether
they are correlated at the same epoch, as measured by the partial correlation given the epoch: Pearson's
correlation of the residuals from the mean over networks at each epoch, all epochs pooled. It is asked twice:

- *given epoch*, over all networks. Conditions differ in much at once, and there are few of them;
- *within conditions*, given epoch and condition: whether, among networks that differ only in their seed,
  those with more diverse prototypes are more accurate.

Epochs of one network are not independent, so the exact test exchanges whole networks with all their epochs:
conditions within each run, and runs; within conditions, runs alone, in the same way in all of them. Intervals
are by jackknife and bootstrap over runs in Fisher's z (arctanh of r), with Student's t.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from protoviz import seeding
from protoviz.analysis import metrics
from protoviz.analysis.findings import statistics
from protoviz.analysis.findings.evidence import Effect, Evidence
from protoviz.analysis.findings.pairs import contributions
from protoviz.analysis.findings.statistics import Floats
from protoviz.analysis.findings.study import DIVERSITY, DRAW, Space, Study, over_repeats
from protoviz.store import schema, schema_responses

# Names of layer means; those that a study did not measure are left out.
PREDICTORS = (
    "diversity",
    metrics.CONSISTENCY,
    schema_responses.PARTICIPATION_RATIO,
    "faithfulness",
    "modes",
)
READOUT = "logistic"
CLOSEST = 0.999  # to 1: beyond it, Fisher's z has no meaning with so few networks
MOST = 20_000  # exchanges that are tried; of more, so many are drawn at random


def accuracies(rows: Sequence[Mapping[str, Any]], like: xr.Dataset) -> xr.DataArray | None:
    """The accuracy of one read-out at each epoch, %: (condition, run, epoch); None without a probe.

    Args:
        rows: condition, run, epoch, readout and accuracy, as text or numbers.
        like: conditions, runs and epochs that are wanted; NaN where there is no accuracy.
    """
    readouts = list(dict.fromkeys(row["readout"] for row in rows))
    if not readouts:
        return None
    chosen = READOUT if READOUT in readouts else readouts[0]
    table = {
        (row[schema.CONDITION], int(row[schema.RUN]), int(row[schema.EPOCH])): float(row["accuracy"])
        for row in rows
        if row["readout"] == chosen
    }
    axes = {name: like[name].values.tolist() for name in (schema.CONDITION, schema.RUN, schema.EPOCH)}
    values = np.array([table.get(place, np.nan) for place in itertools.product(*axes.values())])
    return xr.DataArray(values.reshape([len(axis) for axis in axes.values()]), axes, list(axes), name=chosen)


def residuals(values: Floats, *, within: bool) -> Floats:
    """Values (condition, run, epoch) less their mean over networks at each epoch, or over runs alone."""
    found: Floats = values - values.mean(1 if within else (0, 1), keepdims=True)
    return found


def partial(measure: Floats, accuracy: Floats, *, within: bool) -> float:
    """The partial correlation of two tables (condition, run, epoch); NaN where one does not vary."""
    first, second = residuals(measure, within=within), residuals(accuracy, within=within)
    scale = math.sqrt(float((first**2).sum()) * float((second**2).sum()))
    size = math.sqrt(float((measure**2).sum()) * float((accuracy**2).sum()))
    return float((first * second).sum()) / scale if scale > 1e-12 * size else float("nan")


@cache
def exchanges(conditions: int, runs: int, *, within: bool) -> NDArray[np.int64]:
    """Which network's accuracies each network gets, (exchange, condition x run); in the first, its own."""
    places = np.arange(conditions * runs).reshape(conditions, runs)
    number = math.factorial(runs) * (1 if within else math.factorial(conditions) ** runs)
    found = [places]
    if number > MOST:
        rng = seeding.generator("exchanges", conditions, runs)
        for _ in range(MOST - 1):
            moved = places[:, rng.permutation(runs)]
            found.append(moved if within else rng.permuted(moved, axis=0))
    else:
        swaps = itertools.permutations(range(conditions))
        swapped = [list(one) for one in ([] if within else itertools.product(swaps, repeat=runs))]
        orders = [places[:, list(order)] for order in itertools.permutations(range(runs))]
        of_conditions = [np.array(one).T for one in swapped] or [np.arange(conditions)[:, None]]
        found = [np.take_along_axis(order, swap, axis=0) for order in orders for swap in of_conditions]
    return np.array(found).reshape(len(found), -1)


def exact_p(measures: Sequence[Floats], accuracy: Floats, *, within: bool) -> tuple[float, float]:
    """Two-sided p of the mean partial correlation of some tables with accuracy, and its floor.

    Args:
        measures: tables (condition, run, epoch), of which none is constant.
        accuracy: the same.
        within: see above.
    """
    conditions, runs, _ = accuracy.shape
    second = residuals(accuracy, within=within).reshape(conditions * runs, -1)
    products = np.zeros((conditions * runs, conditions * runs))
    for measure in measures:
        first = residuals(measure, within=within).reshape(conditions * runs, -1)
        products += first @ second.T / np.sqrt((first**2).sum())
    rows = np.arange(len(products))
    every = products[rows, exchanges(conditions, runs, within=within)].sum(1)
    mirrored = 2 if (runs if within else conditions * runs) == 2 else 1  # of two, an exchange flips the sign
    p = float((np.abs(every) >= abs(every[0]) * (1 - 1e-9) - 1e-300).mean())
    return p, min(1.0, mirrored / len(every))


def fisher(measure: Floats, accuracy: Floats, *, within: bool) -> Floats:
    """Fisher's z of the partial correlation, as contributed by each run, (R,); with one run, z itself.

    NaN where it cannot be computed once one of the runs is left out.
    """

    def of(runs: Sequence[int]) -> Floats:
        some = list(runs)
        r = partial(measure[:, some], accuracy[:, some], within=within)
        return np.arctanh(np.clip(np.array(r), -CLOSEST, CLOSEST))

    runs = range(measure.shape[1])
    return contributions(of, runs) if len(runs) > 1 else of(runs)[None]


def predicted(means: xr.Dataset, accuracy: xr.DataArray | None) -> dict[str, Any]:
    """The partial correlation of each measure of each layer with accuracy, as JSON values.

    Args:
        means: layer means of all networks (metrics.combine).
        accuracy: of `accuracies`.

    Returns:
        `readout`, `rows`, each with measure, layer, epochs (their number), networks, and `given_epoch` and
        `within_conditions` (r, interval, p, p_floor; None where it cannot be computed), `note`, `missing`.
    """
    found: dict[str, Any] = {"readout": None, "rows": [], "note": "", "missing": []}
    if accuracy is None:
        return {**found, "missing": ["the study has no probe"]}
    found["readout"] = str(accuracy.name)
    networks = accuracy.sizes[schema.CONDITION] * accuracy.sizes[schema.RUN]
    if networks < 3:
        count = f"{networks} network" + "s" * (networks > 1)
        return {**found, "missing": [f"prediction over networks needs three; the study has {count}"]}
    there = means.sel(metrics.main_space(means))
    for name in PREDICTORS:
        if name not in there:
            found["missing"].append(f"{name}: not measured")
            continue
        for layer in there[schema.LAYER].values.tolist():
            row = _row(there[name].sel(layer=layer), accuracy, (name, layer))
            if row is None:
                found["missing"].append(f"{name} in {layer}: not known at any epoch of all networks")
            else:
                found["rows"].append({"measure": name, "layer": layer, "networks": networks, **row})
    found["note"] = note(accuracy.sizes[schema.CONDITION], accuracy.sizes[schema.RUN], len(found["rows"]))
    return found


def note(conditions: int, runs: int, rows: int) -> str:
    """What the numbers mean with this many networks."""
    over = min(math.factorial(runs) * math.factorial(conditions) ** runs, MOST)
    within = min(math.factorial(runs), MOST)
    return (
        "r is the partial correlation with probe accuracy given the epoch (Pearson's, of residuals from the "
        "mean over networks at each epoch), over all networks and, given the condition as well, over runs "
        "within conditions. Intervals (95 %) are by jackknife and bootstrap over runs with Student's t; p "
        f"is of the exact test that exchanges whole networks and cannot go below {1 / over:.2g}, within "
        f"conditions below {1 / within if runs > 2 else 1:.2g}. {rows} are computed here: nothing is "
        "corrected for their number, and a correlation over few conditions says little of others."
    )


def _row(values: xr.DataArray, accuracy: xr.DataArray, address: tuple[str, str]) -> dict[str, Any] | None:
    over = values.mean(schema.REPEAT) if schema.REPEAT in values.dims else values
    measure, known = _tables(over, accuracy)
    if not measure.shape[2]:
        return None
    told = {
        name: _numbers(measure, known, *address, name, within=within)
        for name, within in (("given_epoch", False), ("within_conditions", True))
    }
    return {"epochs": measure.shape[2], **told}


def _tables(measure: xr.DataArray, accuracy: xr.DataArray) -> tuple[Floats, Floats]:
    """Both as (condition, run, epoch), for the runs that have both, at the epochs that all of these have."""
    dims = (schema.CONDITION, schema.RUN, schema.EPOCH)
    first = measure.transpose(*dims).values.astype(np.float64)
    second = accuracy.transpose(*dims).values.astype(np.float64)
    known = np.isfinite(first) & np.isfinite(second)
    runs = known.any((0, 2))  # units may have been started again in some runs only
    both = known[:, runs].all((0, 1)) & runs.any()
    return first[:, runs][..., both], second[:, runs][..., both]


def _numbers(measure: Floats, accuracy: Floats, *address: str, within: bool) -> dict[str, Any] | None:
    r = partial(measure, accuracy, within=within)
    if not math.isfinite(r):
        return None
    p, floor = exact_p([measure], accuracy, within=within)
    z, interval = fisher(measure, accuracy, within=within), None
    if len(z) > 1 and np.isfinite(z).all():
        ends = statistics.interval(np.broadcast_to(z, (statistics.DRAWS + 1, len(z))), "prediction", *address)
        interval = [round(math.tanh(end), 3) for end in (ends.low, ends.high)]
    return {"r": round(r, 3), "interval": interval, "p": round(p, 4), "p_floor": round(floor, 4)}


def f14(study: Study, space: Space) -> Evidence:
    """At the same epoch, networks of more diverse prototypes have the richer representation."""
    if study.accuracy is None:
        return Evidence((), ("the study has no probe",))
    measures = study.measures(space)
    diversity = over_repeats(measures[DIVERSITY], measures).isel({DRAW: 0}, drop=True)
    effects: list[Effect] = []
    missing: list[str] = []
    for within, words in (
        (False, "diversity and accuracy given epoch"),
        (True, "the same within conditions"),
    ):
        effect = _effect(study, diversity, within, f"{words}, (1 + r) / (1 - r)")
        if effect is None:
            missing.append(f"{words}: too few networks, or no layer in which they differ")
        else:
            effects.append(effect)
    return Evidence(tuple(effects), tuple(missing))


def _effect(study: Study, diversity: xr.DataArray, within: bool, quantity: str) -> Effect | None:
    """(1 + r) / (1 - r): for standardised residuals, the variance of the sum over that of the difference."""
    assert study.accuracy is not None
    layers, tables, logs = [], [], []
    for layer in study.layers:
        measure, accuracy = _tables(diversity.sel(layer=layer), study.accuracy)
        if not measure.shape[2] or not math.isfinite(partial(measure, accuracy, within=within)):
            continue
        layers.append(layer)
        tables.append(measure)
        logs.append(2 * fisher(measure, accuracy, within=within))
    if not tables or not np.isfinite(logs).any() or len({table.shape for table in tables}) > 1:
        return None
    log = xr.DataArray(
        np.broadcast_to(np.array(logs).T, (study.draws + 1, len(logs[0]), len(layers))),
        {schema.RUN: study.runs, schema.LAYER: layers},
        (DRAW, schema.RUN, schema.LAYER),
    )
    return Effect(quantity, "above", log, exact=exact_p(tables, accuracy, within=within))
