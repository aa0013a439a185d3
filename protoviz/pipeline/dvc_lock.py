"""dvc.lock: what every stage made, from what and with which parameters; read without DVC, changed with it."""

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from protoviz import files
from protoviz.errors import StudyError

LOCK_FILE = "dvc.lock"


@dataclass(frozen=True)
class Output:
    """A file or folder that a stage made.

    Attributes:
        path: relative to the top of the repository.
        digest: its MD5, as in DVC.
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
        StudyError: they are not those of a dvc.lock.
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


def sort() -> None:
    """Bring the entries into the order of dvc.yaml, so that their order does not depend on timing."""
    from dvc.repo import Repo

    with Repo() as repo:
        place = {stage.addressing: at for at, stage in enumerate(repo.index.stages)}
    _rewrite(lambda entries: dict(sorted(entries.items(), key=lambda one: place.get(one[0], len(place)))))


def keep(stages: Collection[str]) -> None:
    """Drop the entries of all other stages."""
    _rewrite(lambda entries: {name: entry for name, entry in entries.items() if name in stages})


def change_quickly() -> None:
    """Let DVC, in this process, change the file without looking for comments, in half the time: it has none.

    This replaces a part of DVC that is not public; where a new version has another, nothing changes.
    """
    from dvc import dvcfile
    from dvc.utils.serialize import dump_yaml, load_yaml

    ordinary = getattr(dvcfile, "modify_yaml", None)
    if ordinary is None:
        return

    @contextlib.contextmanager
    def modify(path: str, fs: Any = None) -> Iterator[Any]:
        if Path(path).name == LOCK_FILE and Path(path).is_file():
            content = load_yaml(path, fs=fs)
            yield content
            dump_yaml(path, content, fs=fs)
        else:
            with ordinary(path, fs=fs) as content:
                yield content

    dvcfile.modify_yaml = modify


def _rewrite(changed: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Rewrite the file with its entries changed, in DVC's own form, while holding DVC's lock."""
    from dvc.repo import Repo
    from dvc.utils.serialize import dump_yaml, load_yaml

    with Repo() as repo, repo.lock:
        lock = load_yaml(LOCK_FILE)
        entries = changed(lock["stages"])
        if list(entries) != list(lock["stages"]):
            with files.complete(LOCK_FILE) as partial:
                dump_yaml(str(partial), {**lock, "stages": entries})
