"""Measures of a study: means over the units of a layer, the numbers of a condition, curves to plot.

The main space, in which single numbers and curves are given, is the first embedder of the study with
the mean squared error of masked prototypes. Values of different layers are not comparable (D3): each
layer has its own mask.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from protoviz.analysis import partners, settling
from protoviz.errors import StudyError
from protoviz.store import schema, schema_appearance, schema_modes, schema_responses

Row = dict[str, Any]

LEARNING, CONSISTENCY, SETTLING = "learning", "consistency", "settling_epoch"
LAYER_SETTLING = "settling_epoch_of_layer"
APPEARANCE = (schema_appearance.SATURATION, schema_appearance.WARMTH, schema_appearance.HIGH_FREQUENCY)
MODES = (schema_modes.COUNT, schema_modes.REACHING, schema_modes.MEETING, schema_modes.SPREAD)
RESPONSES = (schema_responses.PARTICIPATION_RATIO, schema_responses.MEAN_CORRELATION)
FAITHFULNESS = schema_responses.FAITHFULNESS

MEASURES = {  # measure -> what it is the layer's mean of
    "diversity": schema.BETWEEN_UNITS,
    "rate_of_change": schema.BETWEEN_EPOCHS,
    "between_repeats": schema.BETWEEN_REPEATS,
}


def layer_means(store: xr.Dataset) -> xr.Dataset:
    """The measures D4, D5, D6 of a distance store: means over the live units of each layer, float64.

    Returns:
        `diversity` and `rate_of_change` (condition, run, repeat, epoch or step, layer, embedder,
        distance, masking), `between_repeats` (the same without repeat); NaN where no unit is live.
        `live_units` (condition, run, repeat, epoch, layer) and `units` (layer), all of them.
    """
    slices = schema.layer_slices(store[schema.LAYER].values)
    layers = xr.Variable(schema.LAYER, np.array(list(slices), dtype=object))
    bare = store.drop_vars([schema.LAYER, schema.CHANNEL, schema.UNIT], errors="ignore")
    means = {
        measure: xr.concat(
            [bare[name].astype(np.float64).isel(unit=at).mean(schema.UNIT) for at in slices.values()], layers
        )
        for measure, name in MEASURES.items()
    }
    counts = {
        schema.LIVE_UNITS: bare[schema.LIVE_UNITS].variable,
        "units": (schema.LAYER, [at.stop - at.start for at in slices.values()]),
    }
    return xr.Dataset({**means, **counts}, {schema.LAYER: layers})


def explained(
    means: xr.Dataset,
    settled: xr.Dataset | None = None,
    appearance: xr.Dataset | None = None,
    natural: xr.Dataset | None = None,
    modes: xr.Dataset | None = None,
) -> xr.Dataset:
    """Layer means of one network with what explains them.

    Args:
        means: of `layer_means`.
        settled: the store of the settling epochs of its units.
        appearance: the store of what its prototypes look like.
        natural: the store of its responses to natural images.
        modes: the store of how many images drive its units.

    Returns:
        `means` and, as far as there are stores and epochs: `learning`, the rate of change without the
        noise of the synthesis; `consistency`, 1 - distance between repeats / diversity: 1 where repeats are
        identical, 0 where they differ like two units; `settling_epoch_of_layer`, the change point of the mean
        learning of a layer; `settling_epoch`, the mean of its units; saturation, warmth, high_frequency;
        participation_ratio, mean_correlation, faithfulness; modes, reaching, meeting, spread, NaN at epochs
        at which no unit was started again.
    """
    apart, diversity = means["between_repeats"], means["diversity"].mean(schema.REPEAT)
    learning = settling.learning(means["rate_of_change"], apart)
    found = {LEARNING: learning, CONSISTENCY: 1 - apart / diversity.where(diversity > 0)}
    table = learning.transpose(..., schema.STEP)
    change_points = settling.settling_epochs(table.values, means[schema.EPOCH].values)
    found[LAYER_SETTLING] = xr.DataArray(change_points, dims=table.dims[:-1])
    if settled is not None:
        found[SETTLING] = _over_units(settled[schema_appearance.SETTLING_EPOCH], settled)
    if appearance is not None:
        found |= {name: _over_units(appearance[name], appearance) for name in APPEARANCE}
    if natural is not None:
        found |= {name: natural[name].astype(np.float64).drop_vars(schema.LAYER) for name in RESPONSES}
        if FAITHFULNESS in natural:
            named = xr.Dataset({schema.LAYER: natural[schema.UNIT_LAYER].variable})
            found[FAITHFULNESS] = _over_units(natural[FAITHFULNESS].drop_vars(schema.UNIT_LAYER), named)
    if modes is not None:
        found |= modes_of_layers(modes, means)
    return means.assign(found)


def modes_of_layers(modes: xr.Dataset, means: xr.Dataset) -> dict[str, xr.DataArray]:
    """The means of `MODES` over the units that something drives, at all epochs of the study."""
    driven = modes[schema_modes.COUNT] > 0
    found = {}
    for name in MODES:
        of_layers = _over_units(modes[name].where(driven), modes)
        found[name] = of_layers.reindex({schema.EPOCH: means[schema.EPOCH].values})
    return found


def _over_units(values: xr.DataArray, store: xr.Dataset) -> xr.DataArray:
    """Means over the live units of each layer."""
    slices = schema.layer_slices(store[schema.LAYER].values)
    bare = values.drop_vars([schema.LAYER, schema.CHANNEL, schema.UNIT], errors="ignore").astype(np.float64)
    layers = xr.Variable(schema.LAYER, np.array(list(slices), dtype=object))
    return xr.concat([bare.isel(unit=at).mean(schema.UNIT) for at in slices.values()], layers)


def combine(means: Sequence[Sequence[xr.Dataset]]) -> xr.Dataset:
    """One data set of the layer means of all networks.

    Args:
        means: those of each condition, and in it of each run.

    Raises:
        StudyError: the networks were not measured at the same epochs, layers, repeats and spaces.
    """
    options: dict[str, Any] = {
        "join": "exact",
        "data_vars": "minimal",
        "coords": "minimal",
        "compat": "equals",
    }
    try:
        conditions = [
            xr.concat(runs, schema.RUN, **{**options, "data_vars": _of_network(runs[0])}) for runs in means
        ]
        return xr.concat(conditions, schema.CONDITION, **{**options, "data_vars": _of_network(conditions[0])})
    except ValueError as error:
        raise StudyError.of(
            error,
            "distance stores",
            expected="the same epochs, layers, repeats and spaces in all conditions and runs",
            remedy="run the stage `distances` of all conditions and runs again",
        ) from error


def main_space(means: xr.Dataset) -> dict[str, str]:
    """The space of single numbers: the first embedder, mean squared error, masked if it can be."""
    maskings = [str(name) for name in means[schema.MASKING].values]
    return {
        schema.EMBEDDER: str(means[schema.EMBEDDER].values[0]),
        schema.DISTANCE: "mse",
        schema.MASKING: schema.MASKED if schema.MASKED in maskings else maskings[0],
    }


def summary(means: xr.Dataset, probes: Iterable[Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """The numbers of one condition at its last epoch, means over runs and repeats, to four digits.

    What cannot be computed (no second repeat, no second epoch, no live unit) is left out.

    Args:
        means: layer means of the condition's runs.
        probes: the final probe accuracies of each run, %; none where there is no probe.
    """
    space = main_space(means)
    probes = list(probes)
    numbers = {}
    if probes:
        numbers["probe"] = {
            name: _rounded(float(np.mean([probe[name] for probe in probes]))) for name in probes[0]
        }
    diversity = means["diversity"].isel(epoch=-1)
    wanted = {
        "diversity": diversity.sel(space),
        "diversity_unmasked": diversity.sel({**space, schema.MASKING: "unmasked"}),
        "between_repeats": means["between_repeats"].isel(epoch=-1).sel(space),
        "excluded_percent": 100 * (1 - means[schema.LIVE_UNITS].isel(epoch=-1) / means["units"]),
    }
    if "pixels" in means[schema.EMBEDDER].values[1:]:
        wanted["diversity_pixels"] = diversity.sel({**space, schema.EMBEDDER: "pixels"})
    if means.sizes[schema.STEP]:
        change = means["rate_of_change"].sel(space)
        wanted["first_change"], wanted["last_change"] = change.isel(step=0), change.isel(step=-1)
    wanted |= _explanations(means, space)
    for layer in means[schema.LAYER].values:
        values = {name: float(array.sel(layer=layer).mean()) for name, array in wanted.items()}
        numbers[str(layer)] = {name: _rounded(value) for name, value in values.items() if np.isfinite(value)}
    return numbers


def _explanations(means: xr.Dataset, space: Mapping[str, str]) -> dict[str, xr.DataArray]:
    """The measures that explain the others, at the last epoch, as far as they were measured."""
    there = means.sel(space)
    found = {
        name: there[name].isel(epoch=-1)
        for name in (CONSISTENCY, *APPEARANCE, *RESPONSES, FAITHFULNESS, *MODES, *partners.OF_RUNS)
        if name in means
    }
    if LEARNING in means and means.sizes[schema.STEP]:
        found["first_learning"], found["last_learning"] = (there[LEARNING].isel(step=k) for k in (0, -1))
    return found | {name: there[name] for name in (SETTLING, LAYER_SETTLING) if name in means}


def curves(
    means: xr.Dataset, probe: Iterable[Mapping[str, str]], training: Iterable[Mapping[str, str]]
) -> dict[str, list[Row]]:
    """What `dvc plots` shows: name of the curve -> long rows with condition, run, epoch and value.

    A curve holds all conditions, since a plot takes its data from one file; there is one for each
    measure and layer ("diversity_layer1"), one for each read-out ("probe_logistic"), and the loss.

    Args:
        means: layer means of all networks.
        probe: rows with condition, run, epoch, readout and accuracy, %.
        training: rows with condition, run, epoch and loss.
    """
    found: dict[str, list[Row]] = {}
    space = means.sel(main_space(means))
    along = (
        *(*MEASURES, LEARNING, CONSISTENCY, *APPEARANCE, *RESPONSES, FAITHFULNESS, *MODES),
        *partners.OF_RUNS,
    )
    for measure in (name for name in along if name in means):
        for layer in space[schema.LAYER].values:
            found[f"{measure}_{layer}"] = _rows(space[measure].sel(layer=layer))
    for row in probe:
        point = {**_network(row), "value": row["accuracy"]}
        found.setdefault(f"probe_{row['readout']}", []).append(point)
    found["training_loss"] = [{**_network(row), "value": row["loss"]} for row in training]
    return {name: rows for name, rows in found.items() if rows}


def _rows(curve: xr.DataArray) -> list[Row]:
    """One row for each value that is a number; a step stands at the epoch where it ends."""
    rows = []
    for place in np.ndindex(curve.shape):
        value = curve.values[place]
        if np.isfinite(value):
            at = curve[place]
            row: Row = {schema.CONDITION: str(at[schema.CONDITION].values), schema.RUN: int(at[schema.RUN])}
            if schema.REPEAT in curve.dims:
                row[schema.REPEAT] = int(at[schema.REPEAT])
            if schema.STEP in curve.dims:
                row[schema.EPOCH_FROM] = int(at[schema.EPOCH_FROM])
            epoch = at[schema.EPOCH_TO if schema.STEP in curve.dims else schema.EPOCH]
            rows.append({**row, schema.EPOCH: int(epoch), "value": f"{value:.5g}"})
    return rows


def _network(row: Mapping[str, str]) -> Row:
    return {name: row[name] for name in (schema.CONDITION, schema.RUN, schema.EPOCH)}


def _of_network(means: xr.Dataset) -> list[str]:
    """The variables that differ from network to network: all but the number of units."""
    return [str(name) for name in means.data_vars if name != "units"]


def _rounded(value: float, digits: int = 4) -> float:
    return float(f"{value:.{digits}g}")
