"""Lines of the plain-text tables that `make repro` ends with."""

import re
import textwrap
from collections.abc import Sequence
from typing import TypeVar

WIDTH = 100

T = TypeVar("T")


def wrap(text: str, indent: int = 0) -> list[str]:
    """Text as lines of at most `WIDTH` columns, all but the first indented."""
    margin = " " * indent
    return textwrap.wrap(text, WIDTH, initial_indent=margin, subsequent_indent=margin + "    ")


def spread(items: Sequence[T], most: int) -> list[T]:
    """At most `most` of the items, in order: the first, the last, and others as evenly spaced as possible.

    >>> spread([0, 1, 2, 3, 4, 5, 6], 3)
    [0, 3, 6]
    """
    if len(items) <= most:
        return list(items)
    if most == 1:
        return [items[-1]]
    return [items[round(k * (len(items) - 1) / (most - 1))] for k in range(most)]


def shortened(name: str, most: int) -> str:
    """A name of at most `most` letters; a longer one is cut to its beginning and, mostly, its end."""
    if len(name) <= most:
        return name
    begin = (most - 1) // 3
    return f"{name[:begin]}\u2026{name[begin + 1 - most :]}"


def broken(name: str, most: int) -> list[str]:
    """The name of a layer in lines of at most `most` letters, broken after dots if there are any.

    >>> broken("features.denseblock1.conv", 12)
    ['features.', 'denseblock1.', 'conv']
    """
    lines = [""]
    for part in re.findall(r"[^.]*\.|[^.]+$", name):
        for start in range(0, len(part), most):
            piece = part[start : start + most]
            if len(lines[-1]) + len(piece) > most:
                lines.append("")
            lines[-1] += piece
    return lines
