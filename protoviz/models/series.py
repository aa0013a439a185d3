"""Find checkpoint files by a pattern: which conditions, runs and epochs there are."""

import glob
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from protoviz.errors import StudyError

_FORMS = {"condition": r"[^/]+?", "run": r"\d+", "epoch": r"\d+"}
_PLACE = re.compile(r"\{(condition|run|epoch)\}|(\*)")

Found = dict[tuple[str, int], dict[int, Path]]  # (condition, run) -> epoch -> file


def files(pattern: str) -> Found:
    """All files that match a pattern, in the order of their numbers; there is at least one.

    Args:
        pattern: a path with {epoch}, and perhaps {condition} and {run}; * stands for any text within a name.
            Without {condition} there is one condition, "", and without {run} there is one run, 0.

    Raises:
        StudyError: an epoch has two files, or there are no files at all.
    """
    found = _matching(pattern)
    if not found:
        raise StudyError(
            pattern,
            expected="checkpoints",
            found="no file of such a name",
            remedy=f"correct the pattern; it starts from {Path(pattern).anchor or Path.cwd()}",
        )
    return found


def chosen(named: str | Mapping[int, str], condition: str, run: int, epochs: list[int]) -> dict[int, Path]:
    """The files of one network at some epochs.

    Args:
        named: a pattern, or epoch -> file; both may contain {condition} and {run}.
        condition: the name that replaces {condition}.
        run: likewise.
        epochs: the epochs that are asked for.

    Raises:
        StudyError: an epoch has no file, or two.
    """
    if isinstance(named, str):
        filled = _matching(named).get(item(named, condition, run), {})
    else:
        filled = {
            epoch: Path(place.replace("{condition}", condition).replace("{run}", str(run)))
            for epoch, place in named.items()
        }
    lost = [epoch for epoch in epochs if epoch not in filled or not filled[epoch].exists()]
    if lost:
        raise StudyError(
            f"checkpoints of {_label((condition, run))}",
            expected=f"a file of each epoch of checkpoints.epochs, {len(epochs)}",
            found=f"none of epoch {', '.join(map(str, lost))}",
            remedy="leave these out, or correct checkpoints.files",
        )
    return {epoch: filled[epoch] for epoch in epochs}


def common_epochs(
    found: Mapping[tuple[str, int], Mapping[int, Path]], asked: Sequence[int] | None
) -> list[int]:
    """The epochs that are asked for, or all that there are, in ascending order; every network has them.

    Raises:
        StudyError: a network lacks one.
    """
    every = sorted({epoch for epochs in found.values() for epoch in epochs})
    wanted = sorted(set(asked)) if asked else every
    for network, epochs in found.items():
        if lost := [epoch for epoch in wanted if epoch not in epochs]:
            raise StudyError(
                f"checkpoints of {_label(network)}",
                expected=f"a file of each of {len(wanted)} epochs",
                found=f"none of epoch {', '.join(map(str, lost))}",
                remedy="make it, or name the epochs that all have with --epochs",
            )
    return wanted


def item(pattern: str, condition: str, run: int) -> tuple[str, int]:
    """The key that `files` has for a network, which depends on the places in the pattern."""
    return condition if "{condition}" in pattern else "", run if "{run}" in pattern else 0


def _matching(pattern: str) -> Found:
    """The files that match a pattern, perhaps none."""
    anchor = Path(pattern).anchor
    globbed = "".join("*" if _PLACE.fullmatch(part) else glob.escape(part) for part in _parts(pattern))
    expression = re.compile(_expression(pattern))
    found: Found = defaultdict(dict)
    for path in sorted(Path(anchor).glob(globbed.removeprefix(anchor))):
        if not (match := expression.fullmatch(path.as_posix())):
            continue
        said = match.groupdict()
        network, epoch = (said.get("condition", ""), int(said.get("run", 0))), int(said["epoch"])
        if epoch in found[network]:
            raise StudyError(
                f"epoch {epoch} of {_label(network)}",
                expected="one file",
                found=f"{found[network][epoch]} and {path}",
                remedy="write the pattern so that it names one of them",
            )
        found[network][epoch] = path
    return {network: dict(sorted(epochs.items())) for network, epochs in sorted(found.items())}


def _parts(pattern: str) -> list[str]:
    """The placeholders of a pattern, and the text between them."""
    return [part for part in re.split(r"(\{condition\}|\{run\}|\{epoch\}|\*)", pattern) if part]


def _label(item: tuple[str, int]) -> str:
    return " run ".join(map(str, item)) if item[0] else f"run {item[1]}"


def _expression(pattern: str) -> str:
    """The pattern as a regular expression; a placeholder that occurs twice matches the same text."""
    written, seen = "", set[str]()
    for part in _parts(Path(pattern).as_posix()):
        place = _PLACE.fullmatch(part)
        if place is None:
            written += re.escape(part)
        elif place[1] is None:
            written += "[^/]*"
        else:
            written += f"(?P={place[1]})" if place[1] in seen else f"(?P<{place[1]}>{_FORMS[place[1]]})"
            seen.add(place[1])
    return written
