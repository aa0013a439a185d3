"""How studies differ: one table of the parameters that are not the same in all of them."""

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

WIDTH = 100
GAP = 2  # columns between two cells
NONE = "-"


def differences(studies: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The parameters in which studies differ, in the order of the first study that has them.

    Args:
        studies: name -> parameters, nested as in params.yaml.

    Returns:
        parameter ("train.lr") -> name of the study -> value; a study that lacks it is left out.
    """
    flat = {name: dict(_leaves(parameters)) for name, parameters in studies.items()}
    names = dict.fromkeys(parameter for values in flat.values() for parameter in values)
    rows = {
        parameter: {name: values[parameter] for name, values in flat.items() if parameter in values}
        for parameter in names
    }
    return {
        parameter: row
        for parameter, row in rows.items()
        if len(row) < len(studies) or any(value != next(iter(row.values())) for value in row.values())
    }


def table(studies: Mapping[str, Any]) -> str:
    """The differences as text of at most `WIDTH` columns: parameters in rows, studies in columns."""
    rows = differences(studies)
    first = max(map(len, [*rows, "parameter"]))
    width = (WIDTH - first) // len(studies) - GAP
    cells = [
        ["parameter", *studies],
        *([name, *_cells(row, list(studies), width)] for name, row in rows.items()),
    ]
    lines = [line for row in cells for line in _wrapped(row, first, width)]
    count = len(list(_leaves(next(iter(studies.values())))))
    return "\n".join([*lines, "", f"{len(rows)} parameters differ, of {count}."]) + "\n"


def _leaves(parameters: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Every parameter that is not a section, by its full name."""
    if isinstance(parameters, Mapping) and parameters:
        for name, value in parameters.items():
            yield from _leaves(value, f"{place}.{name}" if place else str(name))
    else:
        yield place, parameters


def _cells(row: Mapping[str, Any], studies: list[str], width: int) -> Iterator[str]:
    """The value of each study; a long value that equals the one before it is given as "as <study>"."""
    before = None
    for study in studies:
        text = said(row[study]) if study in row else NONE
        yield f"as {before}" if before and len(text) > width and row.get(study) == row.get(before) else text
        before = study


def said(value: Any) -> str:
    """A value as YAML would write it; consecutive whole numbers as "0 to 100", addresses by their end."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        whole = len(value) > 3 and all(type(entry) is int for entry in value)
        if whole and list(value) == list(range(value[0], value[-1] + 1)):
            return f"{value[0]} to {value[-1]}"
        return ", ".join(map(said, value))
    if isinstance(value, str) and "://" in value:
        return f".../{value.rsplit('/', 1)[-1]}"  # the file that is fetched
    return f"{value:g}" if isinstance(value, float) else str(value)


def _wrapped(row: list[str], first: int, width: int) -> Iterator[str]:
    """The lines of one row of cells."""
    columns = [[row[0]], *(textwrap.wrap(cell, width) or [""] for cell in row[1:])]
    widths = [first, *([width] * (len(row) - 1))]
    for k in range(max(map(len, columns))):
        parts = [column[k] if k < len(column) else "" for column in columns]
        yield (" " * GAP).join(part.ljust(size) for part, size in zip(parts, widths, strict=True)).rstrip()
