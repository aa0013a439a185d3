"""A layer's prototypes along training as an animation (G9): a frame for each kept epoch."""

from collections.abc import Sequence
from pathlib import Path

import xarray as xr
from matplotlib.figure import Figure

from protoviz import files
from protoviz.report.figures.grids import LABELS, columns_of, draw_grid, in_order, label
from protoviz.report.figures.pictures import BETWEEN, Blocks, enlargement
from protoviz.report.figures.sample import Masks, Sample, check_layer, missing_masks, missing_prototypes
from protoviz.report.figures.style import HEADER, colours, count, raster, styled

DPI = 100  # of an animation: pages on a screen
SECONDS, LAST = 0.8, 2.4  # that a frame stays, and the last one
LONGEST = 30.0  # seconds of a whole animation


@styled
def animation(
    cube: xr.Dataset, masks: Masks, layer: str, grid_units: int, title: str, dpi: int = DPI
) -> list[Figure]:
    """G9: prototypes of a layer, a frame for each kept epoch; first run and repeat, masked.

    If the masks of all epochs leave only the middle of the images, it is shown enlarged.

    Args:
        cube: the prototypes (protoviz.store.cube.open_cube).
        masks: the receptive fields of the first run by condition; None if there are none.
        layer: the layer.
        grid_units: prototypes shown, from channel 0; all if the layer has fewer.
        title: of the data set.
        dpi: at which the frames will be drawn.

    Raises:
        StudyError: there is no such layer.
    """
    sample = Sample(cube, masks)
    check_layer(sample, layer)
    conditions, channels = sample.conditions, sample.channels()[layer][:grid_units]
    columns = columns_of(len(channels), conditions=3)  # nearly square grids, for a page on a screen
    blocks = Blocks.fit(sample.size, columns, len(conditions), dpi, gap=(2, 2), left=LABELS)
    found = [sample.mask(name, epoch, layer) for name in conditions for epoch in sample.epochs]
    known = [mask for mask in found if mask is not None]
    times = enlargement(known) if len(known) == len(found) else 1
    top = (HEADER + 0.5) * blocks.scale
    height = blocks.height(-(-len(channels) // columns))

    frames = []
    for epoch in sample.epochs:
        page = blocks.page(top + height + (BETWEEN - 0.3) * blocks.scale)
        drawn = {name: sample.draw(name, epoch, layer, channels) for name in conditions}
        for j, (name, part) in enumerate(drawn.items()):
            blocks.heading(page, j, top - 0.16 * page.scale, name, colours(conditions)[name])
            draw_grid(page, blocks, part, times, blocks.left(j), top)
        label(page, top, layer, len(channels), len(sample.channels()[layer]), times)
        page.frame(
            f"{layer} during training: {sample.checkpoint(epoch)}",
            f"The image that drives each unit most, within its receptive field. Run {sample.run}.",
            [
                title,
                f"n = 1 run, 1 repeat, {count(len(channels), 'unit')} for each condition",
                in_order([channels]),
                missing_prototypes(sum(int((~part.alive).sum()) for part in drawn.values())),
                missing_masks([f"{name} {layer}" for name, part in drawn.items() if part.mask is None]),
            ],
        )
        frames.append(page.figure)
    return frames


def save_animation(frames: Sequence[Figure], path: str | Path, dpi: int = DPI) -> None:
    """Write an animated WebP that repeats for ever. The same frames give the same bytes.

    Args:
        frames: one for each epoch.
        path: ends in .webp.
        dpi: of the frames.
    """
    first, *rest = (raster(frame, dpi) for frame in frames)
    each = min(SECONDS, (LONGEST - LAST) / len(frames))
    durations = [round(1000 * each)] * len(rest) + [round(1000 * LAST)]
    with files.complete(path) as partial:
        first.save(
            partial,
            format="WEBP",
            save_all=True,
            append_images=rest,
            duration=durations,
            loop=0,
            quality=80,
            method=4,
        )
