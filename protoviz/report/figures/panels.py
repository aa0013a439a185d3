"""A measure along training: one panel for each layer, a line for each run and repeat."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from protoviz.report.figures.style import (
    FAINT,
    FOOTER,
    HEADER,
    MARGIN,
    SOFT,
    WIDTH,
    Page,
    colours,
    count,
    end_labels,
    nothing,
)
from protoviz.report.text import broken, shortened
from protoviz.report.text import spread as evenly

Values = npt.NDArray[np.float64]

ACROSS = 4  # panels in a row
HEIGHT = 3.3  # inches of a panel
GAP, BELOW = 0.62, 0.7  # inches between panels, and under them for the axis
WIDE = 24  # letters under a panel, with spaces between names
LABELS, INTERVALS = 8, 5  # at most this many on an axis; fewer if they are long
LAYERS = 40  # panels of a page; if there are more layers, this many evenly spaced ones
COUNT = 0.8  # inches that the number of a layer's units takes in the title of its panel
LARGE, SMALL_LETTER = 0.115, 0.072  # inches of a letter of its name, in 13 points and in 8
NAME = 20  # letters of a condition's name beside a panel
SUPERSCRIPT = str.maketrans(
    "-0123456789", "\u207b\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079"
)


@dataclass(frozen=True)
class Curve:
    """One line of one panel; values are NaN where no unit is alive."""

    condition: str
    layer: str
    units: int
    values: Values


@dataclass(frozen=True)
class Horizontal:
    """Where to draw each value, and a function that labels the axis accordingly."""

    x: Values
    dress: Callable[[Axes], None]


def epoch_axis(epochs: Sequence[int]) -> Horizontal:
    """The horizontal axis of measures taken at epochs.

    Evenly spaced epochs are on a linear axis. Others (0, 1, 2, 4, 8, ...) are on one that is linear from
    0 to 1 and logarithmic from there, so that each doubling is as long as the first epoch.
    """
    exact = np.asarray(epochs, float)
    even = len(set(np.diff(exact))) <= 1
    x = exact if even else np.where(exact <= 1, exact, 1 + np.log2(np.maximum(exact, 1)))
    shown = spread(x, _fitting(LABELS, 3, [str(epoch) for epoch in epochs]))

    def dress(axes: Axes) -> None:
        axes.set_xticks(x[shown], [str(epochs[i]) for i in shown])
        axes.set_xlabel("epoch" if even else "epoch (log spacing)")

    return Horizontal(x, dress)


def spread(x: Values, most: int = LABELS) -> list[int]:
    """Which places to label: the first, the last, and those between for which there is room."""
    if len(x) == 1:
        return [0]
    room = (x[-1] - x[0]) / (most - 0.5)
    chosen = [len(x) - 1]
    for i in range(len(x) - 2, 0, -1):
        if x[chosen[-1]] - x[i] >= room and x[i] - x[0] >= room:
            chosen.append(i)
    return [0, *reversed(chosen)]


def _fitting(most: int, letters: int, names: Sequence[str]) -> int:
    """How many names fit under a panel: `most` of up to `letters` letters, fewer if longer, at least two."""
    longest = max(map(len, names))
    return most if longest <= letters else max(2, WIDE // (longest + 1))


def interval_axis(intervals: Sequence[tuple[int, int]]) -> Horizontal:
    """The horizontal axis of measures taken between two epochs: one place for each, in order."""
    x = np.arange(len(intervals), dtype=float)
    names = ["{}\u2013{}".format(*interval) for interval in intervals]
    shown = spread(x, _fitting(INTERVALS, 7, names))

    def dress(axes: Axes) -> None:
        axes.set_xticks(shown, [names[i] for i in shown])
        axes.set_xlabel("between epochs")

    return Horizontal(x, dress)


def panels(
    curves: Sequence[Curve],
    horizontal: Horizontal,
    *,
    heading: str,
    explanation: str,
    y_label: str,
    measure: str,
    caption: Sequence[str],
    lines: str,
    from_zero: bool = False,
    chance: float | None = None,
) -> Figure:
    """One panel for each layer: a thin line for each curve, a thick one for the mean of a condition.

    Args:
        curves: of all layers and conditions, conditions in the order of their colours.
        horizontal: the axis that all panels have.
        heading: of the page.
        explanation: the line under the heading.
        y_label: what is measured, in words.
        measure: its name, which is given in place of a unit.
        caption: parts of the small print.
        lines: what a line stands for.
        from_zero: whether the vertical axes begin at zero.
        chance: the value expected by chance, drawn as a dashed line.
    """
    every = list(dict.fromkeys(curve.layer for curve in curves))
    layers = evenly(every, LAYERS)
    conditions = list(dict.fromkeys(curve.condition for curve in curves))
    colour = colours(conditions)
    power = _power(curves)
    unit = f"10{str(power).translate(SUPERSCRIPT)} {measure}" if power else measure
    rows = -(-len(layers) // ACROSS)
    left, top = MARGIN + 0.6, HEADER + 0.4
    # Inches for the names at the right.
    names = 0.25 + 0.115 * max(len(shortened(name, NAME)) for name in conditions)
    width = (WIDTH - left - MARGIN - names - GAP * (ACROSS - 1)) / ACROSS
    page = Page(WIDTH, top + rows * (HEIGHT + BELOW + 0.25) - 0.25 + FOOTER)
    ends: list[tuple[Axes, dict[str, float]]] = []
    for k, layer in enumerate(layers):
        row, column = divmod(k, ACROSS)
        place = left + column * (width + GAP), top + row * (HEIGHT + BELOW + 0.25)
        axes = page.axes(*place, width, HEIGHT)
        mine = [curve for curve in curves if curve.layer == layer]
        _title(axes, layer, width - COUNT)
        axes.set_title(count(mine[0].units, "unit"), loc="right", color=SOFT, size=10.5, weight="normal")
        if not any(np.isfinite(curve.values).any() for curve in mine):
            nothing(axes, "no live units, or too few to compare")
            continue
        if column == 0 or not ends:
            axes.set_ylabel(f"{y_label} ({unit})")
        ends.append((axes, draw_lines(axes, mine, horizontal.x, colour, 10.0**-power)))
        horizontal.dress(axes)
        axes.margins(x=0.04, y=0.08)
        if from_zero:
            axes.set_ylim(0, None)
        if chance is not None:
            axes.axhline(chance * 10.0**-power, color=SOFT, lw=1, ls=(0, (4, 3)))
        axes.grid(axis="y", color=FAINT, lw=0.7)
        axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10], min_n_ticks=3))
    if ends:
        # The names of the conditions are beside the last panel that has the most of them.
        most = max(len(names_of) for _, names_of in ends)
        axes, names_of = [panel for panel in ends if len(panel[1]) == most][-1]
        short = {name: shortened(name, NAME) for name in conditions}
        end_labels(
            axes,
            {short[name]: end for name, end in names_of.items()},
            {short[name]: colour[name] for name in conditions},
        )
    several = len(curves) > len(every) * len(conditions)
    fewer = f"{len(layers)} of {len(every)} layers" if len(layers) < len(every) else ""
    page.frame(heading, explanation, [*caption, f"thin: {lines}, thick: mean" if several else "", fewer])
    return page.figure


def _title(axes: Axes, layer: str, room: float) -> None:
    """The name of a layer above its panel; a long one in two small lines."""
    if len(layer) * LARGE <= room:
        axes.set_title(layer)
        return
    letters = max(8, int(room / SMALL_LETTER))
    lines = broken(shortened(layer, 2 * letters - 2), letters)
    axes.set_title("\n".join(lines[:2]) if len(lines) < 3 else shortened(layer, letters), size=8)


def draw_lines(
    axes: Axes, curves: Sequence[Curve], x: Values, colour: dict[str, str], scale: float
) -> dict[str, float]:
    """Draw the lines of one panel; return where the mean of each condition ends."""
    ends = {}
    dot = 2.6 if len(x) > 1 else 6
    for name in colour:
        lines = [curve.values * scale for curve in curves if curve.condition == name]
        if not lines:
            continue
        for values in lines:
            axes.plot(x, values, color=colour[name], lw=1.1, alpha=0.55, marker="o", ms=dot, mew=0)
        mean = finite_mean(np.stack(lines), axis=0)
        if len(lines) > 1:
            axes.plot(x, mean, color=colour[name], lw=2.6)
        if np.isfinite(mean).any():
            ends[name] = float(mean[np.isfinite(mean)][-1])
    return ends


def _power(curves: Sequence[Curve]) -> int:
    """The power of 1000, as an exponent of 10, that leaves the largest value between 1 and 1000."""
    largest = max(
        (float(np.nanmax(curve.values)) for curve in curves if np.isfinite(curve.values).any()), default=0
    )
    return 3 * int(np.floor(np.log10(largest) / 3)) if largest > 0 else 0


def finite_mean(values: Values, axis: int) -> Values:
    """Mean of the values that are finite; NaN, without a warning, where there are none."""
    number = np.isfinite(values).sum(axis=axis)
    return np.where(number > 0, np.nansum(values, axis=axis) / np.maximum(number, 1), np.nan)
