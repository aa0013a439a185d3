"""The cube of all conditions and runs, made from the stores of single networks at no storage cost.

Along condition and run a shard has extent one, so the shards of the whole are the very files of the
parts: the metadata are written anew and the files are linked.
"""

import itertools
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import xarray as xr

from protoviz import files, layout
from protoviz.errors import StudyError
from protoviz.store import attributes as stored
from protoviz.store import cube, manifest, schema

_REMAKE = "run `synthesize` of all networks with the same parameters"


def link_cube(target: str | Path, parts: Iterable[str | Path]) -> None:
    """Publish the cubes of single (condition, run) as one cube over all conditions and runs.

    Conditions and runs come in the order in which the parts name them first. Attributes that agree are
    kept once; see `merge`. Files are hard-linked where the file system allows it, else copied. Checksums are
    not compared, which is left to `protoviz verify`: the manifest of the whole repeats those of the parts.

    Args:
        target: the folder of the whole; what stood there is replaced, once the new one is complete.
        parts: the folders of the cubes, one for every combination of condition and run.

    Raises:
        StudyError: a part is missing or incomplete, two hold the same network, a combination has no
            part, or parts differ in anything but condition and run.
    """
    items: dict[tuple[str, int], Path] = {}
    attributes: dict[str, dict[str, Any]] = {}
    template: cube.Template | None = None
    for path in map(Path, parts):
        cube.validate(path)
        with cube.open_cube(path) as part:
            extent = read_template(part)
            item = _single(extent, path)
            if item in items:
                found = f"{items[item]} and {path}"
                raise StudyError(layout.item(*item), expected="one store", found=found, remedy="remove one")
            items[item], attributes[layout.item(*item)] = path, stored.read(part)
        template = template or extent
        _require_same(template, extent, path)
    if template is None:
        raise StudyError(str(target), expected="at least one store to link", found="none", remedy="name one")
    conditions = tuple(dict.fromkeys(condition for condition, _ in items))
    runs = tuple(dict.fromkeys(run for _, run in items))
    whole = cube.Template(**{**vars(template), "conditions": conditions, "runs": runs})
    known: dict[str, str] = {}
    with files.complete(target) as partial:
        cube.create(partial, whole, merge(attributes))
        for (i, condition), (j, run) in itertools.product(enumerate(conditions), enumerate(runs)):
            if (condition, run) not in items:
                expected = "a store for every condition and run"
                raise StudyError(layout.item(condition, run), expected=expected, found="none", remedy=_REMAKE)
            for variable in whole.variables:
                shards = items[condition, run] / variable.name / "c" / "0" / "0"
                _link_tree(shards, partial / variable.name / "c" / str(i) / str(j))
            known |= _digests(items[condition, run], i, j)
        cube.finish(partial, known)


def read_template(part: xr.Dataset) -> cube.Template:
    """The extent of a cube that exists."""
    height, width = part.sizes[schema.Y], part.sizes[schema.X]
    return cube.Template(
        conditions=tuple(part[schema.CONDITION].to_numpy().tolist()),
        runs=tuple(part[schema.RUN].to_numpy().tolist()),
        repeats=tuple(part[schema.REPEAT].to_numpy().tolist()),
        epochs=tuple(part[schema.EPOCH].to_numpy().tolist()),
        layers=_units(part),
        size=height if height == width else (height, width),
        components=part.sizes.get(schema.COMPONENT, 0),
        trace=part.sizes[schema.STEP],
        checkpoints=_checkpoints(part),
        channels=part.sizes[schema.RGB],
        transparency=schema.TRANSPARENCY in part,
    )


def _units(part: xr.Dataset) -> dict[str, int | tuple[int, ...]]:
    """Layer -> the number of its channels if the cube has all of them, else those that it has."""
    channels = part[schema.CHANNEL].to_numpy()
    slices = schema.layer_slices(part[schema.LAYER].to_numpy())
    chosen = {layer: tuple(channels[units].tolist()) for layer, units in slices.items()}
    return {layer: len(some) if some == tuple(range(len(some))) else some for layer, some in chosen.items()}


def _checkpoints(part: xr.Dataset) -> tuple[str, ...] | None:
    """The names of the epochs, where they are not those of a training from scratch."""
    names = tuple(part[schema.CHECKPOINT].to_numpy().tolist())
    usual = tuple(schema.checkpoint_name(epoch) for epoch in part[schema.EPOCH].to_numpy().tolist())
    return None if names == usual else names


def merge(attributes: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The attributes of the whole from those of the items ("clrjit-1" -> attributes).

    For every name: values that agree are kept once; mappings without contradictions are united; anything else
    becomes a mapping from the item to its value.
    """
    merged: dict[str, Any] = {}
    for name in dict.fromkeys(name for said in attributes.values() for name in said):
        values = {item: said[name] for item, said in attributes.items() if name in said}
        agreed = _united(list(values.values()))
        merged[name] = agreed[0] if agreed else values
    return merged


def _united(values: list[Any]) -> list[Any]:
    """A list of the one value that unites all of them; empty where two contradict each other."""
    if all(value == values[0] for value in values):
        return values[:1]
    if not all(isinstance(value, Mapping) for value in values):
        return []
    union: dict[str, Any] = {}
    for key in dict.fromkeys(key for value in values for key in value):
        agreed = _united([value[key] for value in values if key in value])
        if not agreed:
            return []
        union[key] = agreed[0]
    return [union]


def _digests(part: Path, i: int, j: int) -> dict[str, str]:
    """Shards of the whole -> their MD5 in the manifest of a part; none where it has no manifest."""
    try:
        said = manifest.read(part)
    except (OSError, ValueError):
        return {}
    starts = {f"{variable.name}/c/0/0/": f"{variable.name}/c/{i}/{j}/" for variable in schema.CUBE.variables}
    return {
        there + file.removeprefix(here): digest
        for file, digest in said.items()
        for here, there in starts.items()
        if file.startswith(here)
    }


def _single(extent: cube.Template, path: Path) -> tuple[str, int]:
    if len(extent.conditions) != 1 or len(extent.runs) != 1:
        raise StudyError(
            str(path),
            expected="one condition and one run",
            found=f"{len(extent.conditions)} and {len(extent.runs)}",
            remedy="link the stores that `synthesize` wrote",
        )
    return extent.conditions[0], extent.runs[0]


def _require_same(first: cube.Template, other: cube.Template, path: Path) -> None:
    for name in ("repeats", "epochs", "layers", "size", "channels", "components", "trace", "transparency"):
        expected, found = getattr(first, name), getattr(other, name)
        if expected != found or (name == "layers" and list(expected) != list(found)):
            raise StudyError(f"{path}: {name}", expected=str(expected), found=str(found), remedy=_REMAKE)


def _link_tree(source: Path, target: Path) -> None:
    for folder, _, names in os.walk(source):
        there = target / Path(folder).relative_to(source)
        there.mkdir(parents=True, exist_ok=True)
        for name in names:
            try:
                # DVC may have replaced the file by a link into its cache: link what it points to.
                os.link(Path(folder, name).resolve(), there / name)
            except OSError:  # another file system, or one without hard links
                shutil.copyfile(Path(folder, name), there / name)
