"""The style of every figure: one page, one typeface, one colour for each condition, reproducible bytes."""

import functools
import textwrap
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import matplotlib.style
import numpy as np
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from protoviz import files
from protoviz.report.palette import colours as colours

P = ParamSpec("P")
R = TypeVar("R")

INK, SOFT, FAINT = "#222222", "#666666", "#DDDDDD"
WIDTH = 13.33  # inches, a wide slide: sizes of type below are in points at this width
MARGIN = 0.45  # inches, left and right of everything

TYPEFACE = "DejaVu Sans"
STYLE = {
    # Named outright: "sans-serif" would be looked up in the user's settings when the file is written.
    "font.family": TYPEFACE,
    "font.size": 12,
    "text.color": INK,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.titlelocation": "left",
    "axes.titlesize": 13,
    "axes.titleweight": "bold",
    "axes.titlepad": 10,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 11,
    "ytick.labelsize": 11,
    "xtick.major.size": 3,
    "ytick.major.size": 0,
    "xtick.major.pad": 5,
    "lines.solid_capstyle": "round",
    "hatch.linewidth": 0.6,
}


def keep_own_typeface() -> None:
    """Let Matplotlib find the files of the typeface that come with it alone.

    The system may have others, such as those of a browser, whose other version changes the bytes of a figure.
    """
    manager, own = font_manager.fontManager, Path(matplotlib.get_data_path())
    others = [font for font in manager.ttflist if font.name != TYPEFACE]
    ours = [font for font in manager.ttflist if font.name == TYPEFACE and own in Path(font.fname).parents]
    if ours:
        manager.ttflist = others + ours


keep_own_typeface()


def styled(draw: Callable[P, R]) -> Callable[P, R]:
    """Draw in the style of this module, whatever the user's own settings of matplotlib are."""

    @functools.wraps(draw)
    def inner(*args: P.args, **kwargs: P.kwargs) -> R:
        with matplotlib.style.context(["default", STYLE]):
            return draw(*args, **kwargs)

    return inner


@styled
def save(figure: Figure, path: str | Path, dpi: int) -> None:
    """Write a figure as PNG or PDF. The same figure gives the same bytes: no date, no version in the file.

    A PNG without pictures gets a palette of 256 colours, which takes a third of the space.

    Args:
        figure: to write.
        path: ends in .png or .pdf.
        dpi: of a PNG.
    """
    with files.complete(path) as partial:
        if Path(path).suffix == ".pdf":
            unsaid = {"CreationDate": None, "Creator": None, "Producer": None}
            figure.savefig(partial, format="pdf", metadata=unsaid)
        elif has_pictures(figure):
            figure.savefig(partial, format="png", dpi=dpi, metadata={"Software": None})
        else:
            raster(figure, dpi).quantize(256).save(partial, format="png", optimize=True)


def has_pictures(figure: Figure) -> bool:
    """Whether a figure shows pixels of prototypes, which a vector file would only embed."""
    return any(axes.images for axes in figure.axes)  # `findobj` would create every tick of every axis


@styled
def raster(figure: Figure, dpi: int) -> Image.Image:
    """The figure as pixels."""
    figure.set_dpi(dpi)
    canvas: Any = FigureCanvasAgg(figure)  # untyped
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3])


class Page:
    """A figure whose parts are placed in inches from its top left corner.

    Type grows with the width, so that a page fills a slide equally well whatever its size.
    """

    def __init__(self, width: float, height: float, dpi: float = 100) -> None:
        self.width, self.height = width, height
        self.scale = width / WIDTH
        self.figure = Figure(figsize=(width, height), dpi=dpi, facecolor="white")

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        """New axes of this size with their top left corner at this place."""
        return self.figure.add_axes(
            (
                left / self.width,
                (self.height - top - height) / self.height,
                width / self.width,
                height / self.height,
            )
        )

    def text(
        self,
        left: float,
        top: float,
        text: str,
        size: float,
        *,
        colour: str = INK,
        ha: str = "left",
        va: str = "baseline",
        bold: bool = False,
    ) -> None:
        """Text at this place, `size` points large at the standard width."""
        self.figure.text(
            left / self.width,
            1 - top / self.height,
            text,
            fontsize=size * self.scale,
            color=colour,
            ha=ha,
            va=va,
            weight="bold" if bold else "normal",
            linespacing=1.35,
        )

    def frame(self, heading: str, explanation: str, caption: Iterable[str]) -> None:
        """The heading and one line under it at the top; the small print, joined by dots, at the bottom."""
        left = MARGIN * self.scale
        self.text(left, 0.55 * self.scale, heading, 20, bold=True)
        self.text(left, 0.88 * self.scale, explanation, 12.5, colour=SOFT)
        lines = "\n".join(_lines([part for part in caption if part]))
        self.text(left, self.height - 0.25 * self.scale, lines, SMALL, colour=SOFT, va="bottom")


SMALL = 9.5  # points of the small print
LETTERS = 178  # letters of the small print that fill a line
HEADER = 1.05  # inches that the heading of a page takes at the standard width
FOOTER = 0.7  # and the small print, two or three lines


def _lines(parts: Iterable[str]) -> list[str]:
    """Parts joined by dots, broken only between parts (or within one that is longer than a line)."""
    lines: list[str] = []
    for part in parts:
        if lines and len(lines[-1]) + len(part) + 3 <= LETTERS:
            lines[-1] += f" \u00b7 {part}"
        else:
            lines += textwrap.wrap(part, LETTERS)
    return lines


def message(heading: str, text: str, caption: Iterable[str]) -> Figure:
    """A page that says in words why there is nothing to draw."""
    page = Page(WIDTH, 3.2)
    page.frame(heading, "", caption)
    page.text(MARGIN, 1.45, text, 14)
    return page.figure


def count(number: int, noun: str) -> str:
    """A number and what it counts: 1 run, 2 runs."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def end_labels(
    axes: Axes, ends: Mapping[str, float], colour: Mapping[str, str], apart: float = 0.075
) -> None:
    """Names at the right end of curves, in their colours, moved apart where they would overlap.

    Args:
        axes: finished but for the names.
        ends: name -> where its curve ends, in data.
        colour: name -> colour.
        apart: least distance between two names, as a share of the height.
    """
    low, high = axes.get_ylim()
    places = sorted((((end - low) / (high - low)), name) for name, end in ends.items())
    heights = [height for height, _ in places]
    for i in range(1, len(heights)):
        heights[i] = max(heights[i], heights[i - 1] + apart)
    # What was pushed up comes down by half, so that a pair is centred on its two ends
    # (but not below the axis).
    excess = [moved - height for moved, (height, _) in zip(heights, places, strict=True)]
    shift = min(max(excess, default=0.0) / 2, heights[0] - 0.03) if heights else 0.0
    for height, (_, name) in zip(heights, places, strict=True):
        axes.text(
            1.03,
            height - shift,
            name,
            transform=axes.transAxes,
            color=colour[name],
            weight="bold",
            va="center",
        )


def nothing(axes: Axes, why: str) -> None:
    """Replace axes by a line of words, so that a panel without data does not show a meaningless scale."""
    axes.set_xticks([])
    axes.set_yticks([])
    for side in axes.spines.values():
        side.set_visible(False)
    axes.set_facecolor("#F5F5F5")
    axes.text(0.5, 0.5, why, transform=axes.transAxes, ha="center", va="center", color=SOFT)
