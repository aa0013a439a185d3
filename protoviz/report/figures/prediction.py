"""What prototypes predict: the correlation of each measure of each layer with accuracy, on one axis."""

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from protoviz.report.figures.style import (
    FAINT,
    FOOTER,
    HEADER,
    INK,
    MARGIN,
    SOFT,
    WIDTH,
    Page,
    message,
    styled,
)
from protoviz.report.palette import PALETTE
from protoviz.report.prediction_table import shown
from protoviz.report.text import shortened

ROW, MEASURE = 0.27, 0.36  # inches of a layer, and of the name of its measure above
TEXT, NUMBERS = 3.4, 3.0  # inches for the words at the left and the numbers at the right
KINDS = (("given_epoch", PALETTE[0], "D", -0.05), ("within_conditions", PALETTE[1], "o", 0.05))
WORDS = {
    "diversity": "diversity of prototypes",
    "consistency": "consistency over repeats",
    "participation_ratio": "dimension of responses to natural images",
    "faithfulness": "faithfulness of prototypes",
    "modes": "modes of a unit",
}


@styled
def prediction(found: Mapping[str, Any], title: str) -> Figure:
    """Partial correlations with probe accuracy, with their intervals.

    Args:
        found: what `findings.predicted` returns.
        title: of the data set.
    """
    heading = "What prototypes predict"
    rows = shown(found["rows"])
    if not rows:
        return message(heading, "; ".join(found["missing"]), [title])
    measures = list(dict.fromkeys(row["measure"] for row in rows))
    height = len(rows) * ROW + len(measures) * MEASURE
    top = HEADER + 0.2
    page = Page(WIDTH, top + height + 0.8 + FOOTER)
    axes = page.axes(TEXT, top, WIDTH - TEXT - NUMBERS - MARGIN, height)
    _dress(axes, height)
    place = 0.0
    for measure in measures:
        words = WORDS.get(measure, measure.replace("_", " "))
        page.text(MARGIN, top + place + 0.26, words, 10.5, bold=True)
        axes.axhline(place + 0.06, color=FAINT, lw=0.7)
        place += MEASURE
        for row in (one for one in rows if one["measure"] == measure):
            page.text(MARGIN + 0.42, top + place + 0.17, shortened(row["layer"], 30), 10, colour=INK)
            for name, colour, marker, shift in KINDS:
                _draw(axes, row[name], place + ROW / 2 + shift, colour, marker)
            told = "   ".join(_numbers(row[name]) for name, *_ in KINDS)
            page.text(WIDTH - MARGIN, top + place + 0.17, told, 9, colour=SOFT, ha="right")
            place += ROW
    networks = max(row["networks"] for row in rows)
    page.frame(
        heading,
        f"Partial correlation with accuracy ({found['readout']} read-out) over networks and epochs.",
        [
            title,
            f"{networks} networks",
            "blue diamonds: given the epoch; orange points: given the condition, too, over runs",
            "bars: 95 % interval (jackknife and bootstrap over runs, Student's t)",
            "p: exact, by exchange of whole networks, and the least that their number allows",
        ],
    )
    return page.figure


def _dress(axes: Axes, height: float) -> None:
    axes.set_xlim(-1.02, 1.02)
    axes.set_ylim(height, 0)
    axes.set_yticks([])
    axes.axvline(0, color=SOFT, lw=1)
    axes.grid(axis="x", color=FAINT, lw=0.7)
    axes.set_xlabel("partial correlation r")
    axes.spines["left"].set_visible(False)


def _draw(axes: Axes, told: Mapping[str, Any] | None, y: float, colour: str, marker: str) -> None:
    if told is None:
        return
    if told["interval"]:
        axes.plot(told["interval"], [y, y], color=colour, lw=1.8, zorder=3)
    axes.plot([told["r"]], [y], marker, ms=5.5, color=colour, mec="white", mew=0.6, zorder=4, clip_on=False)


def _numbers(told: Mapping[str, Any] | None) -> str:
    return "" if told is None else f"p = {told['p']:.2g} (\u2265 {told['p_floor']:.2g})"
