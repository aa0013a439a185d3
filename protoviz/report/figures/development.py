"""Units along training (G3, G8): a row for each unit, a column for each kept epoch."""

import re
from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from protoviz.errors import StudyError
from protoviz.report.figures.pictures import Blocks, hatched, mosaic
from protoviz.report.figures.sample import (
    Drawn,
    Masks,
    Sample,
    check_layer,
    missing_masks,
    missing_prototypes,
    names,
)
from protoviz.report.figures.style import HEADER, MARGIN, SOFT, Page, colours, count, styled
from protoviz.store import attributes, schema

LABELS = 1.3  # inches to the left of the pictures
EPOCHS = 10  # at most this many columns for a condition
COLUMNS = 12  # at most this many on a page


@styled
def development(
    cube: xr.Dataset, masks: Masks, layer: str, units: Sequence[int], title: str, dpi: int
) -> Figure:
    """G3, G8: prototypes of some units over the kept epochs, for each condition; first run and repeat.

    Prototypes are masked, and the unit's response to each is written below it. If more than `EPOCHS` epochs
    were kept, only that many are shown, evenly spread over the list.

    Args:
        cube: the prototypes (protoviz.store.cube.open_cube).
        masks: the receptive fields of the first run by condition; None if there are none.
        layer: the layer.
        units: channels of the layer.
        title: of the data set.
        dpi: at which the figure will be saved.

    Raises:
        StudyError: there is no such layer, or it lacks one of the units.
    """
    sample = Sample(cube, masks)
    check_layer(sample, layer)
    _check_units(sample, layer, units)
    conditions, kept = sample.conditions, sample.epochs
    epochs = [kept[round(i)] for i in np.linspace(0, len(kept) - 1, min(len(kept), EPOCHS))]
    across = max(1, min(len(conditions), COLUMNS // len(epochs)))
    down = -(-len(conditions) // across)
    room = max(2, sample.size // 4)  # pixels of a prototype, for the number under it
    blocks = Blocks.fit(sample.size, len(epochs), across, dpi, gap=(room, 2), left=LABELS)
    top = (HEADER + 0.8) * blocks.scale
    step = blocks.height(len(units)) + 1.2 * blocks.scale  # from a row of blocks to the next
    page = blocks.page(top + down * step - 0.9 * blocks.scale)

    without: list[str] = []
    dead = 0
    for i, condition in enumerate(conditions):
        left, above = blocks.left(i % across), top + i // across * step
        heading = above - 0.45 * page.scale
        blocks.heading(page, i % across, heading, condition, colours(conditions)[condition])
        drawn = [sample.draw(condition, epoch, layer, units) for epoch in epochs]
        _draw_block(page, blocks, drawn, [sample.checkpoint(epoch) for epoch in epochs], left, above)
        if i % across == 0:
            for k, unit in enumerate(units):
                middle = above + k * blocks.step_y + blocks.tile / 2
                page.text(MARGIN * page.scale, middle, f"unit {unit}", 12, va="center")
        dead += sum(int((~part.alive).sum()) for part in drawn)
        without += [
            f"{condition} {sample.checkpoint(epoch)}"
            for epoch, part in zip(epochs, drawn, strict=True)
            if part.mask is None
        ]
    page.frame(
        f"How units of {layer} develop",
        f"The image that drives a unit most, within its receptive field. Run {sample.run}.",
        [
            title,
            f"n = 1 run, 1 repeat, {count(len(units), 'unit')} for each condition",
            f"below each image: the unit's response to it, {_read(cube)}",
            f"{len(epochs)} of {len(kept)} kept epochs" if len(epochs) < len(kept) else "",
            missing_prototypes(dead),
            missing_masks(without),
        ],
    )
    return page.figure


def _draw_block(
    page: Page, blocks: Blocks, drawn: Sequence[Drawn], names: Sequence[str], left: float, top: float
) -> None:
    """Draw the pictures of one condition, with the names of the epochs above and the responses below."""
    columns = []
    for j, (part, name) in enumerate(zip(drawn, names, strict=True)):
        columns.append(np.where(part.alive[:, None, None, None], part.images, hatched(blocks.size)))
        centre = left + j * blocks.step_x + blocks.tile / 2
        page.text(centre, top - 0.12 * page.scale, name, 10.5, colour=SOFT, ha="center")
        for k, (activation, alive) in enumerate(zip(part.activation, part.alive, strict=True)):
            below = top + k * blocks.step_y + blocks.tile + 0.06 * page.scale
            text = f"{activation:.1f}" if alive and np.isfinite(activation) else "none"
            page.text(centre, below, text, 9, colour=SOFT, ha="center", va="top")
    rows = np.stack(columns, axis=1)
    blocks.draw(page, mosaic(rows.reshape(-1, *rows.shape[2:]), len(names), blocks.gap), left, top)


def _read(cube: xr.Dataset) -> str:
    """A note on where responses are read: a ResNet's layers end in a ReLU, other networks' may not."""
    objective = attributes.read(cube).get("synthesis", {}).get("objective", {})
    side = "after" if objective.get("activation") == "post" else "before"
    residual = all(re.fullmatch(r"layer[1-4]", name) for name in names(cube[schema.LAYER]))
    return f"{side} the ReLU" if residual else f"{side} the non-linearity, where a layer ends in one"


def _check_units(sample: Sample, layer: str, units: Sequence[int]) -> None:
    layers = sample.channels()
    unknown = [unit for unit in units if unit not in layers[layer]]
    if unknown:
        raise StudyError(
            "params.yaml: figures.development_units",
            expected=f"units of {layer}, {min(layers[layer])} to {max(layers[layer])}",
            found=", ".join(map(str, unknown)),
            remedy="name units that exist, or another figures.development_layer",
        )
