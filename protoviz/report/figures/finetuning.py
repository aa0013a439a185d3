"""The figures of study B: prototypes by unit, layer and training state (Q6), and their map (Q7)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from protoviz.report.figures.pictures import Blocks, Images, hatched, mosaic
from protoviz.report.figures.style import HEADER, INK, MARGIN, SMALL, SOFT, WIDTH, Page, count, styled
from protoviz.store import attributes, schema, schema_projection
from protoviz.store.channels import as_rgb, squared

LABELS = 1.85  # inches to the left of the grid
FEET = 0.75  # inches under a map, for the scale of depth
BETWEEN = 0.25  # inches between panels
NAME = 0.35  # inches over a panel, for its name
FLATTEST = 0.4  # a panel's height as a share of its width
DEPTH = "viridis"
TINY = 8  # points, size of the names over the columns
LETTERS = 10  # of a line of such a name
SIDE = 1 / 30  # of a picture on a map, as a share of the map's
NARROW = 0.05  # of the scale of depth: narrower than a label
POINT = 14  # square points

Colours = NDArray[np.floating]


@styled
def state_grid(cube: xr.Dataset, layers: int, title: str, dpi: int) -> Figure:
    """Q6: units x layers x states; columns are layers from the first to the last, blocks of rows are states.

    Args:
        cube: the prototypes of study B, one condition, run and repeat.
        layers: how many, evenly spaced in depth.
        title: of the study.
        dpi: at which the figure will be saved.
    """
    images, alive = _shown(cube), _first(cube[schema.STATUS]) == schema.Status.CONVERGED
    slices = schema.layer_slices(cube[schema.LAYER].to_numpy())
    names = list(slices)
    shown = [
        names[k]
        for k in np.unique(np.linspace(0, len(names) - 1, min(layers, len(names))).round().astype(int))
    ]
    units = min(slices[name].stop - slices[name].start for name in shown)
    size = images.shape[2]
    blocks = Blocks.fit(size, len(shown), 1, dpi, gap=(2, 2), left=LABELS)
    top, between = (HEADER + 0.65) * blocks.scale, 0.22 * blocks.scale
    height = blocks.height(units)
    states = [str(name) for name in cube[schema.CHECKPOINT].to_numpy()]
    page = blocks.page(top + len(states) * height + (len(states) - 1) * between)
    for k, name in enumerate(shown):
        middle = blocks.left(0) + (k + 0.5) * blocks.step_x
        page.figure.text(
            middle / page.width,
            1 - (top - 0.08 * page.scale) / page.height,
            "\n".join(_lines(name)),
            fontsize=TINY * page.scale,
            color=INK,
            ha="center",
            va="bottom",
        )
    for epoch, state in enumerate(states):
        above = top + epoch * (height + between)
        rows = []
        for unit in range(units):
            places = [slices[name].start + unit for name in shown]
            whole = np.where(alive[epoch, places][:, None, None, None], images[epoch, places], hatched(size))
            rows.append(whole)
        blocks.draw(page, mosaic(np.concatenate(rows), len(shown), blocks.gap), blocks.left(0), above)
        page.text(MARGIN * page.scale, above + 0.2 * page.scale, state, 13, bold=True)
        page.text(
            MARGIN * page.scale, above + 0.45 * page.scale, f"{count(units, 'unit')} each", SMALL, colour=SOFT
        )
    dead = int((~alive).sum())
    page.frame(
        "What units of each layer respond to, at each stage of training",
        "The same units in the same places: layers from the image to the classifier, training downwards.",
        [
            title,
            f"{len(shown)} of {count(len(names), 'convolution')}",
            "response before the non-linearity, image in the Fourier basis",
            f"hatched: without a prototype ({dead} in all)" if dead else "",
        ],
    )
    return page.figure


@styled
def state_maps(
    cube: xr.Dataset, maps: xr.Dataset, variable: str, title: str, *, pictures: bool = False
) -> Figure:
    """Q7: a panel for each state, a point for each prototype, coloured by depth; or the images themselves.

    Args:
        cube: the prototypes of study B.
        maps: their places (schema_projection.PROJECTION).
        variable: `position`, the map that all states share, or `position_alone`, `position_aligned`.
        title: of the study.
        pictures: draw each prototype in place of its point, in a frame of its colour.
    """
    places = _first(maps[variable])
    shared = variable != schema_projection.POSITION_ALONE
    depth, layers = _depths(cube)
    states = [str(name) for name in cube[schema.CHECKPOINT].to_numpy()]
    columns = 1 if pictures else len(states)
    rows = len(states) // columns
    middles, halves = _views(places, shared)
    width = (WIDTH - 2 * MARGIN - BETWEEN * (columns - 1)) / columns
    height = width * halves[1] / halves[0]
    step = height + NAME + BETWEEN
    foot = HEADER + rows * step
    page = Page(WIDTH, foot + FEET + 0.45)
    colours = colormaps[DEPTH](Normalize(0, max(1, len(layers) - 1))(depth))
    for epoch, state in enumerate(states):
        row, column = divmod(epoch, columns)
        axes = page.axes(MARGIN + column * (width + BETWEEN), HEADER + NAME + row * step, width, height)
        _frame(axes, middles[epoch], halves)
        if variable == schema_projection.POSITION:
            axes.scatter(
                places[..., 0].ravel(), places[..., 1].ravel(), s=POINT / 3, c="#E8E8E8", linewidths=0
            )
        if pictures:
            _pictures(axes, places[epoch], _shown(cube)[epoch], colours)
        else:
            axes.scatter(places[epoch, :, 0], places[epoch, :, 1], s=POINT, c=colours, linewidths=0)
        axes.set_title(state)
    _scale(page, foot + 0.05, layers)
    what = {
        schema_projection.POSITION: "One map of all stages, each panel shows one of them; grey: the others.",
        schema_projection.POSITION_ALONE: "Each stage on a map of its own: panels do not compare.",
        schema_projection.POSITION_ALIGNED: "A map of each stage, aligned by the same units.",
    }[variable]
    missing = int((~np.isfinite(places).all(-1)).sum())
    page.frame(
        "A map of the prototypes at each stage of training",
        what,
        [
            title,
            f"{count(places.shape[1], 'unit')} of {count(len(layers), 'convolution')}",
            f"UMAP of their embedding by `{attributes.read(maps)['embedder']}`",
            f"{missing} without a prototype" if missing else "",
            "points: pictures would overlap" if pictures else "",
        ],
    )
    return page.figure


def _shown(cube: xr.Dataset) -> Images:
    """The images as RGB squares, see `channels`."""
    images: Any = _first(cube[schema.IMAGE])
    return squared(as_rgb(images), -3)


def _lines(name: str) -> list[str]:
    """The name of a layer, broken at its dots: "layer1.0.conv3" over a column is two lines."""
    lines = [""]
    for part in name.split("."):
        longer = f"{lines[-1]}.{part}".lstrip(".")
        if len(longer) > LETTERS and lines[-1]:
            lines.append(part)
        else:
            lines[-1] = longer
    return lines


def _first(array: xr.DataArray) -> NDArray[np.generic]:
    """The array of the first condition, run and repeat: (epoch, unit, ...)."""
    outer = (schema.CONDITION, schema.RUN, schema.REPEAT)
    return array.isel(dict.fromkeys(outer, 0)).to_numpy()


def _depths(cube: xr.Dataset) -> tuple[NDArray[np.int64], list[str]]:
    """The place of each unit's layer in the order of the network, and the layers."""
    slices = schema.layer_slices(cube[schema.LAYER].to_numpy())
    sizes = [some.stop - some.start for some in slices.values()]
    return np.repeat(np.arange(len(sizes)), sizes), list(slices)


def _views(places: NDArray[np.generic], shared: bool) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Views of panels with places (state, unit, 2): their middles (state, 2) and half of their extents (2,).

    All panels and both axes have one scale, as tight as the largest allows; if the map is shared, one view.
    """
    low, high = np.nanmin(places, 1), np.nanmax(places, 1)
    if shared:
        low, high = np.broadcast_to(low.min(0), low.shape), np.broadcast_to(high.max(0), high.shape)
    halves = 0.54 * (high - low).max(0)
    return (low + high) / 2, np.maximum(halves, [halves[1], halves[0] * FLATTEST]) + 1e-6


def _frame(axes: Axes, middle: NDArray[np.floating], half: NDArray[np.floating]) -> None:
    """Set a view without a scale: on a UMAP map only neighbourhood has a meaning."""
    axes.set(xlim=(middle[0] - half[0], middle[0] + half[0]), ylim=(middle[1] - half[1], middle[1] + half[1]))
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(True)
        spine.set_color("#CCCCCC")


def _pictures(axes: Axes, places: NDArray[np.generic], images: Images, colours: Colours) -> None:
    """Draw small images at their places, framed in their colours; a point if one would cover another."""
    bottom, (low, high) = axes.get_ylim(), axes.get_xlim()
    half = (high - low) * SIDE / 2
    drawn: list[NDArray[np.generic]] = []
    for place, image, colour in zip(places, images, colours, strict=True):
        if not np.isfinite(place).all():
            continue
        if any(np.abs(place - other).max() < 2 * half for other in drawn):
            axes.scatter(place[0], place[1], s=POINT, color=colour, linewidths=0, zorder=1)
            continue
        drawn.append(place)
        x, y = place
        bounds = (x - half, x + half, y - half, y + half)
        axes.imshow(image, extent=bounds, interpolation="nearest", zorder=2, aspect="auto")
        axes.plot(
            [x - half, x + half, x + half, x - half, x - half],
            [y - half, y - half, y + half, y + half, y - half],
            color=colour,
            linewidth=1.2,
            zorder=3,
        )
    axes.set(xlim=(low, high), ylim=bottom)


def _scale(page: Page, top: float, layers: Sequence[str]) -> None:
    """Draw the colour scale of depth, with the names of the blocks of layers where they begin."""
    width = 6.0
    axes = page.axes((WIDTH - width) / 2, top, width, 0.14)
    axes.imshow(np.arange(len(layers))[None], cmap=DEPTH, aspect="auto")
    blocks = [layer.split(".")[0] for layer in layers]
    starts = [k for k, block in enumerate(blocks) if k == 0 or block != blocks[k - 1]]
    axes.set_xticks(starts, [blocks[k] for k in starts], fontsize=SMALL)
    widths = np.diff([*starts, len(layers)]) / len(layers)
    for label, share in zip(axes.get_xticklabels(), widths, strict=True):
        label.set_horizontalalignment("right" if share < NARROW else "left")
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
