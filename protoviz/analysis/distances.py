"""Distances between the prototypes of one network: between units (D4), epochs (D5) and repeats (D6).

The arithmetic is in pairwise.py, and the vectors come from embedding.py. This module joins them space by
space and epoch by epoch, so memory grows neither with the number of epochs nor with that of the units.
"""

import itertools
from collections.abc import Callable, Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from protoviz.analysis.embedding import Place
from protoviz.analysis.pairwise import (
    POINTS,
    Live,
    PointsOf,
    Rows,
    mean_between_repeats,
    mean_to_others,
    paired,
)
from protoviz.errors import StudyError
from protoviz.progress import track
from protoviz.store import schema

Read = Callable[[str, str, Place], Rows]  # (embedder, masking, place) -> the vectors (units, D)


def measured(
    prototypes: xr.Dataset, spaces: Sequence[str], read: Read, maskings: Sequence[str] = schema.MASKINGS
) -> xr.Dataset:
    """All distances between the prototypes of one network, in the schema of the distance store.

    Works layer by layer and space by space and holds two epochs at a time; all distances are computed from
    the same vectors. Steps join neighbouring kept epochs, whose distance is not divided by the number of
    epochs between them. Distances between units are NaN with fewer than two live units, and those between
    repeats with only one; with one epoch there is no step at all.

    Args:
        prototypes: the cube with condition and run of extent one, complete.
        spaces: names of the embedders.
        read: returns the vectors; called once for each space and place.
        maskings: of `schema.MASKINGS`.
    """
    status = _status(prototypes)
    live: Live = status == schema.Status.CONVERGED
    slices = schema.layer_slices(prototypes[schema.LAYER].values)
    within = (len(spaces), len(POINTS), len(maskings))
    repeats, epochs, units = status.shape
    units_apart = np.full((repeats, epochs, units, *within), np.nan, np.float32)
    epochs_apart = np.full((repeats, epochs - 1, units, *within), np.nan, np.float32)
    repeats_apart = np.full((epochs, units, *within), np.nan, np.float32)
    pieces = itertools.product(slices.items(), enumerate(spaces), enumerate(maskings), range(epochs))
    earlier: dict[str, list[PointsOf]] = {}
    for (layer, at), (s, space), (m, masking), epoch in track(list(pieces), "epochs of layers in spaces"):
        vectors = [read(space, masking, Place(repeat, epoch, layer, at)) for repeat in range(repeats)]
        alive = live[:, epoch, at]
        for d, distance in enumerate(POINTS):
            here = (at, s, d, m)
            points = [PointsOf(rows, distance) for rows in vectors]
            repeats_apart[epoch, *here] = mean_between_repeats(points, alive)
            for repeat in range(repeats):
                units_apart[repeat, epoch, *here] = mean_to_others(points[repeat], alive[repeat])
                if epoch > 0:
                    step = paired(earlier[distance][repeat], points[repeat])
                    both = alive[repeat] & live[repeat, epoch - 1, at]
                    epochs_apart[repeat, epoch - 1, *here] = np.where(both, step, np.nan)
            earlier[distance] = points
    arrays: dict[str, NDArray[np.float32] | NDArray[np.int32]] = {
        schema.BETWEEN_UNITS: units_apart,
        schema.BETWEEN_EPOCHS: epochs_apart,
        schema.BETWEEN_REPEATS: repeats_apart,
        schema.LIVE_UNITS: np.stack([live[..., at].sum(-1) for at in slices.values()], -1).astype(np.int32),
    }
    return xr.Dataset(
        {name: (schema.DISTANCES[name].dims, array[None, None]) for name, array in arrays.items()},
        _coordinates(prototypes, spaces, maskings),
    )


def _coordinates(
    prototypes: xr.Dataset, spaces: Sequence[str], maskings: Sequence[str]
) -> dict[str, tuple[str, NDArray[np.generic]]]:
    """The coordinates of the prototypes, the spaces, and the two epochs of every step."""
    epochs = prototypes[schema.EPOCH].values
    kept = (schema.CONDITION, schema.RUN, schema.REPEAT, schema.EPOCH)
    return {
        **{name: (name, prototypes[name].values) for name in kept},
        **{name: (schema.UNIT, prototypes[name].values) for name in (schema.LAYER, schema.CHANNEL)},
        schema.EMBEDDER: (schema.EMBEDDER, np.array(spaces, dtype=schema.TEXT)),
        schema.DISTANCE: (schema.DISTANCE, np.array(list(POINTS), dtype=schema.TEXT)),
        schema.MASKING: (schema.MASKING, np.array(maskings, dtype=schema.TEXT)),
        schema.STEP: (schema.STEP, np.arange(len(epochs) - 1)),
        schema.EPOCH_FROM: (schema.STEP, epochs[:-1]),
        schema.EPOCH_TO: (schema.STEP, epochs[1:]),
    }


def _status(prototypes: xr.Dataset) -> NDArray[np.uint8]:
    """(repeats, epochs, units)."""
    network = prototypes[schema.STATUS].isel(condition=0, run=0)
    states: NDArray[np.uint8] = network.transpose(schema.REPEAT, schema.EPOCH, schema.UNIT).values
    return states


def require_complete(prototypes: xr.Dataset) -> None:
    """Refuse a cube with gaps: unlike a dead unit, a gap would silently make measures wrong.

    Raises:
        StudyError: a prototype has not been made; the message names the first.
    """
    gaps = np.argwhere(_status(prototypes) == schema.Status.MISSING)
    if len(gaps):
        repeat, epoch, unit = gaps[0]
        raise StudyError(
            f"{prototypes[schema.CONDITION].values[0]} run {prototypes[schema.RUN].values[0]} "
            f"repeat {prototypes[schema.REPEAT].values[repeat]} "
            f"epoch {prototypes[schema.EPOCH].values[epoch]} "
            f"{prototypes[schema.LAYER].values[unit]} channel {prototypes[schema.CHANNEL].values[unit]}",
            expected="a prototype for every unit",
            found=f"none here, {len(gaps)} missing in all",
            remedy="run the stage `synthesize` of this condition and run again",
        )
