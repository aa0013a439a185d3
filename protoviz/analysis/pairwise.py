"""Distances between vectors, blockwise (D1, D4, D6): a block of rows at a time, however many there are.

Both distances of D1 are squared Euclidean distances between suitable points: vectors scaled by
1/sqrt(D) for the mean squared error, unit vectors scaled by 1/sqrt(2) for the cosine distance. That
has three consequences which everything here rests on:

- identical vectors are at distance exactly zero, and close ones lose no digits, since nothing large
  is subtracted from anything large;
- the mean distance of a unit to all others has a closed form, linear in the number of units in time
  and memory: no matrix of pairs is made, unless it is asked for;
- a third distance of this kind is one more line in `POINTS`.

Everything is computed in float64.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Live = NDArray[np.bool_]

BLOCK = 16_000_000  # bytes of points in memory at once
CLOSE = 1e-6  # pairs nearer than this share of their distances from the centre are computed from differences


class Rows(Protocol):
    """Vectors (U, D) from which slicing takes a block: an array, or an object that then reads it."""

    def __len__(self) -> int:
        """U."""

    def __getitem__(self, rows: slice, /) -> Float32:
        """(n, D)."""


class Points(Protocol):
    """Points (U, D) in float64, likewise."""

    def __len__(self) -> int:
        """U."""

    def __getitem__(self, rows: slice, /) -> Float64:
        """(n, D)."""


def mse_points(vectors: Float32) -> Float64:
    """Points whose squared Euclidean distance is the mean squared error, 1/D sum_d (a_d - b_d)^2.

    Args:
        vectors: (..., D).
    """
    return vectors.astype(np.float64) / np.sqrt(vectors.shape[-1])


def cosine_points(vectors: Float32) -> Float64:
    """Points whose squared Euclidean distance is the cosine distance, 1 - a.b / (|a| |b|).

    A zero vector has no direction. It gets one of its own, orthogonal to all others: it is at
    distance 1 from every other vector and 0 from another zero vector.

    Args:
        vectors: (..., D); the points have D + 1 dimensions.
    """
    exact = vectors.astype(np.float64)  # squares of float32 neither overflow nor vanish in float64
    norm = np.linalg.norm(exact, axis=-1, keepdims=True)
    zero = norm == 0
    unit = np.concatenate([exact / np.where(zero, 1.0, norm), zero], axis=-1)
    points: Float64 = unit / np.sqrt(2.0)
    return points


POINTS: dict[str, Callable[[Float32], Float64]] = {"mse": mse_points, "cosine": cosine_points}


class PointsOf:
    """The points of vectors, made when a block of them is read; kept where one block holds all of them.

    Args:
        vectors: (U, D).
        distance: name in `POINTS`.
    """

    def __init__(self, vectors: Rows, distance: str) -> None:
        self._vectors, self._convert = vectors, POINTS[distance]
        self._kept: Float64 | None = None
        if len(vectors) and len(vectors) <= _rows_at_once(vectors):
            self._kept = self._convert(vectors[0 : len(vectors)])

    def __len__(self) -> int:
        return len(self._vectors)

    def __getitem__(self, rows: slice) -> Float64:
        return self._convert(self._vectors[rows]) if self._kept is None else self._kept[rows]


def between(a: Float64, b: Float64) -> Float64:
    """Squared Euclidean distance of paired points, (..., D) and (..., D) -> (...)."""
    difference = a - b
    return np.einsum("...d,...d->...", difference, difference)


def paired(a: Points, b: Points) -> Float64:
    """The same for two sets of U points, blockwise: (U,)."""
    return np.concatenate([between(a[rows], b[rows]) for rows in _blocks(a)] or [np.empty(0)])


def mean_to_others(points: Points, live: Live) -> Float64:
    """Mean squared Euclidean distance of every live unit to all other live units (D4).

    With n live points, centre c and spread S = sum_j |x_j - c|^2, the sum over j of |x_i - x_j|^2
    is n |x_i - c|^2 + S: two passes instead of n^2 pairs.

    Args:
        points: (U, D).
        live: (U,), the units that count.

    Returns:
        (U,), NaN for units that do not count, and for all where fewer than two do.
    """
    means = np.full(len(points), np.nan)
    n = int(live.sum())
    if n < 2:
        return means
    squared = np.empty(len(points))
    for rows, near in _Centred(points, live).blocks():
        squared[rows] = np.einsum("ud,ud->u", near, near)
    means[live] = (n * squared[live] + squared[live].sum()) / (n - 1)
    return means


def mean_between_repeats(points: Sequence[Points], live: Live) -> Float64:
    """Mean distance of the same unit between the repeats, over all pairs of repeats that are live (D6).

    Args:
        points: R times (U, D).
        live: (R, U).

    Returns:
        (U,), NaN where no pair of repeats is live.
    """
    total, pairs = np.zeros(live.shape[1]), np.zeros(live.shape[1])
    for first in range(len(points)):
        for second in range(first):
            both = live[first] & live[second]
            total += np.where(both, paired(points[first], points[second]), 0.0)
            pairs += both
    return np.divide(total, pairs, out=np.full_like(total, np.nan), where=pairs > 0)


def pairwise(points: Points, live: Live | None = None) -> Float64:
    """The squared Euclidean distance of every pair of points: the whole matrix behind D4.

    Symmetric to the bit, exactly zero on the diagonal and between identical points. Beside the matrix
    itself, only two blocks of points are in memory.

    >>> pairwise(mse_points(np.eye(2, dtype=np.float32)))
    array([[0., 1.],
           [1., 0.]])

    Args:
        points: (U, D).
        live: (U,), the units that count; by default all.

    Returns:
        (U, U), NaN in the rows and columns of units that do not count.
    """
    count = len(points)
    live = np.ones(count, bool) if live is None else live
    matrix = np.full((count, count), np.nan)
    if not live.any():
        return matrix
    centred = _Centred(points, live)
    for rows, near in centred.blocks():
        for columns, far in centred.blocks(rows.start):
            block = _pairs(near, near if columns == rows else far)  # of itself: half the work for BLAS
            if columns == rows:
                block = np.triu(block, 1)
                block += block.T
            matrix[rows, columns], matrix[columns, rows] = block, block.T
    matrix[~live], matrix[:, ~live] = np.nan, np.nan
    return matrix


def _pairs(near: Float64, far: Float64) -> Float64:
    """Squared distances (n, m) of centred points, by their products; close pairs by their differences."""
    lengths = np.einsum("ud,ud->u", near, near)[:, None] + np.einsum("ud,ud->u", far, far)
    squared: Float64 = lengths - 2 * (near @ far.T)
    which = np.argwhere(squared <= CLOSE * lengths)
    step = max(1, BLOCK // (8 * max(1, near.shape[1])))
    for start in range(0, len(which), step):
        first, second = which[start : start + step].T
        squared[first, second] = between(near[first], far[second])
    return squared


class _Centred:
    """Points as seen from the centre of the live ones, block by block.

    The centre itself is taken as seen from one of them, so that identical points are all exactly zero.

    Args:
        points: (U, D).
        live: (U,), at least one.
    """

    def __init__(self, points: Points, live: Live) -> None:
        first = int(np.flatnonzero(live)[0])
        self._points = points
        self._origin = points[slice(first, first + 1)][0]
        total = np.zeros_like(self._origin)
        for rows in _blocks(points):
            total += (points[rows][live[rows]] - self._origin).sum(0)
        self._centre = total / live.sum()

    def blocks(self, first: int = 0) -> Iterator[tuple[slice, Float64]]:
        """(rows, their points), from the block that begins at row `first`."""
        for rows in _blocks(self._points):
            if rows.start >= first:
                near = self._points[rows] - self._origin
                near -= self._centre
                yield rows, near


def _blocks(points: Points | Rows) -> list[slice]:
    step, count = _rows_at_once(points), len(points)
    return [slice(start, min(start + step, count)) for start in range(0, count, step)]


def _rows_at_once(points: Points | Rows) -> int:
    """How many points of this width make a block."""
    return max(1, BLOCK // (8 * max(1, points[slice(0, 1)].shape[-1])))


def across(first: Points, second: Points) -> Float64:
    """The squared Euclidean distance of every point of one set to every point of another, blockwise: (U, V).

    Args:
        first: (U, D).
        second: (V, D).
    """
    matrix = np.empty((len(first), len(second)))
    if not matrix.size:
        return matrix
    origin = first[slice(0, 1)][0]  # seen from one of them, so that nothing large is subtracted
    for rows in _blocks(first):
        near = first[rows] - origin
        for columns in _blocks(second):
            matrix[rows, columns] = np.maximum(_pairs(near, second[columns] - origin), 0)
    return matrix
