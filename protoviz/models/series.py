"""Files of checkpoints by a pattern: which conditions, runs and epochs there are."""

import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from protoviz.errors import StudyError

AXES = ("condition", "run", "epoch")
_FORMS = {"condition": r"[^/]+?", "run": r"\d+", "epoch": r"\d+"}
_PLACE = re.compile(r"\{(condition|run|epoch)\}|(\*)")

Found = dict[tuple[str, int], dict[int, Path]]  # (condition, run) -> epoch -> file


def files(pattern: str, root: str | Path = ".") -> Found:
    """All files that a pattern names.

    Args:
        pattern: a path with {epoch}, and perhaps {condition} and {run}; * stands for any text within a name.
            A pattern without {condition} has one, "", and one without {run} has run 0.
        root: folder that a relative pattern starts from.

    Raises:
        StudyError: two files of one epoch, or none at all.
    """
    globbed = _PLACE.sub("*", pattern)
    base = Path(pattern).anchor or root
    expression = re.compile(_expression(pattern))
    found: Found = defaultdict(dict)
    for path in sorted(Path(base).glob(str(Path(globbed).relative_to(Path(pattern).anchor or ".")))):
        name = str(path) if Path(pattern).anchor else str(path.relative_to(root))
        match = expression.fullmatch(name)
        if not match:
            continue
        said = match.groupdict()
        item = said.get("condition", ""), int(said.get("run", 0))
        epoch = int(said.get("epoch", 0))
        if epoch in found[item]:
            raise StudyError(
                f"epoch {epoch} of {_label(item)}",
                expected="one file",
                found=f"{found[item][epoch]} and {path}",
                remedy="write the pattern so that it names one of them",
            )
        found[item][epoch] = path
    if not any(found.values()):
        raise StudyError(
            pattern,
            expected="checkpoints",
            found="no file of such a name",
            remedy=f"correct the pattern; it starts from {Path(base).absolute()}",
        )
    return {item: dict(sorted(epochs.items())) for item, epochs in sorted(found.items())}


def chosen(named: str | Mapping[int, str], condition: str, run: int, epochs: list[int]) -> dict[int, Path]:
    """The files of one network at some epochs.

    Args:
        named: a pattern, or epoch -> file, in which {condition} and {run} may stand.
        condition: what stands for it in names.
        run: likewise.
        epochs: that are asked for.

    Raises:
        StudyError: an epoch has no file, or two.
    """
    if isinstance(named, str):
        pattern = named.replace("{condition}", _escaped(condition))
        filled = {epoch: path for epoch, path in _of_run(pattern, run).items() if epoch in epochs}
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


def _of_run(pattern: str, run: int) -> dict[int, Path]:
    try:
        found = files(pattern)
    except StudyError as error:
        if "no file" not in str(error):
            raise
        return {}
    return next((of for (_, number), of in found.items() if "{run}" not in pattern or number == run), {})


def _escaped(text: str) -> str:
    return text


def _label(item: tuple[str, int]) -> str:
    return " run ".join(map(str, item)) if item[0] else f"run {item[1]}"


def _expression(pattern: str) -> str:
    """The pattern as a regular expression; what stands twice is the same text."""
    parts, at, seen = list[str](), 0, set[str]()
    for match in _PLACE.finditer(pattern):
        parts.append(re.escape(pattern[at : match.start()]))
        axis = match[1]
        if axis is None:
            parts.append(r"[^/]*")
        elif axis in seen:
            parts.append(f"(?P={axis})")
        else:
            parts.append(f"(?P<{axis}>{_FORMS[axis]})")
            seen.add(axis)
        at = match.end()
    return "".join([*parts, re.escape(pattern[at:])])
