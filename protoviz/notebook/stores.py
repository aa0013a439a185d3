"""Cubes and what was found about them, in memory: split them into networks, join them, save them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from protoviz.errors import StudyError, said
from protoviz.store import kinds, schema, zarr_io
from protoviz.store.attributes import encoded, read

Key = tuple[str, int]  # condition, run

_DIGESTS = "checkpoint_sha256"


def save(dataset: xr.Dataset, path: str | Path) -> None:
    """Write prototypes, receptive fields, distances, ... as a Zarr store that is complete and can be checked.

        >>> protoviz.save(cube, "cube.zarr")
        >>> xarray.open_zarr("cube.zarr", chunks=None).set_xindex(["layer", "channel"]).sizes["epoch"]
        3

    It holds what `dataset.reset_index("unit").to_zarr(path, write_empty_chunks=True)` writes, and a manifest
    of its files.

    Args:
        dataset: what a function of protoviz has returned, or a part of it.
        path: the folder of the store, such as "cube.zarr"; a store that is there is replaced.

    Raises:
        StudyError: the data set does not follow the schema that its title names, there is something else at
            the path, or the disk is full.
    """
    path = Path(path)
    if path.exists() and not (path / "zarr.json").is_file():
        raise StudyError(
            str(path), expected="a store or nothing", found="something else", remedy="choose another path"
        )
    store = {store.title: store for store in kinds.STORES}.get(str(dataset.attrs.get("title")))
    zarr_io.write_dataset(path, plain(dataset), store)


def plain(dataset: xr.Dataset) -> xr.Dataset:
    """A data set whose units have their layer and channel as coordinates, without an index of both."""
    return dataset.reset_index(schema.UNIT) if schema.UNIT in dataset.indexes else dataset


def require_cube(cube: xr.Dataset) -> xr.Dataset:
    """A cube without the index of its units.

    Raises:
        StudyError: it lacks a variable, a dimension or a coordinate that the schema has.
    """
    if not isinstance(cube, xr.Dataset):
        raise _unlike("an xarray.Dataset", type(cube).__name__)
    for variable in (schema.CUBE[name] for name in (schema.IMAGE, schema.STATUS)):
        if variable.name not in cube:
            raise _unlike(f"a variable {variable.name}", f"{', '.join(map(str, cube.data_vars)) or 'none'}")
        if lost := [dim for dim in variable.dims if dim not in cube[variable.name].dims]:
            raise _unlike(
                f"{variable.name} along {', '.join(variable.dims)}",
                f"no {', '.join(lost)}",
                f"select with lists, as in cube.sel({lost[0]}=[...]), which keeps the dimension",
            )
    for axis in schema.CUBE.coordinates:
        if axis.name not in cube.coords and axis.name != schema.CHECKPOINT:
            raise _unlike(f"a coordinate {axis.name}", "none")
    found = plain(cube)
    if not schema.in_order(found[schema.LAYER].values, found[schema.CHANNEL].values):
        found = found.isel(unit=order(found))
    return found.transpose(*schema.CUBE[schema.IMAGE].dims, ...)


def order(cube: xr.Dataset) -> list[int]:
    """The places of the units, sorted by layer, as layers first occur, then by channel."""
    layers = cube[schema.LAYER].values.tolist()
    first = {name: place for place, name in reversed(list(enumerate(layers)))}
    channels = cube[schema.CHANNEL].values.tolist()
    return sorted(range(len(layers)), key=lambda unit: (first[layers[unit]], channels[unit]))


def networks(cube: xr.Dataset) -> Iterator[tuple[Key, xr.Dataset]]:
    """Condition and run of each network of a cube, or of another store, and the part that belongs to it."""
    for i, condition in enumerate(cube[schema.CONDITION].values.tolist()):
        for j, run in enumerate(cube[schema.RUN].values.tolist()):
            yield (condition, run), cube.isel(condition=[i], run=[j])


def of_network(store: xr.Dataset | None, key: Key, what: str) -> xr.Dataset | None:
    """The part of a store that belongs to one network.

    Raises:
        StudyError: the store has no such network.
    """
    if store is None:
        return None
    try:
        return plain(store).sel(condition=[key[0]], run=[key[1]])
    except KeyError:
        have = ", ".join(f"{condition} run {run}" for (condition, run), _ in networks(store))
        raise StudyError(
            what, expected=f"those of {key[0]} run {key[1]}", found=have, remedy="make them of the same cube"
        ) from None


def join(*parts: xr.Dataset) -> xr.Dataset:
    """Join the cubes of several networks into one; or their receptive fields, or their distances.

        >>> protoviz.join(cube, other).run.values.tolist()
        [0, 1]

    Args:
        parts: of the same epochs, units and repeats; each condition with the same runs.

    Raises:
        StudyError: they differ in more than condition and run, or a network occurs twice or is missing.
    """
    made: dict[Key, xr.Dataset] = {}
    for part in parts:
        for key, network in networks(part):
            if key in made:
                raise _apart("each network once", f"{key[0]} run {key[1]} twice")
            made[key] = network
    conditions, runs = (
        (list(dict.fromkeys(labels)) for labels in zip(*made, strict=True)) if made else ([], [])
    )
    for key in ((condition, run) for condition in conditions for run in runs):
        if key not in made:
            raise _apart("every condition with every run", f"no {key[0]} run {key[1]}")
    if not made:
        raise _apart("at least one", "none")
    found = _joined([[made[condition, run] for run in runs] for condition in conditions])
    digests: dict[str, object] = {}
    for part in parts:
        digests |= read(part).get(_DIGESTS, {})
    return texts_as_read(found.assign_attrs(encoded({_DIGESTS: digests}, "data sets") if digests else {}))


def each(cube: xr.Dataset, make: Callable[[Key, xr.Dataset], xr.Dataset]) -> xr.Dataset:
    """Apply a function to each network of a cube, and join the results."""
    return join(*(make(key, part) for key, part in networks(cube)))


def _joined(rows: list[list[xr.Dataset]]) -> xr.Dataset:
    """Join data sets given as a row for each condition, with an entry for each run."""
    indexed = any(schema.UNIT in part.indexes for row in rows for part in row)
    try:
        found: xr.Dataset = xr.combine_nested(
            [[plain(part) for part in row] for row in rows],
            [schema.CONDITION, schema.RUN],
            join="exact",
            data_vars="minimal",
            coords="minimal",
            compat="equals",
            combine_attrs="override",
        )
    except ValueError as error:
        raise _apart("the same epochs, repeats, units and sizes", said(error)) from error
    return found.set_xindex([schema.LAYER, schema.CHANNEL]) if indexed else found


def _apart(expected: str, found: str) -> StudyError:
    return StudyError("data sets to join", expected=expected, found=found, remedy="make them alike")


def titled(dataset: xr.Dataset, store: schema.Store, attributes: Mapping[str, object]) -> xr.Dataset:
    """A data set whose attributes say what it is, as those of its store on disk do."""
    described: xr.Dataset = zarr_io.described(dataset, store, store.title)
    return texts_as_read(described.assign_attrs(encoded(attributes, store.title)))


def texts_as_read(dataset: xr.Dataset) -> xr.Dataset:
    """A data set whose text xarray writes as it has read it; see protoviz/store/zarr_io.py."""
    for name, coordinate in dataset.coords.items():
        if coordinate.dtype == schema.TEXT and name != schema.UNIT:
            dataset[name].encoding |= schema.TEXT_ENCODING
    return dataset


def layers_of(cube: xr.Dataset) -> dict[str, slice]:
    """Layer -> where its units lie."""
    return schema.layer_slices(np.asarray(cube[schema.LAYER].values))


def labels(store: xr.Dataset | xr.DataArray, name: str) -> Sequence[str | int]:
    """The labels of a dimension as plain Python values."""
    found: list[str | int] = store[name].values.tolist()
    return found


def _unlike(
    expected: str, found: str, remedy: str = "give one that protoviz has made, or a part of it"
) -> StudyError:
    return StudyError("cube", expected=expected, found=found, remedy=remedy)
