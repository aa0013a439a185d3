"""Claims on what prototypes look like and on what units respond to: F10 and F11."""

import xarray as xr

from protoviz.analysis.findings.comparisons import DEEP, JITTER, KEEP, absent_conditions, absent_layers, ratio
from protoviz.analysis.findings.evidence import Effect, Evidence
from protoviz.analysis.findings.study import Space, Study, over_repeats
from protoviz.store import schema, schema_appearance, schema_responses


def f10(study: Study, space: Space) -> Evidence:
    """Prototypes of keepclr are vivid in layer1, warm and of high frequency in layers 3 and 4."""
    measures = study.measures(space)
    if schema_appearance.SATURATION not in measures:
        return Evidence((), ("the appearance of the prototypes was not measured",))
    if pair := absent_conditions(measures):
        return Evidence((), pair)
    wanted = (
        (schema_appearance.SATURATION, "saturation in layer1", ("layer1",)),
        (schema_appearance.WARMTH, "warmth in layers 3-4", DEEP),
        (schema_appearance.HIGH_FREQUENCY, "high frequencies in layers 3-4", DEEP),
    )
    effects: list[Effect] = []
    missing: tuple[str, ...] = ()
    for name, quantity, layers in wanted:
        if absent := absent_layers(measures, layers):
            missing += absent
        else:
            effects.append(Effect(f"{quantity}, keepclr / clrjit", "above", _against(measures, name, layers)))
    return Evidence(tuple(effects), tuple(dict.fromkeys(missing)))


def _against(measures: xr.Dataset, name: str, layers: tuple[str, ...]) -> xr.DataArray:
    """The last epoch of keepclr against that of clrjit."""
    last = over_repeats(measures[name].isel(epoch=-1).sel(layer=list(layers)), measures)
    return ratio(last.sel(condition=KEEP, drop=True), last.sel(condition=JITTER, drop=True))


def f11(study: Study, space: Space) -> Evidence:
    """Units become less correlated, and their responses of higher dimension, with training."""
    measures = study.measures(space)
    if schema_responses.PARTICIPATION_RATIO not in measures:
        return Evidence((), ("the responses to natural images were not measured",))
    if measures.sizes[schema.EPOCH] < 2:
        return Evidence((), ("a change needs the untrained network and a trained epoch",))
    correlation = measures[schema_responses.MEAN_CORRELATION]
    dimension = measures[schema_responses.PARTICIPATION_RATIO]
    return Evidence(
        (
            Effect(
                "mean correlation of units, last epoch / untrained",
                "below",
                ratio(correlation.isel(epoch=-1), correlation.isel(epoch=0)),
            ),
            Effect(
                "participation ratio, last epoch / untrained",
                "above",
                ratio(dimension.isel(epoch=-1), dimension.isel(epoch=0)),
            ),
        )
    )
