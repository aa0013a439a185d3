"""Matches the units of two networks: the best one-to-one assignment, and what chance gives.

Two networks that started from different weights may learn the same features in another order. Units are
paired so that the sum of their similarities is greatest (Li et al. 2015, "Convergent learning"; the Hungarian
method as `scipy.optimize.linear_sum_assignment` implements it). The best pair of many is also similar by
chance, so the chance pairings that it is compared with go through the same assignment:

- *shuffled*: the images of one network are in another order, so nothing is shared;
- *turned*: one of the networks is replaced by one whose units are random directions in the space of its
  responses (a uniformly random orthogonal matrix; Khosla and Williams 2023, "Soft matching distance", study
  the same invariance). Everything but the units themselves is shared, so a similarity beyond it is due to the
  units, not to a common space, which even untrained networks have: they see the same light and dark.

Responses (N, C) are those of C units to N images. Everything is computed in float64.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from protoviz import seeding

Floats = NDArray[np.float64]
Places = NDArray[np.int64]

NONE = -1  # the place of a partner where there is none


def standardised(responses: NDArray[np.floating]) -> Floats:
    """Responses (N, C) with mean 0 and length 1 for each unit; NaN for those that do not vary."""
    exact = responses.astype(np.float64)
    centred = exact - exact.mean(0)
    length = np.linalg.norm(centred, axis=0)
    # Rounding leaves a difference between a constant and its mean.
    varies = length > 1e-9 * np.sqrt(len(exact)) * np.abs(exact).max(0, initial=0)
    found: Floats = centred / np.where(varies, length, np.nan)
    return found


def correlations(first: Floats, second: Floats) -> Floats:
    """Pearson's correlation of each unit of one network with each of another, (C, D), of `standardised`."""
    return first.T @ second


def assign(similarity: Floats) -> Places:
    """The partner of each unit, one to one, such that the sum of similarities is greatest.

    Args:
        similarity: (C, D); a unit whose row or column holds nothing finite takes no part.

    Returns:
        (C,), the column of each unit; `NONE` where a unit takes no part or all columns are taken.
    """
    partner = np.full(len(similarity), NONE, np.int64)
    there = np.isfinite(similarity)
    rows, columns = np.flatnonzero(there.any(1)), np.flatnonzero(there.any(0))
    if len(rows) and len(columns):
        taken, given = linear_sum_assignment(similarity[np.ix_(rows, columns)], maximize=True)
        partner[rows[taken]] = columns[given]
    return partner


def similarities(similarity: Floats, partner: Places) -> Floats:
    """The similarity (C,) of each unit and its partner; NaN without one."""
    rows = np.arange(len(partner))
    there = partner != NONE
    return np.where(
        there, similarity[rows, np.where(there, partner, 0)] if similarity.size else np.nan, np.nan
    )


def shuffled(first: Floats, second: Floats, draws: int, *address: seeding.Part) -> Iterator[Floats]:
    """The similarity of each unit's best partner, (C,), with one network's images in another order.

    Args:
        first: `standardised` responses of a network.
        second: those of another to the same images.
        draws: number of random orders.
        address: of the pair of networks.
    """
    rng = seeding.generator("shuffled images", *address)
    for _ in range(draws):
        found = correlations(first, second[rng.permutation(len(second))])
        yield similarities(found, assign(found))


def turned(first: Floats, second: Floats, draws: int, *address: seeding.Part) -> Iterator[Floats]:
    """The same with the second network's units replaced by random directions in its response space.

    The responses are rotated unscaled: if all units were scaled alike first, directions in which some vary
    more would count for less, and units that share only a space would pass for the same twice as often as
    they should.

    Args:
        first: `standardised` responses of a network.
        second: those of another to the same images, in their original scale, not standardised.
        draws: number of random rotations.
        address: of the pair of networks.
    """
    rng = seeding.generator("turned units", *address)
    varying = np.isfinite(standardised(second)).all(0)
    centred = second[:, varying] - second[:, varying].mean(0)
    for _ in range(draws):
        found = correlations(first, standardised(centred @ _rotation(centred.shape[1], rng)))
        yield similarities(found, assign(found))


def _rotation(size: int, rng: np.random.Generator) -> Floats:
    """A uniformly random orthogonal matrix (Mezzadri 2007, "How to generate random matrices", section 5)."""
    q, r = np.linalg.qr(rng.standard_normal((size, size)))
    signs = np.where(np.diag(r) < 0, -1.0, 1.0)
    rotation: Floats = q * signs
    return rotation


def beyond(found: Floats, null: Floats, error: float) -> NDArray[np.bool_]:
    """Which units are more similar to their partner than all but a share `error` of the chance pairs.

    A value is ranked among those of chance and itself, so in a layer in which nothing is shared a unit is
    counted with at most this probability, averaged over units (Phipson and Smyth 2010).

    Args:
        found: (C,), NaN for units without a partner, which are never counted.
        null: any shape, what chance gives; NaN does not count.
        error: in (0, 1).
    """
    by_chance = np.sort(null[np.isfinite(null)])
    as_great = len(by_chance) - np.searchsorted(by_chance, found, side="left")
    counted: NDArray[np.bool_] = np.isfinite(found) & ((1 + as_great) / (1 + len(by_chance)) <= error)
    return counted


def agreement(first: Places, second: Places) -> tuple[float, float]:
    """The share of units that two assignments give the same partner, and the share expected by chance.

    Args:
        first: (C,), partners as `assign` gives them.
        second: the same of another assignment.

    Returns:
        The share among units with a partner in both, and what it would be on average if the partners of the
        second were dealt out at random; NaN where no unit has a partner in both.
    """
    both = (first != NONE) & (second != NONE)
    if not both.any():
        return float("nan"), float("nan")
    dealt = second[second != NONE]
    chance = np.isin(first[both], dealt).mean() / len(dealt)
    return float((first[both] == second[both]).mean()), float(chance)
