"""Distances between prototypes: between units (D4), epochs (D5) and repeats (D6).

Both distances of D1 are squared Euclidean distances between suitable points: vectors scaled by
1/sqrt(D) for the mean squared error, unit vectors scaled by 1/sqrt(2) for the cosine distance. That
has three consequences which everything here rests on:

- identical vectors are at distance exactly zero, and close ones lose no digits, since nothing large
  is subtracted from anything large;
- the mean distance of a unit to all others has a closed form, linear in the number of units in time
  and memory: no matrix of pairs is ever made;
- a third distance of this kind is one more line in `POINTS`.
"""

import itertools
from collections.abc import Callable, Mapping

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from protoviz import schema
from protoviz.embedders import Embedder
from protoviz.errors import StudyError
from protoviz.progress import track

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Live = NDArray[np.bool_]
Vectors = dict[tuple[str, str], Float32]  # (embedder, masking) -> (repeats, units, D)


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


def between(a: Float64, b: Float64) -> Float64:
    """Squared Euclidean distance of paired points, (..., D) and (..., D) -> (...)."""
    difference = a - b
    return np.einsum("...d,...d->...", difference, difference)


def mean_to_others(points: Float64, live: Live) -> Float64:
    """Mean squared Euclidean distance of every live unit to all other live units (D4).

    With n live points, centre c and spread S = sum_j |x_j - c|^2, the sum over j of |x_i - x_j|^2
    is n |x_i - c|^2 + S: one pass instead of n^2 pairs.

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
    # Seen from one of them, so that identical points are all exactly zero; then from the centre.
    near = points[live] - points[live][0]
    near -= near.mean(0)
    squared = np.einsum("ud,ud->u", near, near)
    means[live] = (n * squared + squared.sum()) / (n - 1)
    return means


def mean_between_repeats(points: Float64, live: Live) -> Float64:
    """Mean distance of the same unit between the repeats, over all pairs of repeats that are live (D6).

    Args:
        points: (R, U, D).
        live: (R, U).

    Returns:
        (U,), NaN where no pair of repeats is live.
    """
    total, pairs = np.zeros(points.shape[1]), np.zeros(points.shape[1])
    for first in range(len(points)):
        for second in range(first):
            both = live[first] & live[second]
            total += np.where(both, between(points[first], points[second]), 0.0)
            pairs += both
    return np.divide(total, pairs, out=np.full_like(total, np.nan), where=pairs > 0)


def distances(prototypes: xr.Dataset, masks: xr.Dataset, embedders: Mapping[str, Embedder]) -> xr.Dataset:
    """All distances between the prototypes of one network, in the schema of the distance store.

    Goes through layers and epochs and holds two epochs of one layer at a time. Every image goes
    through every embedder twice, as it is and multiplied by the mask of its own checkpoint and layer
    (R4); all distances are taken of these vectors. Steps are between neighbouring kept epochs, whose
    distance is not divided by the number of epochs between them.

    Args:
        prototypes: the cube with condition and run of extent one.
        masks: the receptive fields of the same network.
        embedders: name -> embedder.

    Raises:
        StudyError: a prototype has not been made, a mask is missing or has another size than the
            images, or an embedder gives something that is not finite.
    """
    network = prototypes.isel(condition=0, run=0)
    status = network[schema.STATUS].transpose(schema.REPEAT, schema.EPOCH, schema.UNIT).values
    _require_complete(prototypes, status)
    live: Live = status == schema.Status.CONVERGED
    slices = schema.layer_slices(prototypes[schema.LAYER].values)
    spaces = list(itertools.product(embedders, POINTS, schema.MASKINGS))
    repeats, epochs, units = status.shape
    units_apart = np.full((repeats, epochs, units, len(spaces)), np.nan, np.float32)
    epochs_apart = np.full((repeats, epochs - 1, units, len(spaces)), np.nan, np.float32)
    repeats_apart = np.full((epochs, units, len(spaces)), np.nan, np.float32)
    earlier: Vectors = {}
    for (layer, at), epoch in track(
        list(itertools.product(slices.items(), range(epochs))), "epochs of layers"
    ):
        vectors = _embed(network, _mask(masks, prototypes, layer, epoch), embedders, epoch, at)
        alive = live[:, epoch, at]
        for s, (embedder, distance, masking) in enumerate(spaces):
            points = POINTS[distance](vectors[embedder, masking])
            for repeat in range(repeats):
                units_apart[repeat, epoch, at, s] = mean_to_others(points[repeat], alive[repeat])
            repeats_apart[epoch, at, s] = mean_between_repeats(points, alive)
            if epoch > 0:
                step = between(POINTS[distance](earlier[embedder, masking]), points)
                epochs_apart[:, epoch - 1, at, s] = np.where(alive & live[:, epoch - 1, at], step, np.nan)
        earlier = vectors
    in_spaces = (len(embedders), len(POINTS), len(schema.MASKINGS))
    arrays: dict[str, NDArray[np.float32] | NDArray[np.int32]] = {
        schema.BETWEEN_UNITS: units_apart.reshape(repeats, epochs, units, *in_spaces),
        schema.BETWEEN_EPOCHS: epochs_apart.reshape(repeats, epochs - 1, units, *in_spaces),
        schema.BETWEEN_REPEATS: repeats_apart.reshape(epochs, units, *in_spaces),
        schema.LIVE_UNITS: np.stack([live[..., at].sum(-1) for at in slices.values()], -1).astype(np.int32),
    }
    return xr.Dataset(
        {name: (schema.DISTANCES[name].dims, array[None, None]) for name, array in arrays.items()},
        _coordinates(prototypes, list(embedders)),
    )


def _coordinates(prototypes: xr.Dataset, embedders: list[str]) -> dict[str, tuple[str, NDArray[np.generic]]]:
    """Those of the prototypes, the spaces, and the two epochs of every step."""
    epochs = prototypes[schema.EPOCH].values
    kept = (schema.CONDITION, schema.RUN, schema.REPEAT, schema.EPOCH)
    return {
        **{name: (name, prototypes[name].values) for name in kept},
        **{name: (schema.UNIT, prototypes[name].values) for name in (schema.LAYER, schema.CHANNEL)},
        schema.EMBEDDER: (schema.EMBEDDER, np.array(embedders, dtype=schema.TEXT)),
        schema.DISTANCE: (schema.DISTANCE, np.array(list(POINTS), dtype=schema.TEXT)),
        schema.MASKING: (schema.MASKING, np.array(schema.MASKINGS, dtype=schema.TEXT)),
        schema.STEP: (schema.STEP, np.arange(len(epochs) - 1)),
        schema.EPOCH_FROM: (schema.STEP, epochs[:-1]),
        schema.EPOCH_TO: (schema.STEP, epochs[1:]),
    }


def _embed(
    network: xr.Dataset, mask: Float32, embedders: Mapping[str, Embedder], epoch: int, at: slice
) -> Vectors:
    """The vectors of all repeats of one layer at one epoch, masked and unmasked, in every space."""
    stored = network[schema.IMAGE].isel(epoch=epoch, unit=at).transpose(schema.REPEAT, schema.UNIT, ...)
    images = stored.values.astype(np.float32) / np.float32(255)
    repeats, units, *shape = images.shape
    vectors: Vectors = {}
    for masking, shown in zip(schema.MASKINGS, (images * mask[:, :, None], images), strict=True):
        for name, embed in embedders.items():
            rows = embed(shown.reshape(repeats * units, *shape))
            if not np.isfinite(rows).all():
                raise StudyError(
                    f"embedder {name!r}, epoch {int(network[schema.EPOCH][epoch])}, "
                    f"{network[schema.LAYER].values[at][0]}, {masking}",
                    expected="finite vectors",
                    found="a value that is not",
                    remedy="look at the network's weights, or leave this embedder out of distances.embedders",
                )
            vectors[name, masking] = rows.reshape(repeats, units, -1)
    return vectors


def _mask(masks: xr.Dataset, prototypes: xr.Dataset, layer: str, epoch: int) -> Float32:
    """The mask (H, W) of one layer at one of the prototypes' epochs."""
    address = {
        schema.CONDITION: str(prototypes[schema.CONDITION].values[0]),
        schema.RUN: int(prototypes[schema.RUN].values[0]),
        schema.EPOCH: int(prototypes[schema.EPOCH].values[epoch]),
        schema.LAYER: layer,
    }
    where = f"mask of {address['condition']} run {address['run']} epoch {address['epoch']} {layer}"
    wanted = (prototypes.sizes[schema.Y], prototypes.sizes[schema.X])
    try:
        mask: Float32 = masks[schema.MASK].sel(address).transpose(schema.Y, schema.X).values
        found = f"{mask.shape[0]} x {mask.shape[1]}"
    except KeyError:
        mask, found = np.empty((0, 0), np.float32), "none"
    if mask.shape != wanted or not np.isfinite(mask).all():
        raise StudyError(
            where,
            expected=f"a mask of {wanted[0]} x {wanted[1]} px like the prototypes, finite everywhere",
            found=found if mask.shape != wanted else "values that are not finite",
            remedy="run the stage `receptive_fields` of this condition and run again",
        )
    return mask


def _require_complete(prototypes: xr.Dataset, status: NDArray[np.uint8]) -> None:
    """A gap is no dead unit: measures over what happens to be there would be wrong in silence."""
    gaps = np.argwhere(status == schema.Status.MISSING)
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
