"""The plain-text table of the findings of any study: every measure, and the conditions compared."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from protoviz.report.text import WIDTH, spread, wrap

LAYERS, CONDITIONS, PAIRS = 8, 6, 6  # at most this many are printed; metrics/findings.json has all
LAYER, WHAT, VALUE, INTERVAL, P = 18, 26, 10, 22, 8  # columns


def lines(found: Mapping[str, Any]) -> Iterator[str]:
    """The measures and comparisons as lines of at most `text.WIDTH` columns.

    Args:
        found: what `findings.describe` returns.
    """
    yield from wrap(
        f"Measures of each layer in the space {found['space']}; conditions compared. After a verdict stands "
        "in how many other spaces (another mask, embedder or distance) it is the same."
    )
    yield f"{'':<{2 + LAYER + WHAT}}{'value':>{VALUE}}{'95 % interval':>{INTERVAL}}{'p':>{P}}"
    for measure in found["measures"]:
        yield ""
        yield from _measure(measure)


def _measure(measure: Mapping[str, Any]) -> Iterator[str]:
    when, unit = measure["when"], measure["unit"]
    name = measure["name"].replace("_", " ").capitalize()
    yield from wrap(f"{name}{f', {unit}' if unit else ''}: {measure['text']}{f'; {when}' if when else ''}")
    yield from (line for gap in measure["missing"] for line in wrap(f"not computed: {gap}", indent=4))
    shown = spread(measure["layers"], LAYERS)
    for layer in shown:
        yield from _layer(layer)
    yield from _left_out(len(measure["layers"]) - len(shown), "layer")


def _layer(layer: Mapping[str, Any]) -> Iterator[str]:
    conditions, comparisons = layer["conditions"], layer["comparisons"]
    name = layer["layer"] or ""
    if len(name) > LAYER - 2:
        yield f"  {name}"[:WIDTH]
        name = ""
    for one in conditions[:CONDITIONS]:
        yield from _row(name, one["condition"], one["value"], one["interval"])
        name = ""
    yield from _left_out(len(conditions) - CONDITIONS, "condition")
    for pair in comparisons[:PAIRS]:
        between = "/" if pair["scale"] == "ratio" else "-"
        elsewhere = pair.get("elsewhere", {}).values()
        same = sum(verdict == pair["verdict"] for verdict in elsewhere)
        verdict = pair["verdict"]
        if elsewhere and pair["effect"] is not None:
            verdict += f" {same}/{len(elsewhere)}"
        what = f"{pair['first']} {between} {pair['second']}"
        yield from _row("", what, pair["effect"], pair["interval"], pair["p"], verdict)
    yield from _left_out(len(comparisons) - PAIRS, "comparison")
    for gap in layer["missing"]:
        yield from wrap(f"not computed: {gap}", indent=2 + LAYER)


def _row(
    layer: str,
    what: str,
    value: float | None,
    interval: Sequence[float] | None,
    p: float | None = None,
    verdict: str = "",
) -> Iterator[str]:
    *first, last = textwrap.wrap(what, WHAT - 1)
    for line in first:
        yield f"  {layer:<{LAYER}}{line}".rstrip()
        layer = ""
    ends = f"{_number(interval[0])} .. {_number(interval[1])}" if interval else "-"
    chance = "" if p is None else f"{p:.3g}"
    numbers = f"{_number(value):>{VALUE}}{ends:>{INTERVAL}}{chance:>{P}} {verdict}"
    yield f"  {layer:<{LAYER}}{last:<{WHAT}}{numbers}".rstrip()


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def _left_out(number: int, what: str) -> Iterator[str]:
    if number > 0:
        yield f"    and {number:,} {what}{'' if number == 1 else 's'} more: metrics/findings.json"
