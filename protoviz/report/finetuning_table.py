"""The plain-text table of study B, which `make repro` prints after that of study A."""

import itertools
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

WIDTH = 100
SPACE, CELL = 28, 24  # columns that the name of a space and a number take


def table(found: Mapping[str, Any]) -> str:
    """The verdicts of study B as text of at most `WIDTH` columns.

    Args:
        found: what `stage_findings.collect` returns, or what metrics/findings_stages.json holds.
    """
    study = found["study"]
    lines = _wrap(study["title"])
    lines += _wrap(
        f"{study['prototypes']:,} prototypes: {study['units']:,} units of {study['layers']} convolutions at "
        f"{len(study['training'])} stages of training; {study['excluded_percent']:g} % of the units are left "
        "out as dead or diverged at one of them"
    )
    lines += ["", f"{'Accuracy, %':<{SPACE}}{'':>{CELL}}{'chance':>{CELL}}"]
    for state, said in study["training"].items():
        numbers = (f"{said['accuracy']:.1f}", f"{said['chance']:.1f}") if said else ("not known here", "")
        lines.append(f"  {state:<{SPACE - 2}}" + "".join(f"{number:>{CELL}}" for number in numbers))
    for finding in found["findings"]:
        lines += ["", *_finding(finding)]
    return "\n".join([*lines, "", *_wrap(found["note"])]) + "\n"


def _finding(finding: Mapping[str, Any]) -> Iterator[str]:
    yield from _wrap(f"{finding['id']}  {finding['claim']}")
    yield from _wrap(f"{finding['verdict'].upper()}, {finding['agrees']}", indent=4)
    effects = sorted(finding["effect"], key=lambda effect: effect["measure"])
    for measure, some in itertools.groupby(effects, key=lambda effect: effect["measure"]):
        group = list(some)
        names = list(dict.fromkeys(effect["of"] for effect in group))
        yield from _row(measure, names, indent=4)
        for space, row in itertools.groupby(group, key=lambda effect: effect["space"]):
            yield from _row(space, [_number(effect) for effect in row], indent=6)


def _row(name: str, cells: Iterable[str], indent: int) -> Iterator[str]:
    """A name and the cells beside it, or below it if the name would run into them."""
    if indent + len(name) >= SPACE:
        yield " " * indent + name
        name = ""
    yield f"{'':{indent}}{name:<{SPACE - indent}}" + "".join(f"{cell:>{CELL}}" for cell in cells)


def _number(effect: Mapping[str, Any]) -> str:
    """A value with its interval, or with the value by chance; in brackets if it does not agree."""
    if effect["value"] is None:
        return "[not defined]"
    text = f"{effect['value']:.2f}"
    if effect["low"] is not None:
        text += f" ({effect['low']:.2f} .. {effect['high']:.2f})"
    else:
        text += f" (chance {effect['expected']:.2f})"
    return text if effect["agrees"] else f"[{text}]"


def _wrap(text: str, indent: int = 0) -> list[str]:
    margin = " " * indent
    return textwrap.wrap(text, WIDTH, initial_indent=margin, subsequent_indent=margin + "    ")
