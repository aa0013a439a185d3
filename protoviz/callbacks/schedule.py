"""Which epochs or steps of a training are kept."""

import operator
from collections.abc import Iterable
from typing import Any

from protoviz.errors import StudyError


def log_spaced(last: int, per_doubling: int = 1) -> list[int]:
    """Epochs (or steps) evenly spaced on a logarithmic scale, including the untrained network and the last.

        >>> log_spaced(100)
        [0, 1, 2, 4, 8, 16, 32, 64, 100]

    Args:
        last: number of the last epoch.
        per_doubling: number of epochs from one power of two to the next.

    Raises:
        StudyError: one of these is not a whole number, `last` is below 0, or `per_doubling` below 1.
    """
    last = whole("last", last, least=0)
    per_doubling = whole("per_doubling", per_doubling, least=1)
    exponents = range(per_doubling * max(last, 1).bit_length())
    powers = (round(2 ** (k / per_doubling)) for k in exponents)
    return sorted({0, last, *(power for power in powers if power < last)})


def is_log_spaced(moment: int, last: int | None) -> bool:
    """Whether `log_spaced(last)` holds a moment; if `last` is None, whether it is 0 or a power of two."""
    return moment == last or ((last is None or moment < last) and moment & (moment - 1) == 0)


def moments(name: str, wanted: Iterable[int] | None) -> frozenset[int] | None:
    """The epochs or steps that were named, or None.

    Raises:
        StudyError: one of them is not a whole number of at least 0, or there are none.
    """
    if wanted is None:
        return None
    alone = not isinstance(wanted, Iterable) or isinstance(wanted, str)  # whatever the types say
    found = frozenset(whole(name, moment, least=0) for moment in ([wanted] if alone else wanted))
    if not found:
        raise StudyError(
            name, expected="at least one", found="none", remedy="leave it out for those evenly spaced"
        )
    return found


def whole(name: str, value: Any, *, least: int) -> int:
    """A whole number of at least `least`, of Python or NumPy.

    Raises:
        StudyError: it is not.
    """
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or number < least or isinstance(value, bool):
        wanted = f"a whole number of at least {least}"
        raise StudyError(name, expected=wanted, found=repr(value), remedy="correct it")
    return int(number)
