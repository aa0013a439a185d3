"""Files that exist only when they are complete: written under a temporary name, forced to the disk, renamed.

A system may write a new name to the disk before the contents of the file, and a power cut between the two
leaves an empty file under the right name. So all files and folders are given their names here (`settle`).
"""

import contextlib
import csv
import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from protoviz.errors import StudyError, rerun

AT_ONCE = 16  # files that are forced to the disk side by side


@contextlib.contextmanager
def complete(target: str | Path) -> Iterator[Path]:
    """A path to write a file or a directory to; it appears as `target` only if the block succeeds.

    Whatever stood at `target` is replaced. On any failure nothing is left behind, so that no later
    run trusts a half-written output. After the block, `target` is on the disk.

    Raises:
        StudyError: the disk is full or not writable.
    """
    target = Path(target)
    make_folder(target.parent)
    partial = target.with_name(f".{target.name}.partial")  # a fixed name, so that a killed run's is removed
    remove(partial)
    try:
        with room(target):
            yield partial
            settle(partial, target)
    finally:
        remove(partial)


def settle(written: Path, target: Path) -> None:
    """Give a written file or directory its name, replacing what is there, once it is on the disk.

    Args:
        written: on the same file system as the target.
        target: the name; its folder exists.
    """
    _force_all(written)
    replaced = target.with_name(f".{target.name}.replaced.partial")
    remove(replaced)
    if target.is_dir():  # a file is replaced in one step; a directory is first moved away as a whole
        os.replace(target, replaced)
    os.replace(written, target)
    _force(target.parent)
    remove(replaced)


def make_folder(path: Path) -> None:
    """Make a folder and those above it, as far as they are missing; their names are on the disk, too."""
    missing = []
    for folder in (path, *path.parents):
        if folder.is_dir():
            break
        missing.append(folder)
    path.mkdir(parents=True, exist_ok=True)
    if missing:
        _force_each([folder.parent for folder in missing])


def claim(path: Path) -> None:
    """Make an empty file that is a marker by its name, and force the name to the disk."""
    path.touch()
    _force(path.parent)


def revoke(path: Path) -> None:
    """Remove such a marker before it becomes wrong, and force the removal to the disk."""
    if path.exists():
        path.unlink()
        _force(path.parent)


def _force_all(path: Path) -> None:
    """Force a file, or a directory with all that is in it, to the disk."""
    inside = [Path(folder, name) for folder, _, names in os.walk(path) for name in ("", *names)]
    _force_each(inside or [path])


def _force_each(paths: Sequence[Path]) -> None:
    """Force files and folders to the disk, side by side: a file system writes its journal once for many."""
    with ThreadPoolExecutor(min(len(paths), AT_ONCE)) as threads:
        for _ in threads.map(_force, paths):
            pass


def _force(path: Path) -> None:
    """Force the contents of a file, or the names in a folder, to the disk."""
    if path.is_symlink():  # all there is of it is a name in its folder
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # a file system that knows no such thing
            raise
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def room(target: str | Path) -> Iterator[None]:
    """Turn the system's refusal to write into the one error that users see.

    Raises:
        StudyError: within the block the disk was full or not writable.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES):
            raise StudyError(
                str(target),
                expected="a disk with room that can be written to",
                found=str(error.strerror),
                remedy="free some space or correct the permissions, then run the stage again",
            ) from error
        raise


def remove(path: Path) -> None:
    """Delete a file or a directory tree, if there is one."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def require_space(directory: str | Path, needed_bytes: int) -> None:
    """Check, before any time is spent, that `needed_bytes` will fit where `directory` lies.

    Raises:
        StudyError: the file system has less room.
    """
    existing = Path(directory).resolve()
    while not existing.exists():
        existing = existing.parent
    free = shutil.disk_usage(existing).free
    if free < needed_bytes:
        raise StudyError(
            str(directory),
            expected=f"{needed_bytes / 1e6:,.0f} MB of free disk",
            found=f"{free / 1e6:,.0f} MB",
            remedy="free some space, or make the study smaller in params.yaml",
        )


def sha256(path: str | Path) -> str:
    """Hex digest of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_json(path: str | Path, value: Any) -> None:
    """Write JSON that reads well in a diff: indented, a newline at the end, no NaN."""
    with complete(path) as partial:
        partial.write_text(json.dumps(value, indent=2, allow_nan=False) + "\n")


def read_json(path: str | Path) -> Any:
    """Read JSON.

    Raises:
        StudyError: there is no such file, or it is not JSON.
    """
    try:
        return json.loads(Path(path).read_text())
    except FileNotFoundError as error:
        raise missing(path) from error
    except json.JSONDecodeError as error:
        raise StudyError(
            str(path), expected="JSON", found=str(error), remedy="run the stage that writes it again"
        ) from error


def missing(path: str | Path) -> StudyError:
    """The error for an input file that is not there."""
    return StudyError(
        str(path),
        expected="a file made by an earlier stage",
        found="nothing",
        remedy=f"run `{rerun()}`, which runs the stages in order",
    )


def all_or_none(paths: Iterable[str | Path]) -> list[Path]:
    """These paths, or an empty list if none of them exists: the outputs of an optional part of a study.

    Raises:
        StudyError: some exist and some do not.
    """
    wanted = [Path(path) for path in paths]
    absent = [path for path in wanted if not path.exists()]
    if absent and len(absent) < len(wanted):
        raise missing(absent[0])
    return [] if absent else wanted


def write_csv(
    path: str | Path, rows: Iterable[Mapping[str, Any]], columns: Iterable[str] | None = None
) -> None:
    """Write rows with the same keys as CSV; the header is `columns`, or else the keys of the first row."""
    rows = list(rows)
    with complete(path) as partial, open(partial, "w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(columns or rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def read_csv(path: str | Path) -> list[dict[str, str]]:
    """Read rows written by `write_csv`; every value is text."""
    with open(path, newline="") as file:
        return list(csv.DictReader(file))
