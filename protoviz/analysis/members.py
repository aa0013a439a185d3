"""Opens the networks of a study for matching, which reads responses and vectors epoch by epoch.

Nothing is held longer than an epoch: responses and vectors are read from the stores piece by piece.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from protoviz import files, layout
from protoviz.analysis import embedders, metrics
from protoviz.analysis.distances import Read
from protoviz.analysis.embedding import Fresh, Place
from protoviz.analysis.masks import Masks
from protoviz.analysis.matching import Member, Prototypes, Responses
from protoviz.analysis.pairwise import Live, Rows
from protoviz.analysis.vectors import MeanRows, live_units
from protoviz.errors import StudyError
from protoviz.store import cube, schema, schema_responses, zarr_io


def responses_of(natural: xr.Dataset) -> Responses | None:
    """A reader of the responses that a store keeps; None where it keeps none.

    Args:
        natural: the store of one network; it may lie on the disk, and is read epoch by epoch.
    """
    if schema_responses.RESPONSE not in natural:
        return None
    kept = natural[schema_responses.RESPONSE].isel(condition=0, run=0)
    kept = kept.drop_vars(kept.coords).transpose(schema.EPOCH, schema_responses.SHOWN, schema.UNIT)
    place = {int(epoch): k for k, epoch in enumerate(natural[schema.EPOCH].values)}

    def read(epoch: int) -> NDArray[np.floating]:
        found: NDArray[np.floating] = kept[place[epoch]].values
        return found

    return read


def require_same_images(naturals: Sequence[xr.Dataset]) -> None:
    """Require responses to the same images, since only these can be compared.

    Raises:
        StudyError: the images differ.
    """
    rows = [np.asarray(store.attrs.get("shown_images", ())).tolist() for store in naturals]
    for store, own in zip(naturals, rows, strict=True):
        if own != rows[0]:
            raise StudyError(
                f"responses of {store[schema.CONDITION].values[0]} run {store[schema.RUN].values[0]}",
                expected="responses to the same natural images in all networks",
                found="responses to others",
                remedy="run the stage `responses` of all conditions and runs again",
            )


def stored_vectors(distances: xr.Dataset) -> Prototypes | None:
    """A reader of the vectors that a store of distances keeps; None where it keeps none.

    Args:
        distances: of one network; they may lie on the disk, and are read epoch by epoch.
    """
    if schema.VECTOR not in distances:
        return None
    kept = distances[schema.VECTOR].isel(condition=0, run=0)
    kept = kept.drop_vars(kept.coords).transpose(schema.EPOCH, schema.UNIT, schema.COMPONENT)
    place = {int(epoch): k for k, epoch in enumerate(distances[schema.EPOCH].values)}
    held: dict[int, NDArray[np.float32]] = {}

    def read(epoch: int, _: str, units: slice) -> tuple[Rows, Live]:
        if epoch not in held:
            held.clear()
            held[epoch] = kept[place[epoch]].values.astype(np.float32)
        rows = held[epoch][units]
        live: Live = np.asarray(np.isfinite(rows).all(1))
        return np.where(live[:, np.newaxis], rows, np.float32(0)), live

    return read


def fresh_vectors(prototypes: xr.Dataset, space: tuple[str, str], read: Read) -> Prototypes:
    """A reader that makes the vectors of a network's prototypes when they are read.

    Args:
        prototypes: the cube with condition and run of extent one.
        space: embedder and masking.
        read: gives the vectors of one repeat.
    """
    live = live_units(prototypes)
    place = {int(epoch): k for k, epoch in enumerate(prototypes[schema.EPOCH].values)}

    def made(epoch: int, layer: str, units: slice) -> tuple[Rows, Live]:
        at = place[epoch]
        rows = [read(*space, Place(repeat, at, layer, units)) for repeat in range(len(live))]
        there = live[:, at, units]
        return MeanRows(rows, there), np.asarray(there.any(0))

    return made


def opened(
    conditions: Sequence[str], runs: Sequence[int]
) -> tuple[list[Member], tuple[NDArray[Any], NDArray[np.int64]]]:
    """The networks of a study for `matching.matched`, and layer and channel of their units.

    Vectors are those that the distance stores keep; for pixels, they are made from the prototypes.

    Raises:
        StudyError: something exists for some networks but not for others, or the images differ.
    """
    items = [(condition, run) for condition in conditions for run in runs]
    distances = [zarr_io.open_lazily(layout.distances(*item)) for item in items]
    paths = files.all_or_none(layout.natural(*item) for item in items)
    naturals = [zarr_io.open_lazily(path) for path in paths]
    require_same_images(naturals)
    found = [
        Member(
            *item,
            responses_of(naturals[k]) if naturals else None,
            _prototypes(item, distances[k]),
        )
        for k, item in enumerate(items)
    ]
    first = distances[0]
    return found, (first[schema.LAYER].values, first[schema.CHANNEL].values)


def _prototypes(item: tuple[str, int], distances: xr.Dataset) -> Prototypes | None:
    space = metrics.main_space(distances)
    name, masking = space[schema.EMBEDDER], space[schema.MASKING]
    if not embedders.is_cheap(name) or not layout.prototypes(*item).exists():
        return stored_vectors(distances)
    prototypes = cube.open_cube(layout.prototypes(*item))
    masks = Masks(prototypes, zarr_io.open_dataset(layout.receptive_fields(*item)))
    setting = embedders.Setting(Path(), "cpu", 1, 1)
    return fresh_vectors(
        prototypes, (name, masking), Fresh(prototypes, masks, embedders.load([name], setting))
    )
