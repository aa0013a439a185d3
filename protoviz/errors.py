"""The one error that users see: what was expected, what was found, where, and what to do."""

from functools import partial
from pathlib import Path
from typing import Any, Self

LONGEST = 300  # characters of what a library says


class StudyError(Exception):
    """Something about the user's parameters, files or machine stops a stage.

    Every stage and command prints it as one line, without a traceback.

    Args:
        where: the place, as the user would name it (a parameter, a file, an address such as
            "clrjit run 1 epoch 8 layer3 channel 12").
        expected: what would have been right.
        found: what there is.
        remedy: what to do about it, as an imperative.
    """

    def __init__(self, where: str, *, expected: str, found: str, remedy: str) -> None:
        self.where, self.expected, self.found, self.remedy = where, expected, found, remedy
        super().__init__(f"{where}: expected {expected}, found {found}; {remedy}")

    @classmethod
    def of(cls, error: BaseException, where: str, *, expected: str, remedy: str) -> Self:
        """The error that reports a library's: its message, on one line, is what was found."""
        return cls(where, expected=expected, found=said(error), remedy=remedy)

    def __reduce__(self) -> tuple[Any, ...]:
        """How to rebuild it in another process; by default exceptions keep positional arguments only."""
        rebuild = partial(type(self), expected=self.expected, found=self.found, remedy=self.remedy)
        return rebuild, (self.where,)


class MissingPackageError(StudyError, ImportError):
    """A package that only a part of protoviz needs is not installed."""


def rerun() -> str:
    """The command that runs the stages: of this repository, or of a study that `protoviz init` made."""
    return "make repro" if Path("Makefile").is_file() else "protoviz repro"


def said(error: BaseException, *, omit: str = "") -> str:
    """The message of a library's error, on one line of at most 300 characters; its type if it has none.

    Args:
        error: of any library.
        omit: text of the error to leave out, such as a path that is named elsewhere.
    """
    return " ".join(str(error).replace(omit, "").split())[:LONGEST] or type(error).__name__
