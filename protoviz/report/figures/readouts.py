"""Accuracy of the linear read-outs (G4): panel A along training, panel B at its end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from protoviz.report.figures.panels import epoch_axis
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
    message,
    styled,
)

NAMES = {"logistic": "Logistic regression", "svm": "Linear SVM", "adam": "Linear layer, Adam"}
SHORT = {"logistic": "Logistic", "svm": "SVM", "adam": "Adam"}
PANEL_HEIGHT = 3.5  # inches


@dataclass(frozen=True)
class _Accuracies:
    """Accuracy in percent by (condition, run, readout, epoch)."""

    table: Mapping[tuple[str, int, str, int], float]
    conditions: list[str]
    runs: list[int]
    readouts: list[str]
    epochs: list[int]

    @classmethod
    def of(cls, rows: Sequence[Mapping[str, str]]) -> "_Accuracies":
        table = {
            (row["condition"], int(row["run"]), row["readout"], int(row["epoch"])): float(row["accuracy"])
            for row in rows
        }
        conditions, runs, readouts, epochs = (list(dict.fromkeys(axis)) for axis in zip(*table, strict=True))
        return cls(table, conditions, sorted(runs), readouts, sorted(epochs))

    def curve(self, condition: str, run: int, readout: str) -> list[float]:
        return [self.table.get((condition, run, readout, epoch), np.nan) for epoch in self.epochs]

    def at(self, epoch: int, condition: str, readout: str) -> list[float]:
        """One value for each run that has one."""
        keys = [(condition, run, readout, epoch) for run in self.runs]
        return [self.table[key] for key in keys if key in self.table]


@styled
def probe(rows: Sequence[Mapping[str, str]], classes: int, title: str, first: str = "untrained") -> Figure:
    """G4: test accuracy of each read-out, along training (A) and at its end (B).

    Args:
        rows: condition, run, epoch, readout, accuracy in percent, as text; conditions in the order of
            their colours.
        classes: number of classes, which sets the level of chance.
        title: of the data set.
        first: what the network of epoch 0 is called.
    """
    heading = "How much of the classes a linear read-out finds"
    if not rows:
        return message(heading, "No accuracy was measured.", [title])
    data = _Accuracies.of(rows)
    colour, chance = colours(data.conditions), 100 / classes
    panels = len(data.readouts)
    names = 0.3 + 0.115 * max(len(name) for name in data.conditions)
    left, gap, space = MARGIN + 0.65, 0.28, 0.6
    # B is as wide as one panel and a half.
    width = (WIDTH - left - MARGIN - names - space - gap * (panels - 1)) / (panels + 1.5)
    top = HEADER + 0.45
    page = Page(WIDTH, top + PANEL_HEIGHT + 0.7 + FOOTER)
    highest = max(data.table.values())
    limits = (0.0, min(100.0, 1.12 * max(highest, chance)))

    for k, readout in enumerate(data.readouts):
        axes = page.axes(left + k * (width + gap), top, width, PANEL_HEIGHT)
        _dress(axes, limits, chance, labelled=k == 0)
        axes.set_title(NAMES.get(readout, readout))
        ends = _training(axes, data, readout, colour)
        if k == panels - 1:
            end_labels(axes, ends, colour)
    right = left + panels * (width + gap) - gap + names + space
    axes = page.axes(right, top, 1.5 * width, PANEL_HEIGHT)
    _dress(axes, limits, chance, labelled=False)
    axes.set_title(f"After epoch {data.epochs[-1]}" if data.epochs[-1] else first.capitalize())
    _final(axes, data, colour, first)
    for letter, place in (("A", MARGIN), ("B", right - 0.42)):
        page.text(place, top - 0.14, letter, 15, bold=True)

    trained = data.epochs[-1] > 0
    page.frame(
        heading,
        "Test accuracy on frozen features, a line and a point for each run"
        + (f"; bars: mean over runs, dotted: {first}." if trained else "; bars: mean over runs."),
        [
            title,
            f"n = {count(len(data.runs), 'run')} for each condition",
            f"{classes} classes, chance {chance:.3g} %",
            "" if 0 in data.epochs else "epoch 0 was not measured",
        ],
    )
    return page.figure


def _dress(axes: Axes, limits: tuple[float, float], chance: float, *, labelled: bool) -> None:
    axes.set_ylim(*limits)
    axes.locator_params(axis="y", nbins=6)
    axes.grid(axis="y", color=FAINT, lw=0.7)
    axes.axhline(chance, color=SOFT, lw=1, ls=(0, (4, 3)))
    if labelled:
        axes.set_ylabel("test accuracy (%)")
        axes.text(
            0.97, chance, "chance", transform=axes.get_yaxis_transform(), ha="right", va="bottom", color=SOFT
        )
    else:
        axes.tick_params(axis="y", labelleft=False)


def _training(axes: Axes, data: _Accuracies, readout: str, colour: Mapping[str, str]) -> dict[str, float]:
    """Draw a line for each run; return where the lines of each condition end on average."""
    horizontal = epoch_axis(data.epochs)
    ends = {}
    for condition in data.conditions:
        for run in data.runs:
            values = data.curve(condition, run, readout)
            axes.plot(
                horizontal.x, values, color=colour[condition], lw=1.8, marker="o", ms=4, mew=0, alpha=0.85
            )
        final = data.at(data.epochs[-1], condition, readout)
        if final:
            ends[condition] = float(np.mean(final))
    horizontal.dress(axes)
    axes.margins(x=0.06)
    return ends


def _final(axes: Axes, data: _Accuracies, colour: Mapping[str, str], first: str) -> None:
    """Draw a point for each run, a bar and a number for the mean, and the level of epoch 0 by read-out."""
    last, number = data.epochs[-1], len(data.conditions)
    apart = 0.7 / number
    for k, readout in enumerate(data.readouts):
        before = [value for name in data.conditions for value in data.at(0, name, readout)]
        if before and last > 0:
            level = float(np.mean(before))
            axes.plot([k - 0.42, k + 0.42], [level, level], color=SOFT, lw=1.4, ls=":")
            if k == 0:
                axes.annotate(
                    first, (k - 0.42, level), (0, -3), textcoords="offset points", va="top", color=SOFT
                )
        for j, condition in enumerate(data.conditions):
            values = data.at(last, condition, readout)
            if not values:
                continue
            x, mean = k + (j - (number - 1) / 2) * apart, float(np.mean(values))
            axes.plot([x - 0.4 * apart, x + 0.4 * apart], [mean, mean], color=colour[condition], lw=2)
            spread = (np.arange(len(values)) - (len(values) - 1) / 2) * 0.16 * apart
            axes.plot(x + spread, values, "o", ms=6, color=colour[condition], mec="white", mew=0.8)
            if number * len(data.readouts) <= 9:  # more would overlap
                axes.annotate(
                    f"{mean:.1f}",
                    (x, max(values)),
                    (0, 7),
                    textcoords="offset points",
                    ha="center",
                    color=colour[condition],
                    weight="bold",
                    fontsize=11,
                )
    axes.set_xticks(range(len(data.readouts)), [SHORT.get(name, name) for name in data.readouts])
    axes.set_xlim(-0.55, len(data.readouts) - 0.45)
    axes.set_xlabel("read-out")
