"""Height and width of images: one number of px for squares, two for others."""

import operator
from collections.abc import Sequence
from typing import Any

from protoviz.errors import StudyError

Size = int | tuple[int, int]  # px; height and width in this order


def sides(size: Size) -> tuple[int, int]:
    """Height and width.

    >>> sides(96), sides((32, 48))
    ((96, 96), (32, 48))
    """
    return (size, size) if isinstance(size, int) else size


def of_sides(height: int, width: int) -> Size:
    """The size of these sides in its canonical form: a number for squares."""
    return height if height == width else (height, width)


def named(size: Size) -> str:
    """The size as text: "64 px" or "32 x 48 px"."""
    return f"{size} px" if isinstance(size, int) else f"{size[0]} x {size[1]} px"


def checked(size: Any) -> Size:
    """A requested size in its canonical form.

    Raises:
        StudyError: it is neither a number nor two, or not a whole number above 0.
    """
    asked = list(size) if isinstance(size, Sequence) and not isinstance(size, str) else [size]
    try:
        numbers = [operator.index(number) for number in asked if not isinstance(number, bool)]
    except TypeError:
        numbers = []
    if len(numbers) != len(asked) or len(numbers) not in (1, 2):
        raise StudyError(
            "size",
            expected="a whole number of px, or two: height and width",
            found=repr(size),
            remedy="write 64 or (32, 48)",
        )
    if min(numbers) < 1:
        raise StudyError(
            f"network, images of {named(of_sides(numbers[0], numbers[-1]))}",
            expected="a size that it can take",
            found="no pixels",
            remedy="choose another size",
        )
    return of_sides(numbers[0], numbers[-1])
