"""Grids of prototypes (G1): rows of the figure are layers, columns are conditions."""

from collections.abc import Iterable, Sequence

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from protoviz.report.figures.pictures import BETWEEN, Blocks, enlarged, enlargement, hatched, mosaic
from protoviz.report.figures.sample import Drawn, Masks, Sample, missing_masks, missing_prototypes
from protoviz.report.figures.style import HEADER, MARGIN, SMALL, SOFT, Page, colours, count, styled
from protoviz.report.text import broken, spread

LABELS = 1.6  # inches to the left of the grids
LAYERS = 40  # of a page; if there are more, this many evenly spaced ones
NAME, LINE = 10, 15  # letters of a layer's name that fit beside the grids, large and small


@styled
def prototype_grids(
    cube: xr.Dataset, masks: Masks, grid_units: int, title: str, dpi: int, *, masked: bool = True
) -> Figure:
    """G1: prototypes of every layer and condition at the last epoch, first run, first repeat.

    If the masks of a layer leave only the middle of its images, it is shown enlarged.

    Args:
        cube: the prototypes (protoviz.store.cube.open_cube).
        masks: the receptive fields of the first run by condition; None if there are none.
        grid_units: prototypes shown of each layer, from channel 0; all if a layer has fewer.
        title: of the data set.
        dpi: at which the figure will be saved.
        masked: whether to multiply each prototype by its layer's mask.
    """
    sample = Sample(cube, masks)
    conditions, epoch, layers = sample.conditions, sample.epochs[-1], sample.channels()
    shown = {layer: layers[layer][:grid_units] for layer in spread(list(layers), LAYERS)}
    columns = columns_of(max(map(len, shown.values())), len(conditions))
    blocks = Blocks.fit(sample.size, columns, len(conditions), dpi, gap=(2, 2), left=LABELS)
    between, top = BETWEEN * blocks.scale, (HEADER + 0.5) * blocks.scale
    heights = [blocks.height(-(-len(channels) // columns)) for channels in shown.values()]
    page = blocks.page(top + sum(heights) + between * (len(heights) - 1))

    for j, condition in enumerate(conditions):
        place = top - 0.16 * page.scale
        blocks.heading(page, j, place, condition, colours(conditions)[condition])
    without: list[str] = []
    dead, above, magnified = 0, top, False
    for (layer, channels), height in zip(shown.items(), heights, strict=True):
        drawn = {name: sample.draw(name, epoch, layer, channels, masked=masked) for name in conditions}
        found = [part.mask for part in drawn.values() if part.mask is not None]
        times = enlargement(found) if len(found) == len(conditions) else 1
        for j, (name, part) in enumerate(drawn.items()):
            draw_grid(page, blocks, part, times, blocks.left(j), above)
            dead += int((~part.alive).sum())
            if masked and part.mask is None:
                without.append(f"{name} {layer}")
        magnified |= times > 1
        label(page, above, layer, len(channels), len(layers[layer]), times)
        above += height + between
    page.frame(
        "Prototypes by layer" + (", each within its receptive field" if masked else ", in full"),
        "The image that drives each unit most"
        + (", fading to grey outside of it." if masked else ".")
        + f" {sample.checkpoint(epoch).capitalize()}, run {sample.run}.",
        [
            title,
            f"n = 1 run, 1 repeat, {count(sum(map(len, shown.values())), 'unit')} for each condition",
            in_order(shown.values()),
            "\u00d7: the middle of the images, enlarged" if magnified else "",
            missing_prototypes(dead),
            missing_masks(without),
            f"{len(shown)} of {len(layers)} layers" if len(shown) < len(layers) else "",
        ],
    )
    return page.figure


def columns_of(units: int, conditions: int) -> int:
    """Number of columns of a grid that makes the page wider than high: wide grids for one or two conditions.

    It is a number that fills every row, if there is one within a factor of two.
    """
    aspect = 4 if conditions <= 2 else 1
    wanted = min(float(units), np.sqrt(aspect * units))
    full = [number for number in range(units, 0, -1) if units % number == 0]
    best = min(full, key=lambda number: round(abs(np.log2(number / wanted)), 6))
    return best if abs(np.log2(best / wanted)) <= 1 else int(np.ceil(wanted))


def draw_grid(page: Page, blocks: Blocks, part: Drawn, times: int, left: float, top: float) -> None:
    """Draw the pictures of one layer and condition at this place, with their middle enlarged `times`."""
    images = part.images if part.mask is None else enlarged(part.images, part.mask, times)
    whole = np.where(part.alive[:, None, None, None], images, hatched(blocks.size))
    blocks.draw(page, mosaic(whole, blocks.columns, blocks.gap), left, top)


def label(page: Page, top: float, layer: str, shown: int, units: int, times: int) -> None:
    """Write the text to the left of the pictures of a layer."""
    left = MARGIN * page.scale
    number = count(units, "unit") if shown == units else f"{shown} of {units}" + " units" * (times == 1)
    lines = [layer] if len(layer) <= NAME else broken(layer, LINE)
    size, step = (13, 0.23) if len(layer) <= NAME else (9.5, 0.17)
    for k, line in enumerate(lines):
        page.text(left, top + (0.17 + k * step) * page.scale, line, size, bold=True)
    below = top + (0.17 + (len(lines) - 1) * step + 0.23) * page.scale
    page.text(left, below, number + (f", {times}\u00d7" if times > 1 else ""), SMALL, colour=SOFT)


def in_order(channels: Iterable[Sequence[int]]) -> str:
    """A note for the small print on which channels are shown, in which order."""
    from_0 = all(list(some) == list(range(len(some))) for some in channels)
    return "channels from 0, row by row" if from_0 else "the first of the channels that are units, row by row"
