"""Check outputs against dvc.lock: whether they are what the stages made, and how to restore them if not.

output_problems  what is wrong with one output, according to the validator of stores and to dvc.lock
recovery         the commands that restore it: from the cache, from the remote, or by making it anew
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import xarray as xr

from protoviz import digests, files, layout
from protoviz.pipeline import dvc_lock
from protoviz.pipeline.dvc_lock import DvcLock, Output
from protoviz.pipeline.dvc_storage import DvcStorage
from protoviz.store import attributes as stored
from protoviz.store import kinds, schema, validation
from protoviz.store.validation import Problem


def output_problems(output: Output, recorded: DvcLock, where: DvcStorage) -> list[Problem]:
    """What is wrong with an output; it is read whole and compared with dvc.lock, and nothing is changed."""
    path = Path(output.path)
    if not path.exists():
        return [Problem("the output", "is not there")]
    problems: list[Problem] = []
    if path.suffix == ".zarr":
        problems += validation.problems(path, kinds.kind_of(path))
        problems += _said(path, output, recorded)
    return problems + list(_changed(path, output, where, problems))


def recovery(output: Output, where: DvcStorage) -> str:
    """The commands that restore an output from where that costs least.

    Damaged files are removed first: DVC trusts a file whose size and time are unchanged, and files are
    often links into the cache, which is then damaged, too.
    """
    listed = where.listing(output)
    needed = {output.digest, *(listed or {}).values()}
    bad = sorted(digest for digest in needed if not where.holds(where.cache, digest))
    inside = [dvc_lock.object_path(str(where.cache), digest) for digest in bad]
    doomed = [path for path in inside if Path(path).exists()]
    remove = f"rm -rf {' '.join([output.path, *map(_near, doomed)])}"
    if listed and not bad:
        return f"{remove} && dvc checkout {output.path}"
    remote = where.remote
    if where.elsewhere or (listed and remote and all(where.holds(remote, digest) for digest in bad)):
        return f"{remove} && dvc pull {output.path}"
    return f"{remove} && dvc repro --force --single-item {output.stage}"


def _changed(path: Path, output: Output, where: DvcStorage, known: Iterable[Problem]) -> Iterator[Problem]:
    """Files that are not those that the stage made, unless a worse problem is known of them."""
    found = digests.of_files(path)
    if digests.of_listed(found) == output.digest:
        return
    listed = where.listing(output)
    if listed is None:
        yield Problem("the output", f"is not what {output.stage} made: dvc.lock has MD5 {output.digest}")
        return
    said = {problem.where for problem in known} | {problem.file for problem in known}
    for name in sorted(listed | found):
        if found.get(name) == listed.get(name):
            continue
        place = validation.place(path, name) if path.suffix == ".zarr" else f"file {name or path}"
        if not said & {place, name, f"file {name}"}:
            kind = "missing" if name not in found else "not of the stage" if name not in listed else "changed"
            yield Problem(place, f"{kind} since {output.stage} made it")


def _said(path: Path, output: Output, recorded: DvcLock) -> Iterator[Problem]:
    """Compare what a store says of itself with the parameters and outputs in dvc.lock."""
    try:
        with xr.open_zarr(path, chunks=None) as dataset:
            attributes = stored.read(dataset)
            labels = {name: dataset[name].to_numpy().tolist() for name in _AXES if name in dataset.coords}
    except Exception:  # `validation` has reported it
        return
    for name, expected in _expected(output, recorded).items():
        if name in labels and labels[name] != expected:
            yield Problem(f"coordinate {name}", f"{labels[name]}, where dvc.lock has {expected}")
    networks = [(c, r) for c in labels.get(schema.CONDITION, []) for r in labels.get(schema.RUN, [])]
    for condition, run in networks:
        item = layout.item(condition, run)
        yield from _recipe(attributes, item, recorded)
        yield from _checkpoints(attributes, condition, run)
    prior = attributes.get("prior")
    of_pipeline = path != layout.STAGES_CUBE and str(layout.PRIOR.parent) in recorded.outputs
    if isinstance(prior, Mapping) and of_pipeline and layout.PRIOR.is_file():
        actual = files.read_json(layout.PRIOR)
        if prior != actual:
            yield Problem("attribute prior", f"{prior}, where {layout.PRIOR} has {actual}")


_AXES = (schema.CONDITION, schema.RUN, schema.REPEAT, schema.EPOCH)


def _expected(output: Output, recorded: DvcLock) -> dict[str, list[Any]]:
    """Dimension -> labels, as far as dvc.lock gives them."""
    stage, _, item = output.stage.partition("@")
    used = recorded.parameters(output.stage)
    expected: dict[str, list[Any]] = {}
    if item:
        condition, _, run = item.rpartition("-")
        if run.isdigit():
            expected = {schema.CONDITION: [condition], schema.RUN: [int(run)]}
        else:
            expected = {schema.CONDITION: [item]}
    elif stage == layout.CUBE.stem:
        expected = {schema.CONDITION: list(used.get("conditions", {})), schema.RUN: used.get("runs", [])}
    if "train.keep" in used:
        expected[schema.EPOCH] = used["train.keep"]
    if "synthesis" in used:
        expected[schema.REPEAT] = list(range(used["synthesis"]["repeats"]))
    return {name: labels for name, labels in expected.items() if labels}


def _recipe(attributes: Mapping[str, Any], item: str, recorded: DvcLock) -> Iterator[Problem]:
    """Check that the recipe that a cube names is the one that `synthesize` ran with."""
    ran = recorded.parameters(f"synthesize@{item}").get("synthesis")
    if item.startswith(f"{layout.STAGES_CONDITION}-"):
        ran = recorded.parameters("synthesize_stages").get("training_stages.synthesis")
    said = attributes.get("synthesis")
    if ran is None or not isinstance(said, Mapping):
        return
    said = said.get(item, said)
    # Compared as they are: a recipe of an older version lacks what was added since.
    differing = [name for name in dict(ran) | dict(said) if ran.get(name) != said.get(name)]
    if differing:
        shown = ", ".join(f"{name} {json.dumps(said.get(name))}" for name in differing)
        yield Problem("attribute synthesis", f"{shown} for {item}, unlike dvc.lock")


def _checkpoints(attributes: Mapping[str, Any], condition: str, run: int) -> Iterator[Problem]:
    """Check that the checkpoints that a cube names are those that are here, if they are."""
    said = attributes.get("checkpoint_sha256", {}).get(layout.item(condition, run), {})
    for name, digest in said.items():  # an epoch's number, or the name of a stage of training
        file = layout.checkpoint(int(name)) if name.isdecimal() else layout.stage_checkpoint(name)
        path = layout.checkpoints(condition, run) / file
        if path.is_file() and files.sha256(path) != digest:
            where = f"condition {condition}, run {run}, epoch {name}"
            yield Problem(where, f"made from another checkpoint than {path}")


def _near(path: str) -> str:
    """A path as one would type it here."""
    try:
        return str(Path(path).relative_to(Path.cwd()))
    except ValueError:
        return path
