"""dvc.lock: what every stage made, of what and with which parameters; read without DVC.

DVC names an object after the MD5 of its bytes. A folder is an object, too: the list of its files, whose
name ends in ".dir".
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pathspec import GitIgnoreSpec
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from protoviz.errors import StudyError

LOCK_FILE, IGNORE_FILE = "dvc.lock", ".dvcignore"
FOLDER = ".dir"


@dataclass(frozen=True)
class Output:
    """A file or folder that a stage made.

    Attributes:
        path: relative to the top of the repository.
        digest: its MD5 as DVC gives it.
        stage: such as "synthesize@clrjit-1".
    """

    path: str
    digest: str
    stage: str


@dataclass(frozen=True)
class DvcLock:
    """The contents of a dvc.lock."""

    stages: Mapping[str, Mapping[str, Any]]

    @property
    def outputs(self) -> dict[str, Output]:
        """Path -> output, of all stages."""
        outs = [
            Output(out["path"], out["md5"], name)
            for name, stage in self.stages.items()
            for out in stage.get("outs", [])
            if "md5" in out
        ]
        return {out.path: out for out in outs}

    def parameters(self, stage: str) -> dict[str, Any]:
        """The parameters that a stage ran with, {"train.keep": [0, 1], ...}."""
        return {
            name: value
            for of_file in self.stages.get(stage, {}).get("params", {}).values()
            for name, value in of_file.items()
        }


def parse(content: bytes | None, where: str) -> DvcLock:
    """Read the contents of a dvc.lock; None stands for a file that is not there.

    Raises:
        StudyError: it is something else.
    """
    try:
        lock = YAML(typ="safe").load((content or b"").decode())
        lock_file = DvcLock(lock["stages"])
        lock_file.outputs  # noqa: B018 - that they can be read
        return lock_file
    except (YAMLError, UnicodeDecodeError, KeyError, TypeError, AttributeError) as error:
        raise StudyError(
            where,
            expected="the dvc.lock of a repository of protoviz",
            found="nothing" if content is None else "something else",
            remedy="name the top of the repository, as a path or as the address of its files",
        ) from error


def read(top: str | Path = ".") -> DvcLock:
    """The dvc.lock of a repository on this machine.

    Raises:
        StudyError: there is none.
    """
    path = Path(top) / LOCK_FILE
    return parse(path.read_bytes() if path.is_file() else None, str(path))


def object_path(root: str, digest: str) -> str:
    """Where an object lies in a remote or in the cache: in a folder named after the first two digits."""
    return f"{root}/files/md5/{digest[:2]}/{digest[2:]}"


def md5(content: bytes) -> str:
    """The name of an object that is a file."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def md5_of(path: Path) -> str:
    """The same, of a file of any size."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def file_digests(path: Path) -> dict[str, str]:
    """Path within a folder -> MD5, of all its files that DVC looks at; "" for a path that is a file itself.

    Args:
        path: relative to the top of a repository, whose .dvcignore counts, or absolute.
    """
    if path.is_file():
        return {"": md5_of(path)}
    rules = Path(IGNORE_FILE)
    ignored = GitIgnoreSpec.from_lines(rules.read_text().splitlines() if rules.is_file() else [])
    return {
        file.relative_to(path).as_posix(): md5_of(file)
        for file in sorted(path.rglob("*"))
        if file.is_file() and (file.is_absolute() or not ignored.match_file(file))
    }


def digest(files: Mapping[str, str]) -> str:
    """The name under which DVC knows a folder with these files, or a file."""
    if list(files) == [""]:
        return files[""]
    listing = [{"md5": files[name], "relpath": name} for name in sorted(files)]
    return md5(json.dumps(listing, sort_keys=True).encode()) + FOLDER


def listing(content: bytes) -> dict[str, str]:
    """Path -> MD5 of the files of a folder, from the object that lists them."""
    return {entry["relpath"]: entry["md5"] for entry in json.loads(content)}
