"""How far groups of points lie apart, from their distances alone: layers of a network, training states.

The same numbers can be computed in any space (of images, of an embedding, of a map), so no claim has to rest
on a projection. Every estimate is over units: the same unit at two states is one unit, never two independent
points.

    silhouette        do points lie nearer to their own layer than to the next (Rousseeuw 1987)
    energy distance   do two states differ (Szekely & Rizzo 2013), as a share of the distance between them
    AUC               how well a point's neighbours predict its state: 0.5 by chance, 1 without error
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Distances = NDArray[np.float64]
Labels = NDArray[np.int64]
Rng = np.random.Generator

LEVEL = 0.95  # of the intervals
ROWS = 64  # draws measured at once


@dataclass(frozen=True)
class Estimate:
    """A number and its uncertainty.

    Attributes:
        value: the estimate.
        low, high: its interval, from resampled units; NaN where there is none.
        expected: what it would be without an effect.
        p: of the permutation test of whether the value exceeds that; at least 1 / (permutations + 1).
    """

    value: float
    low: float
    high: float
    expected: float
    p: float


def pairwise(points: NDArray[np.floating]) -> Distances:
    """Euclidean distances (N, N) between points (N, D); symmetric, zero on the diagonal."""
    exact = np.asarray(points, np.float64)
    exact = exact - exact.mean(0)  # the squares below then cancel less
    squares = (exact**2).sum(1)
    squared = squares[:, None] + squares - 2 * (exact @ exact.T)
    distances = np.sqrt(np.maximum((squared + squared.T) / 2, 0))
    np.fill_diagonal(distances, 0)
    return distances


def silhouette(distances: Distances, labels: Labels) -> float:
    """The mean silhouette (b - a) / max(a, b) of all points; that of a point alone in its group is 0.

    Args:
        distances: (N, N).
        labels: (N,), the group of each point.
    """
    _, group, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    member = np.eye(len(sizes))[group]
    sums = distances @ member  # (N, groups)
    own = sizes[group]
    points = np.arange(len(labels))
    inside = sums[points, group] / np.maximum(own - 1, 1)
    means = sums / sizes
    means[points, group] = np.inf
    nearest = means.min(1)
    largest = np.maximum(inside, nearest)
    scores = np.divide(nearest - inside, largest, out=np.zeros_like(inside), where=(own > 1) & (largest > 0))
    return float(scores.mean())


def clustering(distances: Distances, labels: Labels, permutations: int, rng: Rng) -> Estimate:
    """The silhouette of groups, tested against permuted labels.

    There is no interval: resampling points would put copies of a point into its own group, at distance zero.
    The silhouette of a single group is NaN.
    """
    if len(np.unique(labels)) < 2:
        return Estimate(*[np.nan] * 5)
    value = silhouette(distances, labels)
    null = np.array([silhouette(distances, rng.permutation(labels)) for _ in range(permutations)])
    return Estimate(value, np.nan, np.nan, float(null.mean()), _p(value, null))


def energy(away: Distances, second: NDArray[np.bool_], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Energy distances of two samples of the same units, as a share of the mean distance between them.

    2 E|X - Y| - E|X - X'| - E|Y - Y'|, over 2 E|X - Y|; all means are over pairs of different units. It is
    therefore unbiased: where states are exchangeable its mean is 0, and single values lie on either side.

    Args:
        away: (2U, 2U), distances of U units at one state, then the same units at another; 0 within a unit.
        second: (..., 2U), whether a point counts as one of the second state; one point of each unit does.
        weights: (..., 2U), how often the unit of a point was drawn.

    Returns:
        One for each row of `second` and `weights`, (...).
    """
    x, y = weights * ~second, weights * second
    to_x, to_y = x @ away, y @ away
    across, inside = (to_x * y).sum(-1), (to_x * x).sum(-1) + (to_y * y).sum(-1)
    share = np.zeros_like(across)
    return np.divide(2 * across - inside, 2 * across, out=share, where=across != 0)


def neighbours(distances: Distances, count: int) -> Labels:
    """(2U, count): the nearest points of each, its own unit left out; distances as for `difference`."""
    others = _of_others(distances, np.inf)
    return np.argsort(others, axis=1, kind="stable")[:, : min(count, len(others) - 2)]


def auc(nearest: Labels, second: NDArray[np.bool_], weights: NDArray[np.float64]) -> float:
    """How well the nearest points of a point predict its state.

    Args:
        nearest: `neighbours`.
        second: one row of those of `energy`.
        weights: one row of those of `energy`.

    Returns:
        The chance that a point of the second state has more second-state neighbours than one of the first;
        ties count a half.
    """
    votes = second[nearest].sum(1)
    most = nearest.shape[1] + 1
    lower = np.bincount(votes, weights * ~second, most)
    higher = np.bincount(votes, weights * second, most)
    below = np.cumsum(lower) - lower / 2
    return float((higher * below).sum() / (higher.sum() * lower.sum()))


def difference(
    distances: Distances, strata: Labels, *, voters: int, permutations: int, resamples: int, rng: Rng
) -> dict[str, Estimate]:
    """Whether two states differ: the energy distance and the AUC.

    The test exchanges the two states of random units, which changes nothing where the states are alike. Units
    are resampled within their layer.

    Args:
        distances: (2U, 2U), of U units at the first state, then the same units at the second.
        strata: (U,), the layer of each unit.
        voters: neighbours that vote for the AUC.
        permutations: of the test.
        resamples: for the intervals.
        rng: for both.
    """
    units = len(strata)
    nearest, away = neighbours(distances, voters), _of_others(distances, 0.0)

    def measured(second: NDArray[np.bool_], weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Both, (rows, 2), of rows of either, (rows, 2U) or (1, 2U)."""
        rows = np.broadcast_shapes(second.shape, weights.shape)
        votes = zip(np.broadcast_to(second, rows), np.broadcast_to(weights, rows), strict=True)
        return np.stack([energy(away, second, weights), [auc(nearest, *row) for row in votes]], 1)

    state, once = np.repeat([False, True], units)[None], np.ones((1, 2 * units))
    value = measured(state, once)[0].tolist()
    members = [np.flatnonzero(strata == stratum) for stratum in np.unique(strata)]
    weights = _blocks(resamples, lambda: _resampled(members, rng))
    drawn = np.concatenate([measured(state, some) for some in weights])
    swaps = _blocks(permutations, lambda: rng.random(units) < 0.5)
    null = np.concatenate([measured(state ^ some, once) for some in swaps])
    return {
        name: Estimate(value[k], *_interval(drawn[:, k]), expected, _p(value[k], null[:, k]))
        for k, (name, expected) in enumerate((("energy", 0.0), ("auc", 0.5)))
    }


def _blocks(count: int, draw: Callable[[], NDArray[Any]]) -> Iterator[NDArray[Any]]:
    """Draws (U,), each for both points of a unit, a few at once: (rows, 2U)."""
    for start in range(0, count, ROWS):
        yield np.array([np.tile(draw(), 2) for _ in range(min(ROWS, count - start))])


def _of_others(distances: Distances, own: float) -> Distances:
    """Distances (2U, 2U) with those between points of one unit replaced."""
    points, units = np.arange(len(distances)), len(distances) // 2
    others = distances.copy()
    others[points, points] = others[points, (points + units) % (2 * units)] = own
    return others


def _resampled(strata: Sequence[NDArray[np.intp]], rng: Rng) -> NDArray[np.float64]:
    """(U,) how often each unit is drawn, with replacement within its stratum; these are the units of each."""
    weights = np.zeros(sum(map(len, strata)))
    for members in strata:
        weights[members] = rng.multinomial(len(members), np.full(len(members), 1 / len(members)))
    return weights


def _interval(values: NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def _p(value: float, null: NDArray[np.float64]) -> float:
    """One-sided p, which counts the observed value among the permutations (Phipson & Smyth 2010)."""
    return float((1 + (null >= value - 1e-12).sum()) / (1 + len(null)))
