"""Maps of prototypes: UMAP of their images' vectors to two dimensions (Q7).

Three ways to look at a network that changes: one map that all epochs share, one map for each epoch, and
maps of each epoch that are aligned: the same unit is held near its place in the epochs before and after
(AlignedUMAP). UMAP: McInnes, Healy & Melville 2018. It is run on one thread and from a seed, so
that on one machine the same vectors give the same map to the bit.
"""

import functools
import itertools
import warnings
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from protoviz.analysis.embedders import Embedder
from protoviz.config.finetuning import Umap
from protoviz.errors import StudyError
from protoviz.store import schema, schema_projection

Vectors = NDArray[np.float32]
Places = NDArray[np.float32]

AXES = ("x", "y")
FEWEST = 4  # points that can be laid out in two dimensions
BLOCK = 256  # images embedded at once

_OUTER = (schema.CONDITION, schema.RUN, schema.REPEAT)  # with the unit, the identity of a point of an epoch


def vectors(cube: xr.Dataset, embed: Embedder) -> Vectors:
    """The vectors (condition, run, repeat, epoch, unit, D) of all prototypes; NaN unless it converged."""
    images = cube[schema.IMAGE]
    found: list[Vectors] = []
    for place in itertools.product(*(range(images.sizes[dim]) for dim in (*_OUTER, schema.EPOCH))):
        shown = images[place].to_numpy()
        parts = [
            embed(np.divide(shown[start : start + BLOCK], 255, dtype=np.float32))
            for start in range(0, len(shown), BLOCK)
        ]
        found.append(np.concatenate(parts))
    made = np.array(found).reshape(*images.shape[:5], -1)
    made[cube[schema.STATUS].to_numpy() != schema.Status.CONVERGED] = np.nan
    return made


def maps(cube: xr.Dataset, of: Vectors, settings: Umap, seeds: Sequence[int]) -> xr.Dataset:
    """All maps of a cube, with the schema `schema_projection.PROJECTION`.

    Args:
        cube: whose coordinates the places get.
        of: its `vectors`.
        settings: of UMAP.
        seeds: of the map that all epochs share, one map each; the first is also that of the other maps.

    Raises:
        StudyError: too few prototypes are alive.
    """
    shared = [together(of, settings, seed) for seed in seeds]
    return _store(cube, shared, *by_epoch(of, settings, seeds[0]), seeds)


def nowhere(cube: xr.Dataset, seeds: Sequence[int]) -> xr.Dataset:
    """What `maps` returns, with no place for any prototype: for a cube with too few for a map."""
    nothing = np.full((*cube[schema.STATUS].shape, len(AXES)), np.nan, np.float32)
    return _store(cube, [nothing] * len(seeds), nothing, nothing, seeds)


def enough(of: Vectors) -> bool:
    """Whether there are enough vectors for a map of all epochs."""
    return int(np.isfinite(of).all(-1).sum()) >= FEWEST


def _store(
    cube: xr.Dataset, shared: Sequence[Places], alone: Places, aligned: Places, seeds: Sequence[int]
) -> xr.Dataset:
    labels = {name: cube[name] for name in (*_OUTER, schema.EPOCH, schema.LAYER, schema.CHANNEL)}
    dims = schema_projection.PROJECTION[schema_projection.POSITION].dims
    return xr.Dataset(
        {
            schema_projection.POSITION: (dims, shared[0]),
            schema_projection.POSITION_SEEDS: (
                schema_projection.PROJECTION[schema_projection.POSITION_SEEDS].dims,
                np.stack(shared, -2),
            ),
            schema_projection.POSITION_ALONE: (dims, alone),
            schema_projection.POSITION_ALIGNED: (dims, aligned),
        },
        {
            **{name: (coordinate.dims, coordinate.to_numpy()) for name, coordinate in labels.items()},
            schema_projection.SEED: np.array(seeds, dtype=schema.INTEGER),
            schema_projection.AXIS: np.array(AXES, dtype=schema.TEXT),
        },
    )


def together(of: Vectors, settings: Umap, seed: int) -> Places:
    """One map of all epochs: (condition, run, repeat, epoch, unit, 2), NaN where there is no vector."""
    alive = np.isfinite(of).all(-1)
    places = np.full((*of.shape[:-1], len(AXES)), np.nan, np.float32)
    places[alive] = _fitted(of[alive], settings, seed)
    return places


def by_epoch(of: Vectors, settings: Umap, seed: int) -> tuple[Places, Places]:
    """A map of each epoch alone, and aligned maps; both as `together`. Of one epoch they are the same.

    An epoch with fewer points than a map needs has no places.
    """
    points = np.moveaxis(of, 3, 0).reshape(of.shape[3], -1, of.shape[-1])  # (epoch, identity, D)
    alive: NDArray[np.bool_] = np.asarray(np.isfinite(points).all(-1))
    mapped = np.flatnonzero(alive.sum(1) >= FEWEST)
    slices = [points[epoch, alive[epoch]] for epoch in mapped]
    if len(slices) > 1:
        own, held = _aligned(slices, relations(alive[mapped]), settings, seed)
    else:
        own = held = [_fitted(one, settings, seed) for one in slices]
    found = []
    for places in (own, held):
        whole = np.full((*points.shape[:2], len(AXES)), np.nan, np.float32)
        for epoch, of_epoch in zip(mapped, places, strict=True):
            whole[epoch, alive[epoch]] = of_epoch
        found.append(np.moveaxis(whole.reshape(of.shape[3], *of.shape[:3], of.shape[4], len(AXES)), 0, 3))
    return found[0], found[1]


def relations(alive: NDArray[np.bool_]) -> list[dict[int, int]]:
    """For each pair of neighbouring epochs: row of a point in the first -> its row in the second.

    Args:
        alive: (epochs, identities), whether there is a point; the rows of an epoch are those that there are.
    """
    rows = np.cumsum(alive, axis=1) - 1
    return [
        {int(rows[k, i]): int(rows[k + 1, i]) for i in np.flatnonzero(alive[k] & alive[k + 1])}
        for k in range(len(alive) - 1)
    ]


def _settings(settings: Umap, points: int) -> dict[str, Any]:
    if points < FEWEST:
        raise StudyError(
            "projection",
            expected=f"at least {FEWEST} prototypes that converged",
            found=str(points),
            remedy="make more, or look at their `status` in the cube",
        )
    return {
        "n_neighbors": min(settings.neighbours, points - 1),
        "min_dist": settings.min_dist,
        "n_epochs": settings.epochs,
    }


def _fitted(points: Vectors, settings: Umap, seed: int) -> Places:
    umap = _library()
    mapper = umap.UMAP(**_settings(settings, len(points)), random_state=seed, n_jobs=1, init=_init(points))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on graphs in parts, which are laid out part by part
        return np.asarray(mapper.fit_transform(points), np.float32)


def _aligned(
    slices: Sequence[Vectors], related: Sequence[Mapping[int, int]], settings: Umap, seed: int
) -> tuple[list[Places], list[Places]]:
    """The map of each slice alone, and aligned."""
    umap = _library()
    mapper = umap.AlignedUMAP(
        **_settings(settings, min(map(len, slices))),
        alignment_regularisation=settings.alignment,
        random_state=seed,
        transform_seed=seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mapper.fit(list(slices), relations=list(related))
    own = [np.asarray(part.embedding_, np.float32) for part in mapper.mappers_]
    return own, [np.asarray(places, np.float32) for places in mapper.embeddings_]


def _init(points: Vectors) -> str:
    """Spectral, where there are enough points for one eigenvector more than dimensions."""
    return "spectral" if len(points) > 2 * len(AXES) else "random"


def _library() -> ModuleType:
    """UMAP, on one thread, with its compiled code kept on disk: else every process would compile it anew."""
    import numba

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on TensorFlow, which is not needed
        import umap
        from umap import aligned_umap, layouts, umap_, utils

    # With several threads the aligned maps differ from run to run. When numba starts its own, it also sets
    # the number of torch's threads to that of the cores; the block restores it at its end.
    with threadpool_limits():
        numba.set_num_threads(1)
    for module in (aligned_umap, layouts, umap_, utils):
        for function in vars(module).values():
            own = getattr(getattr(function, "py_func", None), "__module__", None) == module.__name__
            if own and hasattr(function, "enable_caching"):
                function.enable_caching()
    layouts.numba = _keeping(numba)
    return umap


@functools.cache
def _keeping(numba: ModuleType) -> ModuleType:
    """A compiler for `umap.layouts`, which calls it for each map: it compiles once and keeps the result."""
    keeping = ModuleType(numba.__name__)
    vars(keeping).update(vars(numba))
    vars(keeping)["njit"] = functools.cache(functools.partial(numba.njit, cache=True))
    return keeping
