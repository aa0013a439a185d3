"""Claims on the diversity of prototypes: F1 to F5."""

import itertools

import xarray as xr

from protoviz.analysis.findings.comparisons import (
    DEEP,
    JITTER,
    KEEP,
    absent_conditions,
    absent_layers,
    growth,
    log,
    log_diversity,
    ratio,
)
from protoviz.analysis.findings.evidence import Effect, Evidence
from protoviz.analysis.findings.study import APART, DIVERSITY, DRAW, Space, Study, over_repeats
from protoviz.store import schema


def f1(study: Study, space: Space) -> Evidence:
    """Layer1 diversity drops in the first epochs, grows, levels off; keepclr ends higher."""
    return _early_layer(study, space, "layer1", levels_off=True)


def f2(study: Study, space: Space) -> Evidence:
    """Layer2 diversity drops, then grows again; keepclr ends slightly higher."""
    return _early_layer(study, space, "layer2", levels_off=False)


def _early_layer(study: Study, space: Space, layer: str, *, levels_off: bool) -> Evidence:
    measures = study.measures(space)
    if missing := absent_layers(measures, [layer]):
        return Evidence((), missing)
    curves = log_diversity(measures).sel(layer=layer, drop=True)
    epochs, last = measures[schema.EPOCH].values, curves.isel(epoch=-1)
    effects = []
    if len(epochs) < 2:
        missing += ("the drop needs the untrained network and a trained epoch",)
    else:
        drop = curves.isel(epoch=1) - curves.isel(epoch=0)
        effects.append(Effect(f"diversity, epoch {epochs[1]} / untrained", "below", drop))
    # Growth is measured from the first trained epoch: from its lowest one, every curve grows.
    if len(epochs) < 3:
        missing += ("growth needs two trained epochs",)
    else:
        regrowth = last - curves.isel(epoch=1)
        effects.append(Effect(f"diversity, epoch {epochs[-1]} / epoch {epochs[1]}", "above", regrowth))
    if levels_off:
        trained = curves.isel(epoch=slice(1, None))
        early, late = growth(trained, 0), growth(trained, 1)
        if early is None or late is None:
            missing += ("levelling off needs two trained epochs in each half of training",)
        else:
            effects.append(Effect("growth, second half of training / first half", "below", late - early))
    if pair := absent_conditions(measures):
        return Evidence(tuple(effects), (*missing, *pair))
    apart = last.sel(condition=KEEP, drop=True) - last.sel(condition=JITTER, drop=True)
    effects.append(Effect("final diversity, keepclr / clrjit", "above", apart))
    return Evidence(tuple(effects), missing)


def f3(study: Study, space: Space) -> Evidence:
    """In layers 3 and 4 keepclr rises early and levels off; clrjit keeps rising and ends higher."""
    measures = study.measures(space)
    if missing := absent_layers(measures, DEEP) + absent_conditions(measures):
        return Evidence((), missing)
    curves = log_diversity(measures).sel(layer=list(DEEP))
    jitter, plain = (curves.sel(condition=name, drop=True) for name in (JITTER, KEEP))
    effects = []
    if (early := growth(plain, 0)) is None:
        missing += ("an early rise needs two kept epochs in the first half of training",)
    else:
        effects.append(Effect("growth in the first half of training, keepclr", "above", early))
    rising, level = growth(jitter, 1), growth(plain, 1)
    if rising is None or level is None:
        missing += ("late growth needs two kept epochs in the second half of training",)
    else:
        effects.append(Effect("growth in the second half, clrjit", "above", rising))
        effects.append(Effect("growth in the second half, clrjit / keepclr", "above", rising - level))
    end = jitter.isel(epoch=-1) - plain.isel(epoch=-1)
    effects.append(Effect("final diversity, clrjit / keepclr", "above", end))
    return Evidence(tuple(effects), missing)


def f4(study: Study, space: Space) -> Evidence:
    """Cosine distance changes the dynamics of diversity and keeps the trend of the conditions apart."""
    cosine = study.measures({**space, schema.DISTANCE: "cosine"})
    mse = study.measures({**space, schema.DISTANCE: "mse"})
    effects: list[Effect] = []
    missing: tuple[str, ...] = ()
    if cosine.sizes[schema.EPOCH] < 3 or cosine.sizes[schema.REPEAT] < 2:
        missing = ("a change of dynamics needs three kept epochs, and two repeats to compare it with",)
    else:
        one, other = (_shape(log(measures[DIVERSITY])) for measures in (cosine, mse))
        between = ((one - other) ** 2).mean((schema.REPEAT, schema.EPOCH))
        own = _between_repeats(one, schema.EPOCH) + _between_repeats(other, schema.EPOCH)
        different = ratio(between, own)
        effects.append(Effect("shape of curves, MSE to cosine / repeat to repeat", "above", different))
    if absent := absent_layers(cosine, DEEP) + absent_conditions(cosine):
        return Evidence(tuple(effects), missing + absent)
    end = log_diversity(cosine).sel(layer=list(DEEP)).isel(epoch=-1)
    apart = end.sel(condition=JITTER, drop=True) - end.sel(condition=KEEP, drop=True)
    effects.append(Effect("final diversity, layers 3-4, clrjit / keepclr", "above", apart))
    return Evidence(tuple(effects), missing)


def f5(study: Study, space: Space) -> Evidence:
    """The results are consistent over runs and repeats."""
    measures = study.measures(space)
    if measures.sizes[schema.CONDITION] * measures.sizes[schema.EPOCH] < 3:
        return Evidence((), ("consistency needs three values along training and conditions",))
    axes = (schema.CONDITION, schema.EPOCH)
    curves = log(measures[DIVERSITY])
    curves = curves - curves.mean(axes, skipna=False)
    effects: list[Effect] = []
    missing: tuple[str, ...] = ()
    if measures.sizes[schema.REPEAT] < 2:
        missing += ("consistency over repeats needs two repeats",)
    else:
        varying = (curves**2).mean((*axes, schema.REPEAT), skipna=False)
        shared = ratio(varying, _between_repeats(curves, *axes))
        effects.append(Effect("variance of diversity, all / between repeats", "above", shared))
        closer = log(measures[APART].isel(epoch=-1)) - log_diversity(measures).isel(epoch=-1)
        effects.append(Effect("final distance, repeats of a unit / two units", "below", closer))
    if measures.sizes[schema.RUN] < 3:
        missing += ("consistency over runs needs three runs",)
    else:
        shared = _over_runs(over_repeats(curves, measures), axes)
        effects.append(Effect("variance of diversity, all / between runs", "above", shared))
    return Evidence(tuple(effects), missing)


def _shape(curves: xr.DataArray) -> xr.DataArray:
    """Curves along training, with mean 0 and deviation 1."""
    centred = curves - curves.mean(schema.EPOCH, skipna=False)
    spread = (centred**2).mean(schema.EPOCH, skipna=False) ** 0.5
    return centred / spread.where(spread > 0)


def _between_repeats(curves: xr.DataArray, *axes: str) -> xr.DataArray:
    """Half the mean squared difference of two repeats, over all pairs: the variance not shared."""
    repeats = [curves.isel(repeat=k, drop=True) for k in range(curves.sizes[schema.REPEAT])]
    pairs = [((a - b) ** 2).mean(axes, skipna=False) / 2 for a, b in itertools.combinations(repeats, 2)]
    return xr.concat(pairs, "pair").mean("pair", skipna=False)


def _over_runs(curves: xr.DataArray, axes: tuple[str, ...]) -> xr.DataArray:
    """The variance of curves over that which runs do not share, as the logarithm's jackknife pseudo-values.

    The variance between runs belongs to no single run; what a run contributes is what leaving it out changes.
    """

    def share(chosen: xr.DataArray) -> xr.DataArray:
        own = chosen.var(schema.RUN, ddof=1).mean(axes, skipna=False)
        return ratio((chosen**2).mean((*axes, schema.RUN), skipna=False), own)

    runs = curves.sizes[schema.RUN]
    without = [share(curves.isel(run=[k for k in range(runs) if k != left])) for left in range(runs)]
    pseudo = runs * share(curves) - (runs - 1) * xr.concat(without, curves[schema.RUN])
    return pseudo.transpose(DRAW, schema.RUN, ...)
