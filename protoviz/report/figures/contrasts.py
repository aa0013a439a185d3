"""The findings of any study at a glance: each pair of conditions by each measure, on one logarithmic axis."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from protoviz.report.figures.forest import CLAIM, REACH, ROW, TEXT, ratio_axis
from protoviz.report.figures.style import FAINT, FOOTER, HEADER, INK, MARGIN, SOFT, WIDTH, Page, count, styled
from protoviz.report.palette import PALETTE
from protoviz.report.text import shortened, spread

PAIRS = 6  # at most this many are drawn
ROWS = 90  # and about this many rows in all: beyond that, layers are left out
NUMBERS = 2.6  # inches for the numbers at the right
COLOURS = {"higher": PALETTE[0], "lower": PALETTE[1], "undecided": SOFT, "not computed": SOFT}


@styled
def contrasts(found: Mapping[str, Any], title: str) -> Figure:
    """Each measure of each layer: the ratio of one condition to another, with its interval.

    Differences, which have no place on an axis of ratios, are given in numbers.

    Args:
        found: what `findings.describe` returns, with two conditions at least.
        title: of the data set.
    """
    measures = [one for one in found["measures"] if one["layers"]]
    pairs = spread(measures[0]["layers"][0]["comparisons"], PAIRS)
    names = [(pair["first"], pair["second"]) for pair in pairs]
    layers = most_layers(len(measures) * len(names))
    blocks = [(measure, list(_rows(measure, names, layers))) for measure in measures]
    height = sum(CLAIM + ROW * len(rows) for _, rows in blocks)
    top = HEADER + 0.2
    page = Page(WIDTH, top + height + 0.8 + FOOTER)
    axes = page.axes(TEXT, top, WIDTH - TEXT - NUMBERS - MARGIN, height)
    ratio_axis(axes, height)
    place = 0.0
    for measure, rows in blocks:
        axes.axhline(place + 0.06, color=FAINT, lw=0.7)
        page.text(MARGIN, top + place + 0.26, heading(measure), 10.5, bold=True)
        place += CLAIM
        for words, comparison in rows:
            page.text(MARGIN + 0.42, top + place + 0.17, words, 10, colour=INK)
            axes.plot([1, 1], [place, place + ROW], color=SOFT, lw=1, solid_capstyle="butt", zorder=1)
            _draw(axes, comparison, place + ROW / 2)
            colour = SOFT if comparison["scale"] == "ratio" else COLOURS[comparison["verdict"]]
            page.text(WIDTH - MARGIN, top + place + 0.17, _numbers(comparison), 9, colour=colour, ha="right")
            place += ROW
    study = found["study"]
    most = max(len(measure["layers"]) for measure in measures)
    number = len(measures[0]["layers"][0]["comparisons"])
    several = len(study["runs"]) > 1
    one = f" {names[0][0]} against {names[0][1]}." if len(names) == 1 else ""
    page.frame(
        "Conditions compared",
        f"Each measure of each layer, how many times as large it is in one condition as in another.{one}",
        [
            title,
            f"n = {count(len(study['runs']), 'run')} \u00d7 {count(study['repeats'], 'repeat')} "
            "for each condition",
            f"space: {found['space']}",
            "bars: 95 % interval (hierarchical bootstrap, Student's t)"
            if several
            else "one run: no intervals",
            "blue: higher, orange: lower, grey: undecided" if several else "",
            "differences in numbers" if _differences(measures) else "",
            "p: exact, and the least that n allows" if several else "",
            f"{layers} of {most} layers" if layers < most else "",
            f"{len(names)} of {number} pairs" if len(names) < number else "",
        ],
    )
    return page.figure


def _rows(
    measure: Mapping[str, Any], pairs: Sequence[tuple[str, str]], layers: int
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for layer in spread(measure["layers"], layers):
        of = {(one["first"], one["second"]): one for one in layer["comparisons"]}
        for first, second in pairs:
            words = [shortened(layer["layer"], 34)] if layer["layer"] else []
            if len(pairs) > 1 or not words:
                words.append(f"{shortened(first, 18)} / {shortened(second, 18)}")
            yield "   ".join(words), of[first, second]


def _draw(axes: Axes, comparison: Mapping[str, Any], y: float) -> None:
    """Draw the interval and the estimate of a ratio; what lies beyond the axis is cut off, with an arrow."""
    if comparison["effect"] is None or comparison["scale"] != "ratio":
        return
    colour = COLOURS[comparison["verdict"]]
    if comparison["interval"]:
        low, high = comparison["interval"]
        ends = np.clip([low, high], 1 / REACH, REACH)
        axes.plot(ends, [y, y], color=colour, lw=2.2, solid_capstyle="butt", zorder=3)
        for beyond, limit, marker in ((low < 1 / REACH, 1 / REACH, "<"), (high > REACH, REACH, ">")):
            if beyond:
                axes.plot([limit], [y], marker, color=colour, ms=6, mew=0, clip_on=False, zorder=3)
    estimate = np.clip(comparison["effect"], 1 / REACH, REACH)
    axes.plot([estimate], [y], "D", ms=6, color=colour, mew=0, zorder=5, clip_on=False)


def _numbers(comparison: Mapping[str, Any]) -> str:
    if comparison["effect"] is None:
        return "not computed"
    difference = comparison["scale"] != "ratio"
    text = f"{comparison['effect']:+.3g}" if difference else f"{comparison['effect']:.3g} times"
    if difference and comparison["interval"]:
        text += " ({:.2g} .. {:.2g})".format(*comparison["interval"])
    if comparison["p"] is not None:
        text += f", p = {comparison['p']:.2g} (\u2265 {comparison['p_floor']:.2g})"
    return text


def _differences(measures: Sequence[Mapping[str, Any]]) -> bool:
    return any(
        comparison["scale"] != "ratio"
        for measure in measures
        for layer in measure["layers"]
        for comparison in layer["comparisons"]
    )


def heading(measure: Mapping[str, Any]) -> str:
    """What a measure is and when it was taken."""
    return f"{measure['name'].replace('_', ' ').capitalize()}: {measure['text']}; {measure['when']}"


def most_layers(rows: int) -> int:
    """How many layers a page has room for, with this many rows for each."""
    return max(1, ROWS // rows)
