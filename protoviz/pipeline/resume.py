"""Keep finished pieces of a long stage when it is interrupted, unless what it depends on has changed.

    with resume.running(stage):                    # `run_stage` does it for every stage
        with resume.pieces(out) as folder:
            ...                                    # make what is not in `folder` yet, with files.complete
            resume.publish(folder / "store", out)  # when all is there

The pieces of a stage lie in `.scratch/<stage>/<fingerprint>/`. If the command, a dependency, a parameter or
the environment changes, the fingerprint changes, and the pieces of the old one are removed. A lock keeps a
second process out, such as one that DVC starts while the first still runs without it.
"""

import contextlib
import fcntl
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from protoviz import files, layout
from protoviz.errors import StudyError
from protoviz.pipeline import fingerprint
from protoviz.pipeline.fingerprint import Stage

PLACE = "PROTOVIZ_SCRATCH"  # environment variable: another folder, on the same file system as the outputs
LEASH = "PROTOVIZ_LEASH"  # environment variable of a stage that a worker of a cluster has started
SECONDS_TO_END = 30.0  # for such a stage, once its worker is lost
UNFINISHED = "*.partial"  # what files.complete and Zarr call a file until it is whole

_current: Stage | None = None  # the stage that this process runs


@contextlib.contextmanager
def running(stage: Stage | None) -> Iterator[None]:
    """Within the block, `pieces` are those of this stage; None: they belong to no stage that DVC knows."""
    global _current
    before, _current = _current, stage
    try:
        yield
    finally:
        _current = before


@contextlib.contextmanager
def pieces(out: str | Path, also: Mapping[str, Any] = MappingProxyType({})) -> Iterator[Path]:
    """The folder of this stage's finished pieces, for this process alone.

    It holds what an interrupted run of the same stage has finished, and nothing unfinished. It is kept
    after the block, too, until DVC has recorded the stage (`forget`) or something has changed, so that a
    run that is killed while DVC takes over its output repeats nothing. Outside of a stage (`running`)
    it is not known what the pieces depend on, so they are kept only during the block.

    Args:
        out: the output that is made of the pieces, for messages.
        also: what the result depends on beyond dvc.yaml, such as the device, as JSON values.

    Yields:
        An absolute path.

    Raises:
        StudyError: another process is at work on this stage; a dependency is missing; or the disk is full,
            even if that happens within the block.
    """
    stage = _current
    with files.room(out):
        if stage is None:
            with _temporary(Path(out)) as folder:
                yield folder
            return
        base = _base(stage.address)
        with _alone(base, stage.address):
            depends = fingerprint.record(stage)
            folder = base / fingerprint.fingerprint(depends, also)
            used = folder.with_suffix(".used")
            for other in base.iterdir():
                if other.name != "lock" and other.stem != folder.name:
                    _discard(other)
            if used.exists() and depends == fingerprint.recorded(stage):
                _discard(folder)  # DVC has their result; running the stage again means computing it again
            files.revoke(used)
            files.make_folder(folder)
            for junk in folder.rglob(UNFINISHED):
                _discard(junk)
            yield folder
            files.claim(used)


def publish(source: Path, out: str | Path) -> None:
    """Turn a finished piece, a file or a folder, into an output, at once, by hard links.

    The piece stays where it is; from then on it may be replaced but must never be written into.

    Raises:
        StudyError: the disk is full or not writable.
    """
    with files.complete(out) as partial:
        if source.is_dir():
            ignored = shutil.ignore_patterns(UNFINISHED)
            shutil.copytree(source, partial, copy_function=_link, ignore=ignored)
        else:
            _link(source, partial)


def forget(address: str) -> None:
    """Remove the pieces of a stage whose output DVC has recorded, unless a process is at work on it."""
    base = _base(address)
    if base.is_dir():
        with contextlib.suppress(StudyError), _alone(base, address):
            for entry in base.iterdir():
                if entry.name != "lock":
                    _discard(entry)


def _base(address: str) -> Path:
    return Path(os.environ.get(PLACE) or layout.SCRATCH).absolute() / address


@contextlib.contextmanager
def _temporary(out: Path) -> Iterator[Path]:
    files.make_folder(out.parent)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.", suffix=".partial") as folder:
        yield Path(folder).absolute()


@contextlib.contextmanager
def _alone(base: Path, address: str) -> Iterator[None]:
    """Hold the lock of a stage. The system releases it when the process ends, however it ends."""
    files.make_folder(base)
    with open(base / "lock", "a+") as file:
        # If a worker was lost, the process that it had started is about to end.
        deadline = time.monotonic() + SECONDS_TO_END * bool(os.environ.get(LEASH))
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() < deadline:
                    time.sleep(0.1)
                    continue
                file.seek(0)
                raise StudyError(
                    f"stage {address}",
                    expected="no other process at work on it",
                    found=file.read().strip() or "one that has just begun",
                    remedy="wait until that has ended, or end it; what it has finished is kept",
                ) from None
        file.truncate(0)
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        file.write(f"process {os.getpid()} on {socket.gethostname()}, stage {address}, since {since}\n")
        file.flush()
        yield
        file.truncate(0)


def _discard(path: Path) -> None:
    """Remove what nobody needs; a task that a cluster has not yet given up may still write there."""
    with contextlib.suppress(OSError):
        files.remove(path)


def _link(source: str | Path, target: str | Path) -> None:
    """Make a hard link, or a copy if the file system has no links or the scratch folder is on another."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
