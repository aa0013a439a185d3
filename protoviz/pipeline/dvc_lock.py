"""dvc.lock: what every stage made, of what and with which parameters; read without DVC."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from protoviz.errors import StudyError

LOCK_FILE = "dvc.lock"


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
