"""Which weights a training began with, according to the checkpoints that `protoviz.callbacks` has written."""

from collections.abc import Sequence
from pathlib import Path

from protoviz.errors import StudyError
from protoviz.models import safetensors_io

KIND = "training"  # of a file that was written while a network was trained
UNTRAINED = "untrained"  # key of its metadata: whether its weights are those before any training


def untrained(checkpoint: Path) -> bool | None:
    """Whether a checkpoint holds a network before any training; None if it does not say."""
    about = safetensors_io.told(checkpoint, KIND) or {}
    said = about.get(UNTRAINED)
    return said if isinstance(said, bool) else None


def starts_untrained(first: Sequence[Path], *, given: bool) -> tuple[bool, str]:
    """Whether series of checkpoints start with untrained networks, and what to tell the user about it.

    Args:
        first: the file of epoch 0 of each series.
        given: whether the user says that they do; otherwise they do if all files say so.

    Raises:
        StudyError: the user says so, and a file says that it holds a network that was trained before.
    """
    said = [untrained(path) for path in first]
    if given and False in said:
        raise StudyError(
            str(first[said.index(False)]),
            expected="the untrained network, as --untrained says",
            found="one that was trained before, as the file says of itself",
            remedy="leave out --untrained",
        )
    if given or all(said):
        return True, "the untrained network" + ", as its files say" * (not given)
    if False in said:
        return False, "a network that was trained before, as its files say"
    return False, "taken as trained; say --untrained if it is the network before training"
