"""What the result of a stage depends on: what DVC records of it, and the environment.

Read from dvc.yaml and params.yaml directly: importing DVC and asking it takes every process two seconds.
A test holds the outcome against what DVC itself writes to dvc.lock.
"""

import hashlib
import itertools
import json
import platform
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from protoviz import files, layout

PLACEHOLDER = re.compile(r"\$\{([^}]+)\}")  # of dvc.yaml: ${item.condition}, ${runs}


@dataclass(frozen=True)
class Stage:
    """A stage of dvc.yaml, with the item of its matrix filled in.

    Attributes:
        address: its name, such as "train@clrjit-1".
        command: what it runs.
        dependencies: files and folders that it reads.
        parameters: dotted names in params.yaml.
    """

    address: str
    command: str
    dependencies: tuple[str, ...]
    parameters: tuple[str, ...]


def stage_of(out: str | Path) -> Stage | None:
    """The stage that writes an output, a path from the top of the repository; None if there is no such."""
    if not (layout.PIPELINE.is_file() and layout.PARAMS.is_file()):
        return None
    values = _read(layout.PARAMS)
    for name, entry in _read(layout.PIPELINE)["stages"].items():
        for item in _items(entry.get("matrix", {}), values):
            known = {**values, "item": item}
            outs = [*entry.get("outs", []), *entry.get("metrics", []), *entry.get("plots", [])]
            if Path(out).as_posix() in (_filled(path, known) for path in _names(outs)):
                address = "-".join(map(str, item.values()))
                named = [_filled(one, known) for one in _names(entry.get("params", []))]
                return Stage(
                    f"{name}@{address}" if address else name,
                    _filled(entry["cmd"], known),
                    tuple(_filled(path, known) for path in _names(entry.get("deps", []))),
                    tuple(named),
                )
    return None


def record(stage: Stage, algorithm: str) -> dict[str, Any]:
    """Command, digest of every dependency, value of every parameter; with "md5" what dvc.lock would hold.

    Raises:
        StudyError: a dependency is not there.
    """
    values = _read(layout.PARAMS)
    return {
        "cmd": stage.command,
        "deps": {path: digest(Path(path), algorithm) for path in stage.dependencies},
        "params": {name: _value(values, name) for name in stage.parameters},
    }


def recorded(stage: Stage) -> dict[str, Any] | None:
    """The same as it stands in dvc.lock, of the last run that DVC has recorded; None if there is none."""
    try:
        entry = _read(layout.RECORD)["stages"][stage.address]
    except (FileNotFoundError, KeyError):
        return None
    return {
        "cmd": entry["cmd"],
        "deps": {dependency["path"]: dependency.get("md5") for dependency in entry.get("deps", [])},
        "params": entry.get("params", {}).get(str(layout.PARAMS), {}),
    }


def fingerprint(stage: Stage, also: Mapping[str, Any]) -> str:
    """Sixteen hex digits that change with anything that the stage's result depends on.

    Args:
        stage: whose.
        also: what it depends on beyond dvc.yaml and the environment, JSON values.

    Raises:
        StudyError: a dependency is not there.
    """
    whole = {**record(stage, "sha256"), "environment": environment(), "also": dict(also)}
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:16]


def environment() -> dict[str, str]:
    """The lock file's digest, and the versions of Python and of every package that protoviz asks for."""
    found = {"python": platform.python_version(), "machine": platform.machine()}
    if layout.LOCK_FILE.is_file():
        found["lock file"] = files.sha256(layout.LOCK_FILE)
    for requirement in metadata.requires("protoviz") or [] if _installed("protoviz") else []:
        name = re.split(r"[^\w.-]", requirement, maxsplit=1)[0]
        found[name] = _installed(name)
    return found


def digest(path: Path, algorithm: str) -> str:
    """Hex digest of a file, or of a folder: of the list of its files and their digests, in DVC's form.

    Raises:
        StudyError: there is nothing.
    """
    if path.is_file():
        with open(path, "rb") as file:
            return hashlib.file_digest(file, algorithm).hexdigest()
    if not path.is_dir():
        raise files.missing(path)
    inside = {
        one.relative_to(path).as_posix(): one
        for one in path.rglob("*")
        if one.is_file() and one.suffix != ".partial"
    }
    listing = [{algorithm: digest(inside[name], algorithm), "relpath": name} for name in sorted(inside)]
    return hashlib.new(algorithm, json.dumps(listing, sort_keys=True).encode()).hexdigest() + ".dir"


def _read(path: Path) -> Any:
    return YAML(typ="safe").load(path)


def _items(matrix: Mapping[str, Any], values: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Every item of a matrix; an axis is a list, or the name of a list or of a mapping in params.yaml."""
    axes = []
    for axis in matrix.values():
        match = PLACEHOLDER.fullmatch(axis) if isinstance(axis, str) else None
        axes.append(list(_value(values, match[1]) if match else axis))
    for labels in itertools.product(*axes):
        yield dict(zip(matrix, labels, strict=True))


def _names(entries: list[Any]) -> list[str]:
    """Entries of dvc.yaml are names, or mappings from a name to its options."""
    return [entry if isinstance(entry, str) else next(iter(entry)) for entry in entries]


def _filled(text: str, values: Mapping[str, Any]) -> str:
    return PLACEHOLDER.sub(lambda match: str(_value(values, match[1])), text)


def _value(values: Mapping[str, Any], name: str) -> Any:
    found: Any = values
    for part in name.split("."):
        found = found[part]
    return found


def _installed(name: str) -> str:
    """The version of an installed package, empty if there is none."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
