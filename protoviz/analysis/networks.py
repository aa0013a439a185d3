"""What the stages have found out about the networks of a study, as far as they are part of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import xarray as xr

from protoviz import files, layout
from protoviz.analysis import metrics, partners
from protoviz.store import schema, schema_responses, zarr_io

Stores = Sequence[Sequence[xr.Dataset]]  # of each condition, and in it of each run


@dataclass(frozen=True)
class Networks:
    """The stores of the networks of a study.

    Attributes:
        distances: between the prototypes of every network.
        units: when its units settle; empty where the study has no such stores.
        appearance: how its prototypes look; the same.
        natural: how it responds to natural images; the same.
        matching: which unit of one network is which of another; None where that was not asked.
    """

    distances: Stores
    units: Stores = ()
    appearance: Stores = ()
    natural: Stores = ()
    matching: xr.Dataset | None = None

    @classmethod
    def opened(cls, conditions: Sequence[str], runs: Sequence[int]) -> "Networks":
        """Those of some conditions and runs, from the paths of protoviz/layout.py, without large arrays.

        Raises:
            StudyError: there are no distances, or there is something else of some networks and not of others.
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
        return cls(distances, read(layout.units), read(layout.appearance), natural, pairs)

    def means(self) -> xr.Dataset:
        """The layer means of all networks, with what explains them."""
        found = metrics.combine(
            [
                [
                    metrics.explained(
                        metrics.layer_means(store),
                        *(others[i][j] if others else None for others in self._others()),
                    )
                    for j, store in enumerate(runs)
                ]
                for i, runs in enumerate(self.distances)
            ]
        )
        return found if self.matching is None else found.assign(partners.of_runs(self.matching, found))

    def _others(self) -> tuple[Stores, Stores, Stores]:
        return self.units, self.appearance, self.natural
