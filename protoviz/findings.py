"""The paper's findings F1, F3, F6 and F8, computed from a study: direction and size in every sequence.

Each finding is one function from the layer means of one space to `Evidence`. The verdict speaks of
the main space (metrics.main_space); in how many of the others the direction is the same is counted.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from protoviz import schema
from protoviz.evidence import (
    NOT_COMPUTED,
    Evidence,
    Part,
    agreement,
    direction,
    effect,
    gaps,
    least_p,
    sequences,
)
from protoviz.metrics import main_space

WITH_COLOUR_JITTER, WITHOUT = PAIR = ("clrjit", "keepclr")
DEEP = ("layer3", "layer4")


def f1(means: xr.Dataset) -> Evidence:
    """Layer1 diversity drops in the first epochs, grows again; keepclr ends higher."""
    epochs = means[schema.EPOCH].values
    missing = _absent_layers(means, ["layer1"])
    if missing:
        return Evidence((), missing)
    diversity = means["diversity"].sel(layer=["layer1"])
    last = diversity.isel(epoch=-1)
    parts = []
    if len(epochs) < 2:
        missing += ("the fall needs the untrained network and a trained epoch",)
    if len(epochs) < 3:
        missing += ("the recovery needs two trained epochs",)
    for name in means[schema.CONDITION].values:
        of, ending = diversity.sel(condition=[name]), last.sel(condition=[name])
        if len(epochs) >= 2:
            fall = _percent(of.isel(epoch=1), of.isel(epoch=0))
            parts.append(Part(f"diversity, epoch {epochs[1]} against untrained, {name}", "%", "below", fall))
        if len(epochs) >= 3:
            lowest = of.isel(epoch=slice(1, -1)).min(schema.EPOCH, skipna=False)
            recovery = _percent(ending, lowest)
            parts.append(Part(f"diversity, last epoch against lowest since, {name}", "%", "above", recovery))
    if pair := _absent_conditions(means):
        return Evidence(tuple(parts), (*missing, *pair))
    end = _percent(last.sel(condition=WITHOUT), last.sel(condition=WITH_COLOUR_JITTER))
    parts.append(Part("diversity at the last epoch, keepclr against clrjit", "%", "above", end))
    return Evidence(tuple(parts), missing)


def f3(means: xr.Dataset) -> Evidence:
    """In layers 3 and 4 clrjit keeps rising while keepclr levels off, and ends higher."""
    missing = _absent_layers(means, DEEP) + _absent_conditions(means)
    if missing:
        return Evidence((), missing)
    diversity = means["diversity"].sel(layer=list(DEEP))
    jitter, plain = diversity.sel(condition=WITH_COLOUR_JITTER), diversity.sel(condition=WITHOUT)
    end = _percent(jitter.isel(epoch=-1), plain.isel(epoch=-1))
    parts = [Part("diversity at the last epoch, clrjit against keepclr", "%", "above", end)]
    epochs = means[schema.EPOCH].values
    late = np.flatnonzero(epochs >= epochs[-1] / 2)
    if len(late) < 2:
        return Evidence(tuple(parts), ("slopes need two kept epochs in the second half of training",))
    span = f"epochs {epochs[late[0]]} to {epochs[-1]}"
    jitter, plain = jitter.isel(epoch=late), plain.isel(epoch=late)
    own = 100 * _slope(jitter) / jitter.mean(schema.EPOCH, skipna=False)
    both = (jitter + plain).mean(schema.EPOCH, skipna=False) / 2
    apart = 100 * (_slope(jitter) - _slope(plain)) / both
    parts += [
        Part(f"slope of diversity, {span}, clrjit", "% an epoch", "above", own),
        Part(f"slope of diversity, {span}, clrjit - keepclr", "% an epoch", "above", apart),
    ]
    return Evidence(tuple(parts), missing)


def f6(means: xr.Dataset) -> Evidence:
    """The rate of change peaks at the first epoch in all networks."""
    if means.sizes[schema.STEP] < 2:
        return Evidence((), ("a peak needs two steps, three kept epochs",))
    change = means["rate_of_change"]
    later = change.isel(step=slice(1, None)).max(schema.STEP, skipna=False)
    ratio = change.isel(step=0) / later.where(later > 0)
    return Evidence(
        tuple(
            Part(f"first step against the greatest later step, {name}", "times", "above", values, 1.0)
            for name in means[schema.CONDITION].values
            for values in [ratio.sel(condition=[name])]
        )
    )


def f8(means: xr.Dataset) -> Evidence:
    """The distance between repeats grows with training, most in deep layers of clrjit."""
    if means.sizes[schema.REPEAT] < 2:
        return Evidence((), ("the distance between repeats needs two repeats",))
    if means.sizes[schema.EPOCH] < 2:
        return Evidence((), ("growth needs the untrained network and a trained epoch",))
    apart = means["between_repeats"]
    growth = _percent(apart.isel(epoch=-1), apart.isel(epoch=0))
    parts = [
        Part(f"distance between repeats, last epoch against untrained, {name}", "%", "above", values)
        for name in means[schema.CONDITION].values
        for values in [growth.sel(condition=[name])]
    ]
    missing = _absent_conditions(means) + _absent_layers(means, DEEP)
    if missing:
        return Evidence(tuple(parts), missing)
    deep = growth.sel(layer=list(DEEP))
    difference = deep.sel(condition=WITH_COLOUR_JITTER) - deep.sel(condition=WITHOUT)
    parts.append(Part("that growth, clrjit - keepclr", "points of %", "above", difference))
    # Growth relative to the untrained network, since values of layers are not comparable (D3).
    first = (growth[schema.CONDITION] == WITH_COLOUR_JITTER) & growth[schema.LAYER].isin(DEEP)
    across = [schema.CONDITION, schema.LAYER]
    lead = growth.where(first).max(across) - growth.where(~first).max(across)
    lead = lead.where(growth.notnull().all(across)).expand_dims(layer=["all layers"])
    parts.append(Part("greatest in layers 3-4 of clrjit - greatest elsewhere", "points of %", "above", lead))
    return Evidence(tuple(parts))


# The docstring of each is the claim of the paper that it holds against the study.
FINDINGS: dict[str, Callable[[xr.Dataset], Evidence]] = {"F1": f1, "F3": f3, "F6": f6, "F8": f8}


def collect(
    title: str, means: xr.Dataset, probes: Sequence[Mapping[str, Any]], chance: float
) -> dict[str, Any]:
    """All findings of a study and what stands beside them, as JSON values.

    Args:
        title: of the study.
        means: layer means of all networks (metrics.combine).
        probes: the final accuracies, %, of each network: condition, run and one key a read-out.
        chance: accuracy of guessing, %.
    """
    live = means[schema.LIVE_UNITS]
    whole = means["units"] * xr.ones_like(live)
    trained = means[schema.EPOCH] > 0
    runs = means.sizes[schema.RUN]
    return {
        "study": {
            "title": title,
            "conditions": [str(name) for name in means[schema.CONDITION].values],
            "runs": means[schema.RUN].values.tolist(),
            "repeats": means.sizes[schema.REPEAT],
            "epochs": means[schema.EPOCH].values.tolist(),
            "prototypes": int(whole.sum()),
            "excluded_percent": _excluded(live, whole),
            "excluded_percent_trained": _excluded(live.sel(epoch=trained), whole.sel(epoch=trained)),
            "chance": round(chance, 2),
            "probe": [dict(row) for row in probes],
        },
        "note": f"With {runs} run{'s' * (runs != 1)} a condition an exact two-sided permutation test cannot "
        f"go below p = {least_p(runs):.2f}: signs are counted, no significance is claimed.",
        "findings": [_finding(name, means) for name in FINDINGS],
    }


def _finding(name: str, means: xr.Dataset) -> dict[str, Any]:
    compute, space = FINDINGS[name], main_space(means)
    found = compute(means.sel(space))
    verdict = direction(found.parts)
    elsewhere = {
        " ".join(other.values()): compute(means.sel(other)).parts
        for other in _spaces(means)
        if other != space
    }
    directions = sorted(direction(parts) for parts in elsewhere.values())
    missing = [*found.missing, *(line for part in found.parts for line in gaps(part))]
    effects = [effect(part) for part in found.parts]
    claim = str(compute.__doc__).strip().rstrip(".")
    if verdict == NOT_COMPUTED:
        statement = f"Cannot be computed: {'; '.join(missing)}."
    else:
        statement = f"{claim}: {verdict}, {agreement(found.parts)} values have the sign of the claim."
        statement += f" Not computed: {'; '.join(missing)}." if missing else ""
    return {
        "id": name,
        "claim": claim,
        "direction": verdict,
        "agrees": agreement(found.parts),
        "statement": statement,
        "space": " ".join(space.values()),
        "other_spaces": {name: directions.count(name) for name in dict.fromkeys(directions)},
        "by_space": {name: f"{direction(parts)}, {agreement(parts)}" for name, parts in elsewhere.items()},
        "n": {"runs": means.sizes[schema.RUN], "repeats": means.sizes[schema.REPEAT]},
        "effect": effects,
        "missing": missing,
        "per_run": [row for part in found.parts for row in sequences(part)],
    }


def _spaces(means: xr.Dataset) -> list[dict[str, str]]:
    names = (schema.EMBEDDER, schema.DISTANCE, schema.MASKING)
    first, second, third = ([str(value) for value in means[name].values] for name in names)
    return [dict(zip(names, (a, b, c), strict=True)) for a in first for b in second for c in third]


def _percent(value: xr.DataArray, base: xr.DataArray) -> xr.DataArray:
    """By how many percent of the base the value lies above it; NaN where the base is zero."""
    return 100 * (value - base) / base.where(base > 0)


def _slope(curve: xr.DataArray) -> xr.DataArray:
    """Least-squares slope per epoch; NaN where a value is missing."""
    centred = curve[schema.EPOCH] - curve[schema.EPOCH].mean()
    return (curve * centred).sum(schema.EPOCH, skipna=False) / (centred**2).sum()


def _excluded(live: xr.DataArray, whole: xr.DataArray) -> float | None:
    """Percent of units that are dead or diverged; None where there are none at all."""
    return float(f"{100 * (1 - float(live.sum()) / float(whole.sum())):.3g}") if whole.size else None


def _absent_conditions(means: xr.Dataset) -> tuple[str, ...]:
    there = [str(name) for name in means[schema.CONDITION].values]
    if all(name in there for name in PAIR):
        return ()
    return (f"the comparison needs the conditions {' and '.join(PAIR)}; the study has {', '.join(there)}",)


def _absent_layers(means: xr.Dataset, layers: Sequence[str]) -> tuple[str, ...]:
    there = [str(name) for name in means[schema.LAYER].values]
    absent = [name for name in layers if name not in there]
    return (f"{' and '.join(absent)} needed; the study has {', '.join(there)}",) if absent else ()
