"""All networks of a study in one space: the layer means that findings use, measured and resampled.

Along the first dimension, `draw`, the measured values come first, then draws of the bootstrap in which the
units of every run are resampled: once for all its conditions, repeats and epochs, since they are the same
units. Repeats are kept apart, along with how often each was drawn.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from protoviz.analysis import settling
from protoviz.analysis.findings import pairs, statistics
from protoviz.analysis.findings.mode_means import mode_means, modes_of_layer
from protoviz.store import schema, schema_appearance, schema_responses

Space = dict[str, str]
Stores = Sequence[Sequence[xr.Dataset]]  # of each condition, and in it of each run

DRAW = "draw"
DIVERSITY, CHANGE, APART = "diversity", "change", "between_repeats"
LEARNING, SETTLED, REPEAT_COUNTS = "learning", "settled", "repeat_counts"
COLOURS = (schema_appearance.SATURATION, schema_appearance.WARMTH, schema_appearance.HIGH_FREQUENCY)
FAITHFULNESS = schema_responses.FAITHFULNESS
RESPONSES = (schema_responses.PARTICIPATION_RATIO, schema_responses.MEAN_CORRELATION)


@dataclass(frozen=True)
class Study:
    """The stores of a study.

    Attributes:
        distances: of every network.
        appearance: the same; empty where it was not measured.
        responses: the same, of natural images.
        draws: of the bootstrap.
        matching: which unit of one network is which of another; None if units were not matched.
        accuracy: of the probe, (condition, run, epoch), %; None without one.
        modes: how many images drive units, of the runs that were started again; empty where none were.
    """

    distances: Stores
    appearance: Stores = ()
    responses: Stores = ()
    draws: int = statistics.DRAWS
    matching: xr.Dataset | None = None
    accuracy: xr.DataArray | None = None
    modes: Stores = ()
    _known: dict[tuple[str, ...], xr.Dataset] = field(default_factory=dict, compare=False, repr=False)

    @property
    def first(self) -> xr.Dataset:
        """The distances of the first network, for the coordinates that all have."""
        return self.distances[0][0]

    @property
    def runs(self) -> list[int]:
        """The runs of every condition."""
        return [int(store[schema.RUN].values[0]) for store in self.distances[0]]

    @property
    def main_space(self) -> Space:
        """The first embedder, mean squared error, masked."""
        return {
            schema.EMBEDDER: str(self.first[schema.EMBEDDER].values[0]),
            schema.DISTANCE: "mse",
            schema.MASKING: schema.MASKED,
        }

    @property
    def spaces(self) -> list[Space]:
        """All spaces in which distances were measured."""
        names = (schema.EMBEDDER, schema.DISTANCE, schema.MASKING)
        first, second, third = ([str(value) for value in self.first[name].values] for name in names)
        return [dict(zip(names, (a, b, c), strict=True)) for a in first for b in second for c in third]

    @property
    def is_compared(self) -> bool:
        """Whether prototypes were compared with natural images along the layers."""
        return all(FAITHFULNESS in store for runs in self.responses for store in runs) and bool(
            self.responses
        )

    @property
    def layers(self) -> list[str]:
        """The layers of the networks, in order."""
        return list(schema.layer_slices(self.first[schema.LAYER].values))

    def of_layer(self, layer: str) -> "Study":
        """The same study as if its networks had this layer alone: its measures need less memory at once."""
        at = schema.layer_slices(self.first[schema.LAYER].values)[layer]

        def part(stores: Stores) -> Stores:
            here = {schema.UNIT: at}
            return [[store.isel(here, missing_dims="ignore") for store in runs] for runs in stores]

        return Study(
            part(self.distances),
            part(self.appearance),
            part(self.responses),
            self.draws,
            self.matching,
            self.accuracy,
            modes_of_layer(self.modes, layer),
        )

    def measures(self, space: Space) -> xr.Dataset:
        """The layer means in one space; those of the last two spaces asked for are kept.

        Returns:
            `diversity`, `change` and `learning`, which is change without the noise of the synthesis (draw,
            condition, run, repeat, epoch or step, layer); `between_repeats` (the same without repeat);
            `settled`, the mean settling epoch (without epoch); where they were measured, saturation,
            warmth and high_frequency, within the masks of the space (as diversity), participation_ratio and
            mean_correlation (as between_repeats), faithfulness (as diversity), modes and meeting (as
            between_repeats; NaN in runs and at epochs that were not started again), and of units matched over
            three runs or more `partners.OF_RUNS` (draw, condition, run, layer); `repeat_counts` (draw, run,
            repeat). NaN where no unit is live.
        """
        key = tuple(space.values())
        if key not in self._known:
            while len(self._known) > 1:
                self._known.pop(next(iter(self._known)))
            self._known[key] = _measures(self, space)
        return self._known[key]


def _measures(study: Study, space: Space) -> xr.Dataset:
    first = study.first
    units = _Units.of(study)
    both = (schema.REPEAT, schema.EPOCH)
    steps = (schema.REPEAT, schema.STEP)

    def taken(stores: Stores, name: str, *names: str) -> xr.Variable:
        return units.means(stores, names, lambda store: _rows(store, name, space, names))

    found = {
        DIVERSITY: units.means(study.distances, both, lambda store: units.contributions(store, space)),
        CHANGE: taken(study.distances, schema.BETWEEN_EPOCHS, *steps),
        APART: taken(study.distances, schema.BETWEEN_REPEATS, schema.EPOCH),
        SETTLED: units.means(study.distances, (schema.REPEAT,), lambda store: _settled(store, space)),
    }
    for name in COLOURS if study.appearance else ():
        variable = schema_appearance.appearance_name(name, space[schema.MASKING])
        found[name] = taken(study.appearance, variable, *both)
    for name in RESPONSES if study.responses else ():
        found[name] = _unresampled(study, name)
    if study.modes:
        found |= mode_means(study.modes, study.runs, first[schema.EPOCH].values.tolist(), study.draws)
    if study.is_compared:
        found[FAITHFULNESS] = taken(study.responses, FAITHFULNESS, *both)
    conditions = [str(runs[0][schema.CONDITION].values[0]) for runs in study.distances]
    found |= pairs.measured(study.matching, conditions, study.runs, study.layers, study.draws)
    drawn = [
        statistics.draw_counts(first.sizes[schema.REPEAT], "repeats", run, draws=study.draws)
        for run in study.runs
    ]
    found[REPEAT_COUNTS] = xr.Variable((DRAW, schema.RUN, schema.REPEAT), np.stack(drawn, 1))
    measures = xr.Dataset(found, _coordinates(study))
    return measures.assign({LEARNING: settling.learning(measures[CHANGE], measures[APART])})


@dataclass(frozen=True)
class _Units:
    """Where the units of each layer lie, and for every run how often each of them is drawn."""

    slices: Mapping[str, slice]
    counts: Sequence[Mapping[str, NDArray[np.float64]]]

    @classmethod
    def of(cls, study: Study) -> "_Units":
        slices = schema.layer_slices(study.first[schema.LAYER].values)
        counts = [
            {
                layer: statistics.draw_counts(at.stop - at.start, "units", run, layer, draws=study.draws)
                for layer, at in slices.items()
            }
            for run in study.runs
        ]
        return cls(slices, counts)

    def means(
        self, stores: Stores, names: Sequence[str], rows: Callable[[xr.Dataset], NDArray[np.float64]]
    ) -> xr.Variable:
        """Layer means (draw, condition, run, *names, layer) of the (*names, unit) that `rows` extracts."""
        conditions = []
        for networks in stores:
            runs = []
            for store, counts in zip(networks, self.counts, strict=True):
                values = rows(store)
                layers = [
                    statistics.resampled_mean(values[..., at], counts[name])
                    for name, at in self.slices.items()
                ]
                runs.append(np.stack(layers, -1))
            conditions.append(np.stack(runs, 1))
        dims = (DRAW, schema.CONDITION, schema.RUN, *names, schema.LAYER)
        return xr.Variable(dims, np.stack(conditions, 1))

    def contributions(self, store: xr.Dataset, space: Space) -> NDArray[np.float64]:
        """What every unit contributes to the diversity of its layer, (repeat, epoch, unit)."""
        values = _rows(store, schema.BETWEEN_UNITS, space, (schema.REPEAT, schema.EPOCH))
        for at in self.slices.values():
            values[..., at] = statistics.pair_contributions(values[..., at])
        return values


def _unresampled(study: Study, name: str) -> xr.Variable:
    """What is known of a layer as a whole, the same in every draw."""
    layers = list(schema.layer_slices(study.first[schema.LAYER].values))
    whole = [
        [
            store[name]
            .sel(layer=layers)
            .isel(condition=0, run=0)
            .transpose(schema.EPOCH, schema.LAYER)
            .values
            for store in networks
        ]
        for networks in study.responses
    ]
    array = np.array(whole, np.float64)
    dims = (DRAW, schema.CONDITION, schema.RUN, schema.EPOCH, schema.LAYER)
    return xr.Variable(dims, np.broadcast_to(array, (study.draws + 1, *array.shape)))


def _rows(store: xr.Dataset, name: str, space: Space, names: Sequence[str]) -> NDArray[np.float64]:
    """A variable of one network in one space, (..., unit), as float64."""
    array = settling.in_space(store, name, space).isel({schema.CONDITION: 0, schema.RUN: 0})
    return array.transpose(*names, schema.UNIT).values.astype(np.float64)


def _settled(store: xr.Dataset, space: Space) -> NDArray[np.float64]:
    """The settling epoch of every unit, (repeat, unit)."""
    return settling.settled(store, space)[0, 0].astype(np.float64)


def _coordinates(study: Study) -> Mapping[str, object]:
    layers = list(schema.layer_slices(study.first[schema.LAYER].values))
    conditions = [str(of_runs[0][schema.CONDITION].values[0]) for of_runs in study.distances]
    first = study.first
    return {
        schema.CONDITION: np.array(conditions, dtype=object),
        schema.RUN: study.runs,
        schema.REPEAT: first[schema.REPEAT].values,
        schema.EPOCH: first[schema.EPOCH].values,
        schema.LAYER: np.array(layers, dtype=object),
        schema.EPOCH_FROM: (schema.STEP, first[schema.EPOCH_FROM].values),
        schema.EPOCH_TO: (schema.STEP, first[schema.EPOCH_TO].values),
    }


def over_repeats(values: xr.DataArray, measures: xr.Dataset) -> xr.DataArray:
    """Mean over repeats, weighted by how often each was drawn; repeats without a live unit do not count."""
    # All have the same coordinates: comparing them each time would take longer than the computation.
    bare = xr.DataArray(values.variable)
    counts = xr.DataArray(measures[REPEAT_COUNTS].variable).where(bare.notnull())
    mean = (bare * counts).sum(schema.REPEAT) / counts.sum(schema.REPEAT).where(lambda number: number > 0)
    like = values.isel({schema.REPEAT: 0}, drop=True)
    return like.copy(data=mean.transpose(*like.dims).values)
