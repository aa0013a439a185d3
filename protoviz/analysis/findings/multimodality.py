"""F12: whether more images drive a unit after training, which F8 reads from the distance between repeats."""

import xarray as xr

from protoviz.analysis.findings.comparisons import (
    DEEP,
    JITTER,
    KEEP,
    absent_conditions,
    absent_layers,
    ratio,
)
from protoviz.analysis.findings.evidence import Effect, Evidence
from protoviz.analysis.findings.study import Space, Study
from protoviz.store import schema
from protoviz.store.schema_modes import COUNT, MEETING

NO_MODES = "no units were started again (modes.runs)"


def f12(study: Study, space: Space) -> Evidence:
    """Tuning becomes more multimodal with training, most in deep layers of clrjit."""
    measures = study.measures(space)
    if COUNT not in measures:
        return Evidence((), (NO_MODES,))
    modes, meeting = started_again(measures[COUNT]), started_again(measures[MEETING])
    if modes.sizes[schema.EPOCH] < 2:
        return Evidence((), ("growth needs the untrained network and a trained epoch, started again",))
    growth = ratio(modes.isel(epoch=-1), modes.isel(epoch=0))
    parting = ratio(meeting.isel(epoch=-1), meeting.isel(epoch=0))
    effects = [
        Effect("modes of a unit, last epoch / untrained", "above", growth),
        Effect("chance that two starts meet in a mode, the same", "below", parting),
    ]
    if missing := absent_conditions(measures) + absent_layers(measures, DEEP):
        return Evidence(tuple(effects), missing)
    deep = growth.sel(layer=list(DEEP))
    more = deep.sel(condition=JITTER, drop=True) - deep.sel(condition=KEEP, drop=True)
    effects.append(Effect("that growth of modes in layers 3-4, clrjit / keepclr", "above", more))
    return Evidence(tuple(effects))


def started_again(values: xr.DataArray) -> xr.DataArray:
    """The values without the runs and epochs of which nothing is known."""
    known = values.isel(draw=0).notnull()
    runs = known.any([dim for dim in known.dims if dim != schema.RUN]).values
    epochs = known.any([dim for dim in known.dims if dim != schema.EPOCH]).values
    return values.isel({schema.RUN: runs, schema.EPOCH: epochs})
