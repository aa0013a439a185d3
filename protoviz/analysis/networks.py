"""The stores that the stages have made for the networks of a study."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import xarray as xr

from protoviz import files, layout
from protoviz.analysis import metrics, partners
from protoviz.store import modes as modes_store
from protoviz.store import schema, schema_modes, schema_responses, zarr_io

Stores = Sequence[Sequence[xr.Dataset]]  # of each condition, and in it of each run


@dataclass(frozen=True)
class Networks:
    """The stores of the networks of a study.

    Attributes:
        distances: between the prototypes of every network.
        units: when its units settle; empty where the study has no such stores.
        appearance: how its prototypes look; the same.
        natural: how it responds to natural images; the same.
        matching: which unit of one network is which of another; None if units were not matched.
        modes: how many images drive its units, without the images; only of the runs that were started again.
    """

    distances: Stores
    units: Stores = ()
    appearance: Stores = ()
    natural: Stores = ()
    matching: xr.Dataset | None = None
    modes: Stores = ()

    @classmethod
    def opened(cls, conditions: Sequence[str], runs: Sequence[int], again: Sequence[int] = ()) -> "Networks":
        """Open those of some conditions and runs, from the paths of protoviz/layout.py, without large arrays.

        Args:
            conditions: names.
            runs: of each of them.
            again: runs whose units were started again.

        Raises:
            StudyError: there are no distances, or another store exists for some networks but not for others.
        """

        def read(place: Callable[[str, int], Path], without: Sequence[str] = ()) -> Stores:
            items = [(condition, run) for condition in conditions for run in runs]
            paths = files.all_or_none(place(*item) for item in items)
            found = [zarr_io.open_dataset(path, without) for path in paths]
            return [found[start : start + len(runs)] for start in range(0, len(found), len(runs))]

        distances = read(layout.distances, schema.DISTANCES.large)
        if not distances:
            raise files.missing(layout.distances(conditions[0], runs[0]))
        natural = read(layout.natural, schema_responses.NATURAL.large)
        pairs = zarr_io.open_dataset(layout.MATCHING) if layout.MATCHING.exists() else None
        modes = [
            [modes_store.open_modes(layout.modes(condition, run), images=False) for run in again]
            for condition in conditions
            if again
        ]
        return cls(distances, read(layout.units), read(layout.appearance), natural, pairs, modes)

    def means(self) -> xr.Dataset:
        """The layer means of all networks, with what explains them."""
        found = metrics.combine(
            [
                [
                    metrics.explained(metrics.layer_means(store), *self._others(i, j), self._modes(i, store))
                    for j, store in enumerate(runs)
                ]
                for i, runs in enumerate(self.distances)
            ]
        )
        return found if self.matching is None else found.assign(partners.of_runs(self.matching, found))

    def _modes(self, condition: int, store: xr.Dataset) -> xr.Dataset | None:
        """The modes of one network, unknown where its units were not started again; None without any."""
        if not self.modes:
            return None
        run = int(store[schema.RUN].values[0])
        of_runs = {int(one[schema.RUN].values[0]): one for one in self.modes[condition]}
        if run in of_runs:
            return of_runs[run]
        like = next(iter(of_runs.values()))
        unknown = {schema_modes.COUNT: xr.full_like(like[schema_modes.COUNT], -1)}
        return like.assign(unknown).assign_coords({schema.RUN: [run]})

    def _others(self, i: int, j: int) -> tuple[xr.Dataset | None, xr.Dataset | None, xr.Dataset | None]:
        """Settling, appearance and responses of one network."""
        units, appearance, natural = (
            stores[i][j] if stores else None for stores in (self.units, self.appearance, self.natural)
        )
        return units, appearance, natural
