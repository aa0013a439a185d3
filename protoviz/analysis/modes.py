"""Counts the different images that drive a unit: clusters of independent starts, by the noise of one.

    reaching    starts whose image drives the unit by a stated share of what the best of them does
    threshold   the distance that twins (one start, ascended under other random transforms) keep within, from
                the median and the quartiles of their distances in a layer at an epoch: with several modes,
                some twins end in another mode than start 0, which a quantile further out would take for noise
    modes       clusters of the reaching starts at the threshold (scipy.cluster.hierarchy); the image of a
                mode is its medoid
    meeting     the chance that two reaching starts are of one mode: sum n_i (n_i - 1) / (n (n - 1)), an
                unbiased estimate of Simpson's index (Simpson 1949, Nature 163:688), whatever the number of
                starts
    spread      mean distance between reaching starts over that between two units of the layer: 1 where the
                images of a unit differ as those of two units do

What K starts can and cannot show. A mode that a share q of the starts reaches is missed with a probability of
(1 - q)^K, so `modes` is a lower bound, which grows with K and with the number of reaching starts. Estimates
of the number of missed modes, such as Chao's from modes found once and twice, are not given: with eight
starts they rest on one or two modes. `meeting` does not depend on K; compare it where fewer starts reach.
Modes that are nearer to each other than one start is to itself count as one. Starts also keep what the unit
is indifferent to (see synthesis/restarts.py), which can separate images of one mode where the recipe begins
far from zero.

If all starts are of one mode and as far apart as twins are, a second mode is found in at most 1 -
confidence of units: a start would have to be farther from all others than a twin is in (1 - confidence) / K
of cases (Bonferroni; checked by simulation in the tests). Modes are told only from the noise of the ascent.
In deep layers of an ImageNet network, with a jitter of 2 px, twins were nearly as far apart as independent
starts (0.43 to 0.58 against 0.46 to 0.68): there, modes cannot be told apart, and one is found.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special
from scipy.cluster import hierarchy
from scipy.spatial.distance import squareform

from protoviz.analysis.pairwise import POINTS, between, mean_to_others

Float64 = NDArray[np.float64]
Live = NDArray[np.bool_]
Numbers = NDArray[np.int32]

NONE = -1  # for a start that belongs to no mode
FEWEST = 4  # distances needed for quartiles


@dataclass(frozen=True)
class Rule:
    """When a start counts, and when two are of one mode; see config/modes.py."""

    share: float
    confidence: float
    linkage: str


@dataclass(frozen=True)
class Counted:
    """The modes of the units of one layer at one epoch; U units, K starts.

    Attributes:
        modes, reaching: (U,) number of clusters among the starts that reach the share, and of these starts; 0
            where no image drives the unit.
        meeting, spread: (U,), NaN where fewer than two starts reach.
        noise: (U,), distance between start 0 and its twin; NaN where one of them does not reach.
        threshold: of the layer; NaN where no unit has such a pair.
        mode_of_start: (U, K), modes by decreasing number of starts, ties by their best activation; -1 for a
            start of no mode.
        medoids: for each unit, the start that represents each of its modes.
    """

    modes: Numbers
    reaching: Numbers
    meeting: NDArray[np.float32]
    spread: NDArray[np.float32]
    noise: NDArray[np.float32]
    threshold: float
    mode_of_start: Numbers
    medoids: list[list[int]]


def reaching(activation: NDArray[np.floating], live: Live, share: float) -> Live:
    """(K, U) starts that reach a share of the unit's best activation, of those that are live.

    Args:
        activation: (K, U).
        live: (K, U), starts that converged, whose activation is above zero.
        share: of the best.
    """
    best = np.where(live, activation, -np.inf).max(0)
    reached: Live = live & (activation >= share * best)
    return reached


def count(
    vectors: NDArray[np.float32],
    activation: NDArray[np.floating],
    live: Live,
    rule: Rule,
    distance: str = "mse",
) -> Counted:
    """The modes of the units of one layer at one epoch.

    One start shows one mode at most, and has no spread. Where no twin measures the noise there is no
    threshold: the images of a unit cannot be told apart, and they count as one mode.

    Args:
        vectors: (K + 1, U, D), the images of all starts and, last, of the twin of start 0, embedded.
        activation: (K + 1, U), the same.
        live: (K + 1, U), which of them converged.
        rule: see `Rule`.
        distance: of `pairwise.POINTS`.
    """
    starts, units = len(vectors) - 1, vectors.shape[1]
    reached = reaching(activation[:-1], live[:-1], rule.share)
    noise = _noise(vectors, activation, live, rule.share, distance)
    known = noise[np.isfinite(noise)]
    threshold = noise_floor(known, rule.confidence, starts)
    found = np.zeros(units, np.int32)
    meeting, spread = (np.full(units, np.nan, np.float32) for _ in range(2))
    labels = np.full((units, starts), NONE, np.int32)
    medoids: list[list[int]] = []
    apart = _between_units(vectors[0], live[0], distance)
    for unit in range(units):
        rows = np.flatnonzero(reached[:, unit])
        matrix = _distances(vectors[rows, unit], distance)
        own = ordered(clusters(matrix, threshold, rule.linkage), activation[rows, unit])
        labels[unit, rows], found[unit] = own, own.max(initial=NONE) + 1
        medoids.append([int(rows[medoid(matrix, own == mode)]) for mode in range(found[unit])])
        if len(rows) > 1:
            meeting[unit] = chance_of_meeting(own)
            spread[unit] = matrix[np.triu_indices(len(rows), 1)].mean() / apart if apart > 0 else np.nan
    return Counted(
        found,
        reached.sum(0).astype(np.int32),
        meeting,
        spread,
        noise.astype(np.float32),
        threshold,
        labels,
        medoids,
    )


def noise_floor(distances: Float64, confidence: float, starts: int) -> float:
    """The distance beyond which a start is of another mode.

    Args:
        distances: (n,), between twins.
        confidence: with which none of the starts of a unit of one mode is taken for another one.
        starts: K.

    Returns:
        The quantile 1 - (1 - confidence) / K of the log-normal distribution with the median and the quartiles
        of the distances above zero; the greatest where there are fewer than four, NaN where there are none.
    """
    above = distances[distances > 0]
    if len(above) < FEWEST:
        return float(distances.max(initial=-np.inf)) if len(distances) else float("nan")
    low, middle, high = np.quantile(np.log(above), (0.25, 0.5, 0.75))
    reach = special.ndtri(1 - (1 - confidence) / starts) / (2 * special.ndtri(0.75))
    return float(np.exp(middle + reach * (high - low)))


def clusters(distances: Float64, threshold: float, linkage: str = "single") -> NDArray[np.int64]:
    """The cluster (n,) of each point, in arbitrary order: merged up to and including the threshold.

    Args:
        distances: (n, n), symmetric, zero on the diagonal.
        threshold: if NaN, all points are one cluster.
        linkage: "single", "average" or "complete".
    """
    if len(distances) < 2:
        return np.zeros(len(distances), np.int64)
    tree = hierarchy.linkage(squareform(distances, checks=False), linkage)
    if np.isnan(threshold):
        return np.zeros(len(distances), np.int64)
    return hierarchy.fcluster(tree, threshold, "distance").astype(np.int64) - 1


def ordered(labels: NDArray[np.int64], activation: NDArray[np.floating]) -> Numbers:
    """Clusters (n,) numbered by decreasing number of members, ties by their best activation (n,)."""
    order = sorted(
        np.unique(labels), key=lambda one: (-(labels == one).sum(), -activation[labels == one].max())
    )
    place = {name: rank for rank, name in enumerate(order)}
    return np.array([place[one] for one in labels], np.int32)


def medoid(distances: Float64, members: Live) -> int:
    """The member with the least mean distance to the others, the first of several."""
    rows = np.flatnonzero(members)
    return int(rows[distances[np.ix_(rows, rows)].mean(1).argmin()])


def chance_of_meeting(labels: Sequence[int] | NDArray[np.integer]) -> float:
    """The unbiased estimate of the chance that two starts are of one mode, from two or more starts."""
    sizes, n = np.unique(labels, return_counts=True)[1].astype(float), len(labels)
    return float((sizes * (sizes - 1)).sum() / (n * (n - 1)))


def _noise(
    vectors: NDArray[np.float32],
    activation: NDArray[np.floating],
    live: Live,
    share: float,
    distance: str,
) -> Float64:
    """(U,) distance between start 0 and its twin, where both reach the share of the best start."""
    best = np.where(live[:-1], activation[:-1], -np.inf).max(0)
    first, twin = (live[k] & (activation[k] >= share * best) for k in (0, -1))
    points = POINTS[distance](vectors[[0, -1]])
    return np.where(first & twin, between(points[0], points[1]), np.nan)


def _between_units(vectors: NDArray[np.float32], live: Live, distance: str) -> float:
    """Mean distance between two live units; NaN where there are fewer than two."""
    means = mean_to_others(POINTS[distance](vectors), live)
    return float(means[live].mean()) if live.sum() > 1 else float("nan")


def _distances(vectors: NDArray[np.float32], distance: str) -> Float64:
    """Distances (n, n) of a few points, computed from their differences."""
    points = POINTS[distance](vectors)
    return between(points[:, None], points[None])
