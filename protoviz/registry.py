"""Lookup by name in a plain dict, with an error that lists the names."""

import difflib
from collections.abc import Mapping
from typing import TypeVar

from protoviz.errors import StudyError

T = TypeVar("T")


def lookup(registry: Mapping[str, T], name: str, kind: str) -> T:
    """The entry called `name`.

    Args:
        registry: name -> entry.
        name: the name asked for.
        kind: what the entries are, in the singular ("image prior").

    Raises:
        StudyError: no entry has this name; the message lists those that exist.
    """
    if name in registry:
        return registry[name]
    close = difflib.get_close_matches(name, registry, n=1)
    raise StudyError(
        f"{kind} {name!r}",
        expected=f"one of {', '.join(sorted(registry))}",
        found="no such name",
        remedy=f"did you mean {close[0]!r}?" if close else "choose one of these",
    )
