"""A series of checkpoints: which file belongs to which epoch."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from protoviz.errors import StudyError
from protoviz.models import series

Checkpoints = Mapping[int, str | Path] | Sequence[str | Path] | str | Path

_EPOCH = "{epoch}"
_FORMS = "a mapping epoch -> file, a list of files with `epochs`, or a pattern with {epoch}"


def files_by_epoch(checkpoints: Checkpoints, epochs: Iterable[int] | None = None) -> dict[int, Path]:
    """Epoch -> file, in the order of the epochs.

        files_by_epoch("runs/a/epoch_{epoch}.safetensors")
        files_by_epoch("runs/a/epoch_{epoch}.safetensors", epochs=[0, 1, 8])
        files_by_epoch({0: "first.pt", 10: "last.pt"})
        files_by_epoch(["first.pt", "last.pt"], epochs=[0, 10])

    Args:
        checkpoints: a mapping, a list, or a pattern, in which {epoch} stands for digits.
        epochs: for a list, the epoch of each file; for a mapping or a pattern, the epochs to take, by default
            all.

    Raises:
        StudyError: there is no file, an epoch has none or more than one, or an epoch is not a number.
    """
    wanted = None if epochs is None else [_number(epoch) for epoch in epochs]
    if isinstance(checkpoints, str | Path):
        found = _matching(str(checkpoints))
    elif isinstance(checkpoints, Mapping):
        found = {_number(epoch): Path(file) for epoch, file in checkpoints.items()}
    else:
        found, wanted = _paired(list(checkpoints), wanted), None
    for epoch in wanted or []:
        if epoch not in found:
            known = ", ".join(map(str, sorted(found)))
            raise _refusal(f"epoch {epoch}", f"one of {known}", "no checkpoint", "leave it out, or make it")
    kept = sorted(found if wanted is None else wanted)
    for epoch in kept:
        if not found[epoch].exists():
            raise _refusal(f"epoch {epoch}", "a file", f"nothing at {found[epoch]}", "correct its path")
    if not kept:
        raise _refusal("epochs", "at least one", "none", f"give {_FORMS}")
    return {epoch: found[epoch] for epoch in kept}


def _paired(files: list[str | Path], epochs: list[int] | None) -> dict[int, Path]:
    if epochs is None or len(epochs) != len(files) or len(set(epochs)) != len(epochs):
        found = "none" if epochs is None else str(epochs)
        raise _refusal("epochs", f"one for each of {len(files)} files, no two alike", found, f"give {_FORMS}")
    return {epoch: Path(file) for epoch, file in zip(epochs, files, strict=True)}


def _matching(pattern: str) -> dict[int, Path]:
    """The files that a pattern names."""
    if _EPOCH not in pattern:
        raise _refusal(
            "pattern", _FORMS, repr(pattern), f"write {_EPOCH} where the number of the epoch stands"
        )
    found = series.files(pattern)
    if len(found) > 1:
        several = ", ".join(f"{condition} run {run}".strip() for condition, run in found)
        raise _refusal(
            "pattern", "one condition and one run", several, f"write which in it, all but {_EPOCH}"
        )
    return next(iter(found.values()))


def _number(epoch: Any) -> int:
    try:
        number = int(epoch) if not isinstance(epoch, bool) else -1
    except (TypeError, ValueError):
        number = -1
    if number < 0 or number != epoch:
        raise _refusal("epoch", "a whole number of at least 0", repr(epoch), "correct it")
    return number


def _refusal(what: str, expected: str, found: str, remedy: str) -> StudyError:
    return StudyError(f"checkpoints: {what}", expected=expected, found=found, remedy=remedy)
