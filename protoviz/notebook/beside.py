"""Bring what an atlas shows beside prototypes into their cube's order: natural images, partners, a map."""

from collections.abc import Callable, Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from protoviz.errors import StudyError
from protoviz.notebook.stores import labels, plain
from protoviz.report.atlas.sources import Images, as_shown
from protoviz.store import schema, schema_matching
from protoviz.store.schema_projection import AXIS, POSITION
from protoviz.store.schema_responses import TOP_IMAGE

_REMEDY = "give those that were made of this cube"


def natural(cube: xr.Dataset, found: xr.Dataset, images: NDArray[np.uint8]) -> xr.Dataset:
    """Which images drive each unit of a cube most, at the cube's epochs and with its units in their order.

    Args:
        cube: prototypes, without the index of their units.
        found: `top_image` (condition, run, epoch, unit, rank), rows of the images.
        images: uint8 (N, H, W, C).

    Raises:
        StudyError: `images` is not such an array, `found` lacks a unit or an epoch of the cube, or one of its
            rows is not in `images`.
    """
    if images.ndim != 4 or images.dtype != np.uint8:
        raise StudyError(
            "images",
            expected="uint8 (N, H, W, C)",
            found=f"{images.dtype} {images.shape}",
            remedy="give the photographs that the rows of `top_image` are of",
        )
    ranked = (schema.CONDITION, schema.RUN, schema.EPOCH, schema.UNIT, schema.RANK)
    _require(found, TOP_IMAGE, ranked, "natural")
    found = in_order(cube, found, "natural")
    _require_labels(labels(cube, schema.EPOCH), labels(found, schema.EPOCH), "natural: epoch")
    rows = found[TOP_IMAGE].to_numpy()
    if rows.size and rows.max() >= len(images):
        raise StudyError(
            "natural: top_image",
            expected=f"rows of {len(images)} images",
            found=f"row {rows.max()}",
            remedy="give the images that it was made of",
        )
    return found.sel(epoch=labels(cube, schema.EPOCH))


def photographs(images: NDArray[np.uint8]) -> Callable[[NDArray[np.int64]], Images]:
    """Return a function from rows to images as the atlas shows them."""
    return lambda rows: as_shown(images[rows])


def partners(cube: xr.Dataset, found: xr.Dataset) -> xr.Dataset:
    """Which unit corresponds to which, as the atlas reads it.

    Args:
        cube: prototypes, without the index of their units.
        found: `partner` (pair, epoch, unit) and the variables that go with it, for the units of the cube.

    Raises:
        StudyError: `found` lacks a unit of the cube, or is not such a data set.
    """
    _require(
        found, schema_matching.PARTNER, schema_matching.MATCHING[schema_matching.PARTNER].dims, "matching"
    )
    return in_order(cube, found, "matching")


def places(cube: xr.Dataset, found: xr.Dataset) -> xr.DataArray:
    """Where prototypes lie on a map, with the units of the cube in its order.

    Args:
        cube: prototypes, without the index of their units.
        found: `position` (condition, run, repeat, epoch, unit, axis), for all or some of them.

    Raises:
        StudyError: `found` lacks a unit of the cube, or has a label that the cube lacks.
    """
    along = (schema.CONDITION, schema.RUN, schema.REPEAT, schema.EPOCH)
    _require(found, POSITION, (*along, schema.UNIT, AXIS), "projection")
    if found.sizes[AXIS] != 2:
        raise StudyError(
            "projection: axis", expected="two, x and y", found=str(found.sizes[AXIS]), remedy="select two"
        )
    for name in along:
        _require_labels(labels(found, name), labels(cube, name), f"projection: {name}")
    ordered = in_order(cube, found, "projection")
    return ordered[POSITION].assign_attrs(found.attrs)


def _require(found: xr.Dataset, variable: str, dims: Sequence[str], what: str) -> None:
    """Raise StudyError if a variable is missing, or does not have these dimensions."""
    if variable not in found or set(found[variable].dims) != set(dims):
        there = str(found[variable].dims) if variable in found else "none"
        raise StudyError(what, expected=f"{variable} {tuple(dims)}", found=there, remedy=_REMEDY)


def _require_labels(wanted: Sequence[object], known: Sequence[object], where: str) -> None:
    """Raise StudyError if one of the labels is unknown."""
    lost = [label for label in wanted if label not in known]
    if lost:
        raise StudyError(where, expected=f"some of {known}", found=repr(lost[0]), remedy=_REMEDY)


def in_order(cube: xr.Dataset, found: xr.Dataset, what: str) -> xr.Dataset:
    """The units of the cube in its order."""
    found = plain(found)
    layer = schema.UNIT_LAYER if schema.UNIT_LAYER in found.coords else schema.LAYER
    if any(name not in found.coords for name in (layer, schema.CHANNEL)):
        raise StudyError(what, expected="units with their layer and channel", found="none", remedy=_REMEDY)
    of_each = zip(found[layer].values.tolist(), found[schema.CHANNEL].values.tolist(), strict=True)
    place = {unit: k for k, unit in enumerate(of_each)}
    units = list(zip(cube[schema.LAYER].values.tolist(), cube[schema.CHANNEL].values.tolist(), strict=True))
    _require_labels(units, list(place), f"{what}: units")
    return found.isel({schema.UNIT: [place[unit] for unit in units]})
