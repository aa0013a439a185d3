"""The findings at a glance: every effect of every claim with its interval, on one logarithmic axis."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from protoviz.report.figures.style import FAINT, FOOTER, HEADER, INK, MARGIN, SOFT, WIDTH, Page, count, styled
from protoviz.report.palette import PALETTE

ROW, CLAIM = 0.27, 0.36  # inches of an effect, and of a claim above its effects
TEXT, VERDICT = 5.6, 1.35  # inches for the words at the left, and for the verdict at the right
REACH = 32.0  # the axis goes from 1 / REACH to REACH; what lies beyond is cut off, with an arrow
COLOURS = {"supported": PALETTE[0], "not supported": PALETTE[1], "undecided": SOFT, "not computed": SOFT}
TICKS = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8, 16, 32)


@styled
def forest(found: Mapping[str, Any], title: str) -> Figure:
    """Estimates and intervals of all effects, the side that the paper claims, and the verdicts.

    Args:
        found: what `findings.collect` returns, or what metrics/findings.json holds.
        title: of the data set.
    """
    findings = found["findings"]
    rows = sum(max(1, len(one["effects"])) for one in findings)
    height = rows * ROW + len(findings) * CLAIM
    top = HEADER + 0.2
    page = Page(WIDTH, top + height + 0.8 + FOOTER)
    axes = page.axes(TEXT, top, WIDTH - TEXT - VERDICT - MARGIN, height)
    ratio_axis(axes, height)
    place = 0.0
    for finding in findings:
        page.text(MARGIN, top + place + 0.26, f"{finding['id']}  {finding['claim']}", 10.5, bold=True)
        right = WIDTH - MARGIN
        colour = COLOURS[finding["verdict"]]
        page.text(right, top + place + 0.26, finding["verdict"], 10.5, colour=colour, ha="right", bold=True)
        axes.axhline(place + 0.06, color=FAINT, lw=0.7)
        place += CLAIM
        for effect in finding["effects"]:
            page.text(MARGIN + 0.42, top + place + 0.17, effect["quantity"], 10, colour=INK)
            _draw(axes, effect, place + ROW / 2)
            page.text(right, top + place + 0.17, _numbers(effect), 9, colour=SOFT, ha="right")
            place += ROW
        if not finding["effects"]:
            page.text(MARGIN + 0.42, top + place + 0.17, "; ".join(finding["missing"])[:90], 10, colour=SOFT)
            place += ROW
    runs, repeats = len(found["study"]["runs"]), found["study"]["repeats"]
    page.frame(
        "Findings of the paper, held against this study",
        "Each effect is a ratio; the shaded side of 1 is the one that the paper says.",
        [
            title,
            f"n = {count(runs, 'run')} \u00d7 {count(repeats, 'repeat')} for each condition",
            f"space: {findings[0]['space']}" if findings else "",
            "points: runs; bars: 95 % interval of their mean (hierarchical bootstrap, Student's t)",
            "blue: on the side of the paper, orange: on the other, grey: undecided",
            "p: exact, and the least that n allows",
        ],
    )
    return page.figure


def ratio_axis(axes: Axes, height: float) -> None:
    """Format axes of ratios, whose rows go from 0 at the top to `height` inches at the bottom."""
    axes.set_xscale("log", base=2)
    axes.set_xlim(1 / REACH, REACH)
    axes.set_ylim(height, 0)
    axes.set_yticks([])
    axes.set_xticks(TICKS, [f"{tick:g}" if tick >= 1 else f"1/{1 / tick:g}" for tick in TICKS])
    axes.minorticks_off()
    axes.set_xlabel("times as large")
    axes.spines["left"].set_visible(False)


def _draw(axes: Axes, effect: Mapping[str, Any], y: float) -> None:
    """Draw one row: the claimed side, the interval, the runs, the estimate."""
    claimed = (1, REACH) if effect["claim"] == "above" else (1 / REACH, 1)
    axes.fill_between(claimed, y - ROW * 0.42, y + ROW * 0.42, color="#EFEFEF", lw=0, zorder=0)
    axes.plot([1, 1], [y - ROW / 2, y + ROW / 2], color=SOFT, lw=1, solid_capstyle="butt", zorder=1)
    if effect["times"] is None:
        return
    colour = COLOURS[effect["verdict"]]
    if effect["interval"]:
        low, high = (float(np.clip(end, 1 / REACH, REACH)) for end in effect["interval"])
        axes.plot([low, high], [y, y], color=colour, lw=2.2, solid_capstyle="butt", zorder=3)
        for end, limit, marker in (
            (effect["interval"][0], 1 / REACH, "<"),
            (effect["interval"][1], REACH, ">"),
        ):
            if end < 1 / REACH if marker == "<" else end > REACH:
                axes.plot([limit], [y], marker, color=colour, ms=6, mew=0, clip_on=False, zorder=3)
    runs = np.clip(list(effect["per_run"].values()), 1 / REACH, REACH)
    axes.plot(
        runs, np.full(len(runs), y), "o", ms=4.5, color="white", mec=colour, mew=1, zorder=4, clip_on=False
    )
    axes.plot(
        [np.clip(effect["times"], 1 / REACH, REACH)],
        [y],
        "D",
        ms=6,
        color=colour,
        mew=0,
        zorder=5,
        clip_on=False,
    )


def _numbers(effect: Mapping[str, Any]) -> str:
    """The p of an effect and its floor."""
    return "" if effect["p"] is None else f"p = {effect['p']:.2g} (\u2265 {effect['p_floor']:.2g})"
