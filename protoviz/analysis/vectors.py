"""The vector of each unit in the main space: the mean over its prototypes that have converged.

The distances between two networks need the vectors of both, but the stage `distances` has those of one. It
keeps them in a file, epoch after epoch, so that memory does not grow with epochs.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from protoviz.analysis import embedders
from protoviz.analysis.distances import Read
from protoviz.analysis.embedding import Place
from protoviz.analysis.pairwise import Live, Rows
from protoviz.store import schema


class MeanRows:
    """The mean vectors (U, D) of units over repeats, made when a block of them is read.

    Args:
        repeats: R times (U, D).
        live: (R, U), the prototypes that count; a unit with none has zeros.
    """

    def __init__(self, repeats: Sequence[Rows], live: Live) -> None:
        self._repeats, self._live = repeats, live

    def __len__(self) -> int:
        return self._live.shape[1]

    def __getitem__(self, rows: slice) -> NDArray[np.float32]:
        number = np.maximum(self._live[:, rows].sum(0), 1)[:, None]
        parts = zip(self._repeats, self._live, strict=True)
        total = sum(
            np.where(live[rows, None], vectors[rows], 0).astype(np.float64) for vectors, live in parts
        )
        return (total / number).astype(np.float32)


def live_units(prototypes: xr.Dataset) -> Live:
    """(repeat, epoch, unit): which prototypes of one network have converged."""
    states = prototypes[schema.STATUS].isel(condition=0, run=0)
    live: Live = states.transpose(schema.REPEAT, schema.EPOCH, schema.UNIT).values == schema.Status.CONVERGED
    return live


def kept(
    prototypes: xr.Dataset, space: Mapping[str, str], read: Read, folder: Path
) -> dict[str, xr.Variable]:
    """The mean vectors of a network in one space, as a variable of the distance store.

    Args:
        prototypes: the cube with condition and run of extent one, complete.
        space: embedder and masking; vectors of pixels are not kept, as they are as large as the images.
        read: gives the vectors.
        folder: in which there is room for them; they are mapped from there.

    Returns:
        `vector` (condition, run, epoch, unit, component) float16, NaN where no prototype has converged; or
        nothing.
    """
    name = space[schema.EMBEDDER]
    if embedders.is_cheap(name):
        return {}
    live, found = live_units(prototypes), None
    for layer, units in schema.layer_slices(prototypes[schema.LAYER].values).items():
        for epoch in range(live.shape[1]):
            places = [Place(repeat, epoch, layer, units) for repeat in range(len(live))]
            rows = [read(name, space[schema.MASKING], place) for place in places]
            here = live[:, epoch, units]
            mean = MeanRows(rows, here)[0 : len(rows[0])]
            if found is None:
                shape = (1, 1, *live.shape[1:], mean.shape[1])
                found = np.lib.format.open_memmap(folder / "mean-vectors.npy", "w+", np.float16, shape)
            found[0, 0, epoch, units] = np.where(np.any(here, axis=0)[:, np.newaxis], mean, np.nan)
    return {} if found is None else {schema.VECTOR: xr.Variable(schema.DISTANCES[schema.VECTOR].dims, found)}
