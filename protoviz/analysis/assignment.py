"""Which unit of one network is which unit of another: the best one-to-one assignment, and what chance gives.

Two networks that started from other weights may learn the same features in another order. Units are paired so
that the sum of their similarities is greatest (Li et al. 2015, "Convergent learning"; the Hungarian method as
`scipy.optimize.linear_sum_assignment` has it). A pair that is the best of many is alike by chance, too, so
that what it is held against goes through the same assignment:

- *shuffled*: the images are in another order for one of the networks. Nothing is shared;
- *turned*: one of the networks is replaced by one whose units are random directions in the space of its
  responses (a uniformly random orthogonal matrix; Khosla and Williams 2023, "Soft matching distance", look at
  the same invariance). All is shared but the units themselves, so that what lies beyond it speaks of units,
  not of a common space, which even untrained networks have: they see the same light and dark.

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
    # Of a constant, rounding leaves a difference from its mean.
    varies = length > 1e-9 * np.sqrt(len(exact)) * np.abs(exact).max(0, initial=0)
    found: Floats = centred / np.where(varies, length, np.nan)
    return found


def correlations(first: Floats, second: Floats) -> Floats:
    """Pearson's correlation of each unit of one network with each of another, (C, D), of `standardised`."""
    return first.T @ second


def assign(similarity: Floats) -> Places:
    """The partner of each unit, so that the sum of similarities is greatest and none has two.

    Args:
        similarity: (C, D); rows and columns that hold nothing finite are units that take no part.

    Returns:
        (C,), the column, `NONE` where a unit takes no part, or all columns are taken.
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
    """The similarity of each unit's best partner, (C,), where one network's images are in another order.

    Args:
        first: `standardised` responses of a network.
        second: those of another to the same images.
        draws: how often.
        address: of the pair of networks.
    """
    rng = seeding.generator("shuffled images", *address)
    for _ in range(draws):
        found = correlations(first, second[rng.permutation(len(second))])
        yield similarities(found, assign(found))


def turned(first: Floats, second: Floats, draws: int, *address: seeding.Part) -> Iterator[Floats]:
    """The same where the second network's units are random directions in the space of its responses.

    They are turned as they are: if all units were scaled alike before, directions in which some vary more
    would count for less, and units that share a space alone would pass for the same twice as often as they
    should.

    Args:
        first: `standardised` responses of a network.
        second: those of another to the same images, in the units of its layer, not standardised.
        draws: how often.
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
    """Which units are more like their partner than all but a share `error` of those that chance pairs.

    The rank of a value among those of chance and itself, so that a unit of a layer in which nothing is
    shared is counted with at most this probability, mean over units (Phipson and Smyth 2010).

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
    """The share of units that two assignments give the same partner, and what chance would.

    Args:
        first: (C,), partners as `assign` gives them.
        second: the same of another assignment.

    Returns:
        The share among units with a partner in both, and what it would be on average if the partners of the
        second were dealt out at random; NaN where no unit has two.
    """
    both = (first != NONE) & (second != NONE)
    if not both.any():
        return float("nan"), float("nan")
    dealt = second[second != NONE]
    chance = np.isin(first[both], dealt).mean() / len(dealt)
    return float((first[both] == second[both]).mean()), float(chance)
