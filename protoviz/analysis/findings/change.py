"""Claims on how prototypes change and settle, and how far repeats lie apart: F6 to F9."""

import xarray as xr

from protoviz.analysis.findings.comparisons import (
    DEEP,
    JITTER,
    KEEP,
    SHALLOW,
    absent_conditions,
    absent_layers,
    log,
    ratio,
)
from protoviz.analysis.findings.evidence import Effect, Evidence
from protoviz.analysis.findings.study import APART, CHANGE, LEARNING, SETTLED, Space, Study, over_repeats
from protoviz.store import schema

SETTLED_BY = 0.3  # of the training: epoch 30 of 100


def f6(study: Study, space: Space) -> Evidence:
    """The rate of change peaks at the first epoch in all networks."""
    measures = study.measures(space)
    if measures.sizes[schema.STEP] < 2:
        return Evidence((), ("a peak needs two steps, three kept epochs",))
    effects = []
    rates, missing = _rates(measures)
    for noise, rate in rates.items():
        later = rate.isel(step=slice(1, None)).max(schema.STEP, skipna=False)
        peak = ratio(rate.isel(step=0), later)
        effects.append(Effect(f"least first step / greatest later{noise}", "above", peak, "least"))
    return Evidence(tuple(effects), missing)


def f7(study: Study, space: Space) -> Evidence:
    """Networks of clrjit change faster in layers 3 and 4."""
    measures = study.measures(space)
    absent = absent_layers(measures, DEEP) + absent_conditions(measures)
    if measures.sizes[schema.STEP] < 1:
        absent += ("a change needs two kept epochs",)
    if absent:
        return Evidence((), absent)
    effects = []
    rates, missing = _rates(measures)
    for noise, rate in rates.items():
        mean = rate.sel(layer=list(DEEP)).mean(schema.STEP, skipna=False)
        faster = ratio(mean.sel(condition=JITTER, drop=True), mean.sel(condition=KEEP, drop=True))
        effects.append(Effect(f"mean change, clrjit / keepclr{noise}", "above", faster))
    return Evidence(tuple(effects), missing)


def _rates(measures: xr.Dataset) -> tuple[dict[str, xr.DataArray], tuple[str, ...]]:
    """The change in every step as it was measured, and as it would be if every epoch had the same noise.

    The second differs from the first by the noise of each step (settling.noise); the mean noise over
    epochs is left in, so that ratios exist where little was learnt. It orders steps as `learning` does.
    """
    rates = {"": over_repeats(measures[CHANGE], measures)}
    if measures.sizes[schema.REPEAT] < 2:
        return rates, ("telling learning from the noise of the synthesis needs two repeats",)
    learnt = over_repeats(measures[LEARNING], measures)
    noise = measures[APART].mean(schema.EPOCH, skipna=False)
    return {**rates, ", equal noise": learnt + noise}, ()


def f8(study: Study, space: Space) -> Evidence:
    """The distance between repeats grows with training, most in deep layers of clrjit."""
    measures = study.measures(space)
    if measures.sizes[schema.REPEAT] < 2:
        return Evidence((), ("the distance between repeats needs two repeats",))
    if measures.sizes[schema.EPOCH] < 2:
        return Evidence((), ("growth needs the untrained network and a trained epoch",))
    apart = measures[APART]
    growth = ratio(apart.isel(epoch=-1), apart.isel(epoch=0))
    effects = [Effect("between repeats, last epoch / untrained", "above", growth)]
    if missing := absent_conditions(measures) + absent_layers(measures, DEEP):
        return Evidence(tuple(effects), missing)
    deep = growth.sel(layer=list(DEEP))
    jitter = deep.sel(condition=JITTER, drop=True)
    effects.append(
        Effect(
            "that growth in layers 3-4, clrjit / keepclr",
            "above",
            jitter - deep.sel(condition=KEEP, drop=True),
        )
    )
    shallow = [name for name in SHALLOW if name in measures[schema.LAYER].values]
    if not shallow:
        return Evidence(tuple(effects), absent_layers(measures, SHALLOW))
    elsewhere = growth.sel(condition=JITTER, layer=shallow, drop=True).mean(schema.LAYER, skipna=False)
    effects.append(
        Effect(
            "that growth in clrjit, layers 3-4 / layers 1-2",
            "above",
            jitter.mean(schema.LAYER, skipna=False) - elsewhere,
        )
    )
    return Evidence(tuple(effects))


def f9(study: Study, space: Space) -> Evidence:
    """Units settle to a primitive form by 30 % of the training (epoch 30 of 100)."""
    measures = study.measures(space)
    epochs = measures[schema.EPOCH].values
    limit = SETTLED_BY * float(epochs[-1])
    if measures.sizes[schema.STEP] < 2:
        return Evidence((), ("settling needs two steps, three kept epochs",))
    if not ((epochs > 0) & (epochs <= limit)).any():
        return Evidence((), (f"settling by epoch {limit:g} needs a kept epoch between 1 and that",))
    settled = over_repeats(measures[SETTLED], measures)
    return Evidence((Effect(f"mean settling epoch of units / {limit:g}", "below", log(settled / limit)),))
