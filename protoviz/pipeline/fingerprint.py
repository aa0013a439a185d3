"""What the result of a stage depends on: what DVC records about it, and the environment.

The dependencies are read from dvc.yaml directly: importing DVC and asking it takes every process two seconds.
A test compares the outcome with what DVC itself writes to dvc.lock.
"""

import hashlib
import json
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from protoviz import digests, files, layout
from protoviz.pipeline import dvc_lock

PLACEHOLDER = re.compile(r"\$\{([^}]+)\}")  # of dvc.yaml: ${item.condition}, ${training_stages.network.seed}


@dataclass(frozen=True)
class Stage:
    """A stage of dvc.yaml, with the item of its matrix filled in.

    Attributes:
        address: its name, such as "train@clrjit-1".
        command: what it runs.
        dependencies: files and folders that it reads.
        parameters: dotted names in params.yaml, and their values.
    """

    address: str
    command: str
    dependencies: tuple[str, ...]
    parameters: Mapping[str, Any]


def find(name: str, item: Mapping[str, Any], values: Mapping[str, Any]) -> Stage | None:
    """A stage of the dvc.yaml in the current folder; None if there is none of this name.

    Args:
        name: such as "train".
        item: of its matrix, axis -> value.
        values: the contents of params.yaml.
    """
    if not layout.PIPELINE.is_file():
        return None
    entry = YAML(typ="safe").load(layout.PIPELINE)["stages"].get(name)
    if entry is None:
        return None
    known = {**values, "item": item}
    labels = "-".join(map(str, item.values()))
    named = [_filled(one, known) for one in entry.get("params", [])]
    return Stage(
        f"{name}@{labels}" if labels else name,
        _filled(entry["cmd"], known),
        tuple(_filled(path, known) for path in entry.get("deps", [])),
        {one: _value_or_none(values, one) for one in named},
    )


def record(stage: Stage) -> dict[str, Any]:
    """Command, digest of every dependency and value of every parameter: what dvc.lock would hold.

    Raises:
        StudyError: a dependency is missing.
    """
    try:
        found = {path: digests.of(path) for path in stage.dependencies}
    except FileNotFoundError as error:
        raise files.missing(str(error)) from error
    return {"cmd": stage.command, "deps": found, "params": dict(stage.parameters)}


def recorded(stage: Stage) -> dict[str, Any] | None:
    """The same from dvc.lock, for the last run that DVC has recorded; None if there is none."""
    if not Path(dvc_lock.LOCK_FILE).is_file():
        return None
    entry = dvc_lock.read().stages.get(stage.address)
    if entry is None:
        return None
    return {
        "cmd": entry["cmd"],
        "deps": {dependency["path"]: dependency.get("md5") for dependency in entry.get("deps", [])},
        "params": entry.get("params", {}).get(str(layout.PARAMS), {}),
    }


def fingerprint(depends: Mapping[str, Any], also: Mapping[str, Any]) -> str:
    """Sixteen hex digits that change with anything that the stage's result depends on.

    Args:
        depends: what `record` returns for the stage.
        also: what it depends on beyond dvc.yaml and the environment, JSON values.
    """
    whole = {**depends, "environment": environment(), "also": dict(also)}
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:16]


def environment() -> dict[str, str]:
    """The lock file's digest, the versions of Python, of protoviz and of every package that it asks for."""
    found = {"python": platform.python_version(), "machine": platform.machine()}
    found["protoviz"] = _installed("protoviz")  # in a study whose stages do not depend on its files
    if layout.LOCK_FILE.is_file():
        found["lock file"] = files.sha256(layout.LOCK_FILE)
    for requirement in metadata.requires("protoviz") or [] if _installed("protoviz") else []:
        name = re.split(r"[^\w.-]", requirement, maxsplit=1)[0]
        found[name] = _installed(name)
    return found


def _filled(text: str, values: Mapping[str, Any]) -> str:
    return PLACEHOLDER.sub(lambda match: str(_value(values, match[1])), text)


def _value(values: Mapping[str, Any], name: str) -> Any:
    found: Any = values
    for part in name.split("."):
        found = found[part]
    return found


def _value_or_none(values: Mapping[str, Any], name: str) -> Any:
    """The value of a parameter; None if params.yaml leaves it to its default."""
    try:
        return _value(values, name)
    except (KeyError, TypeError):
        return None


def _installed(name: str) -> str:
    """The version of an installed package, empty if there is none."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
