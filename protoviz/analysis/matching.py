"""Matches units over runs and conditions, by responses and by prototypes: the same feature in another seed.

All pairs of runs of a condition are compared, and the conditions within each run; layer by layer and epoch by
epoch, so that memory does not grow with epochs. The method is described in assignment.py.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from protoviz.analysis import assignment
from protoviz.analysis.pairwise import Live, PointsOf, Rows, across
from protoviz.progress import track
from protoviz.store import schema
from protoviz.store import schema_matching as names

Arrays = dict[str, NDArray[Any]]
Responses = Callable[[int], NDArray[np.floating]]  # epoch -> (images, units)
Prototypes = Callable[[int, str, slice], tuple[Rows, Live]]  # epoch, layer, its units -> (U, D) and (U,)


@dataclass(frozen=True)
class Member:
    """A network, and what matching reads of it epoch by epoch.

    Attributes:
        condition, run: which.
        responses: of all its units to natural images, the same images in all networks; None: not known.
        prototypes: their vectors, and which of them exist; None: not known.
    """

    condition: str
    run: int
    responses: Responses | None = None
    prototypes: Prototypes | None = None


def pairs(members: Sequence[Member]) -> list[tuple[Member, Member]]:
    """Two runs of one condition, each pair once; then two conditions of one run."""
    every = list(itertools.combinations(members, 2))
    seeds = [(one, other) for one, other in every if one.condition == other.condition]
    return seeds + [(one, other) for one, other in every if one.run == other.run]


def matched(
    members: Sequence[Member],
    units: tuple[NDArray[Any], NDArray[np.int64]],
    epochs: Sequence[int],
    *,
    draws: int,
    error: float,
) -> xr.Dataset:
    """Match the units of each pair of networks.

    Args:
        members: the networks, of the same units.
        units: layer and channel of each of their units, (U,) and (U,).
        epochs: at which they are matched.
        draws: number of chance pairings of each kind.
        error: the share of units that count as matched where nothing is shared.

    Returns:
        A data set as `schema_matching.MATCHING` describes. For networks without responses, or without
        prototypes, that part is empty; the attribute `absent` says why.
    """
    found = pairs(members)
    slices = schema.layer_slices(units[0])
    extent = {
        names.PAIR: len(found),
        schema.EPOCH: len(epochs),
        schema.UNIT: len(units[1]),
        schema.LAYER: len(slices),
    }
    arrays: Arrays = {
        variable.name: np.full([extent[dim] for dim in variable.dims], variable.fill, variable.dtype)
        for variable in names.MATCHING.variables
    }
    work = list(itertools.product(enumerate(epochs), enumerate(slices.items()))) if found else []
    seen: dict[tuple[str, int], assignment.Floats] = {}
    for (e, epoch), (k, (layer, at)) in track(work, "layers matched at epochs"):
        if k == 0:
            seen = {
                (one.condition, one.run): one.responses(epoch).astype(np.float64)
                for one in members
                if one.responses is not None
            }
        own = {key: table[:, at] for key, table in seen.items()}
        for p, (one, other) in enumerate(found):
            here = _Here(arrays, (p, e), at, k, units[1][at])
            keys = (one.condition, one.run), (other.condition, other.run)
            if all(key in own for key in keys):
                address = (*keys[0], *keys[1], epoch, layer)
                here.respond(own[keys[0]], own[keys[1]], draws, error, address)
            if one.prototypes is not None and other.prototypes is not None:
                here.look(_distances(one, other, epoch, layer, at))
    return xr.Dataset(
        {name: (names.MATCHING[name].dims, array) for name, array in arrays.items()},
        _coordinates(found, units, epochs, list(slices)),
        {"draws": draws, "error": error, "absent": "; ".join(_absent(members, found))},
    )


def _distances(one: Member, other: Member, epoch: int, layer: str, at: slice) -> NDArray[np.float64]:
    """(U, U), NaN for units without a prototype."""
    assert one.prototypes is not None
    assert other.prototypes is not None
    (rows, live), (columns, there) = one.prototypes(epoch, layer, at), other.prototypes(epoch, layer, at)
    apart = across(PointsOf(rows, "mse"), PointsOf(columns, "mse"))
    return np.where(live[:, None] & there, apart, np.nan)


class _Here:
    """One pair of networks, in one layer at one epoch: where its results go."""

    def __init__(
        self, arrays: Arrays, place: tuple[int, int], at: slice, layer: int, channels: NDArray[np.int64]
    ) -> None:
        self._arrays, self._channels = arrays, channels
        self._units, self._layer = (*place, at), (*place, layer)
        self._partner: assignment.Places | None = None

    def respond(
        self,
        first: assignment.Floats,
        second: assignment.Floats,
        draws: int,
        error: float,
        address: tuple[str | int, ...],
    ) -> None:
        """Partners by responses (N, C) and (N, C), and how much of that chance gives."""
        one, other = assignment.standardised(first), assignment.standardised(second)
        table = assignment.correlations(one, other)
        partner = assignment.assign(table)
        alike = assignment.similarities(table, partner)
        vary = max(int(np.isfinite(values).all(0).sum()) for values in (one, other))
        self._partner = partner
        self._put(names.PARTNER, self._units, self._named(partner))
        self._put(names.CORRELATION, self._units, alike)
        self._put(names.COMPARED_UNITS, self._layer, vary)
        if not np.isfinite(alike).any():
            return
        self._put(names.MATCHED, self._layer, np.nanmean(alike))
        for share, mean, null in (
            (names.SHARE_MATCHED, names.SHUFFLED, assignment.shuffled(one, other, draws, *address)),
            (names.SHARE_BEYOND_SPACE, names.TURNED, assignment.turned(one, second, draws, *address)),
        ):
            by_chance = np.array(list(null))
            self._put(share, self._layer, assignment.beyond(alike, by_chance, error).sum() / vary)
            self._put(mean, self._layer, np.nanmean(by_chance))

    def look(self, apart: NDArray[np.float64]) -> None:
        """Partners by prototypes, and whether they are the same as those by responses."""
        partner = assignment.assign(-apart)
        self._put(names.PROTOTYPE_PARTNER, self._units, self._named(partner))
        self._put(names.PROTOTYPE_DISTANCE, self._units, assignment.similarities(apart, partner))
        if self._partner is not None:
            same, chance = assignment.agreement(partner, self._partner)
            self._put(names.AGREEMENT, self._layer, same)
            self._put(names.AGREEMENT_BY_CHANCE, self._layer, chance)

    def _named(self, partner: assignment.Places) -> NDArray[np.int64]:
        """Partners as channels instead of positions."""
        return np.where(partner == assignment.NONE, names.NO_PARTNER, self._channels[partner])

    def _put(self, name: str, place: tuple[Any, ...], values: Any) -> None:
        self._arrays[name][place] = values


def _coordinates(
    found: Sequence[tuple[Member, Member]],
    units: tuple[NDArray[Any], NDArray[np.int64]],
    epochs: Sequence[int],
    layers: Sequence[str],
) -> Mapping[str, Any]:
    coordinates: dict[str, Any] = {
        schema.EPOCH: np.array(epochs, np.int64),
        schema.UNIT_LAYER: (schema.UNIT, units[0]),
        schema.CHANNEL: (schema.UNIT, units[1]),
        schema.LAYER: np.array(layers, dtype=schema.TEXT),
    }
    for side, (condition, run) in enumerate((names.FIRST, names.SECOND)):
        labels = np.array([pair[side].condition for pair in found], dtype=schema.TEXT)
        coordinates[condition] = (names.PAIR, labels)
        coordinates[run] = (names.PAIR, np.array([pair[side].run for pair in found], np.int64))
    return coordinates


def _absent(members: Sequence[Member], found: Sequence[tuple[Member, Member]]) -> list[str]:
    """What cannot be matched, and why."""
    if not found:
        return ["one network, which can be compared with no other"]
    said = []
    if any(one.responses is None for one in members):
        said.append("responses to natural images were not kept: units are matched by prototypes alone")
    if any(one.prototypes is None for one in members):
        said.append("where prototypes lie was not kept: units are matched by responses alone")
    if all(one.run == found[0][0].run for one in members):
        said.append("one run: conditions are compared, not seeds")
    return said
