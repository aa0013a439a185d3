"""Many small images on one sheet, each with its name below."""

from collections.abc import Sequence
from math import ceil, sqrt

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

TILE = 96  # px, at least: smaller images are enlarged by a whole number, so that captions can be read
GAP, CAPTION = 4, 14  # px
GREY = 128  # behind masked images, as in the atlas
COLUMNS = 16  # of a sheet of several groups, at most


def contact_sheet(
    images: NDArray[np.uint8],
    captions: Sequence[str],
    groups: Sequence[int] | None = None,
    opacities: NDArray[np.uint8] | None = None,
) -> Image.Image:
    """A sheet with about as many columns as rows; if there are several groups, each begins a new row.

    Args:
        images: (N, H, W, 3), row by row.
        captions: one for each image; the beginning of a caption that is too long is cut off.
        groups: numbers of images that belong together, such as those of a layer; by default all do.
        opacities: (N, H, W), 0 to 255: what is not opaque fades to grey.
    """
    if opacities is not None:
        images = masked(images, opacities)
    groups = groups or [len(images)]
    count, height, width, _ = images.shape
    enlarged = max(1, ceil(TILE / max(height, width)))
    wide, high = enlarged * width, enlarged * height
    columns = ceil(sqrt(count)) if len(groups) == 1 else min(max(groups), COLUMNS)
    places = _places(groups, columns)
    rows = places[-1][0] + 1
    sheet = Image.new(
        "RGB", (columns * (wide + GAP) + GAP, rows * (high + CAPTION + GAP) + GAP), (255, 255, 255)
    )
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default()
    for (row, column), image, caption in zip(places, images, captions, strict=True):
        left, top = GAP + column * (wide + GAP), GAP + row * (high + CAPTION + GAP)
        tile = Image.fromarray(image).resize((wide, high), Image.Resampling.NEAREST)
        sheet.paste(tile, (left, top))
        draw.text((left, top + high + 1), _fitting(caption, wide, font), fill=(0, 0, 0), font=font)
    return sheet


def masked(images: NDArray[np.uint8], opacities: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Images (N, H, W, 3) over grey, with these opacities (N, H, W), 0 to 255."""
    share = opacities[..., np.newaxis].astype(np.float32) / 255
    shown: NDArray[np.uint8] = np.rint(GREY + (images - np.float32(GREY)) * share).astype(np.uint8)
    return shown


def _places(groups: Sequence[int], columns: int) -> list[tuple[int, int]]:
    """Row and column of each image, group after group."""
    places, first = [], 0
    for size in groups:
        places += [(first + place // columns, place % columns) for place in range(size)]
        first = places[-1][0] + 1
    return places


def _fitting(caption: str, width: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """The end of a caption that is no wider than `width` px."""
    shown = caption
    while shown and font.getlength(shown) > width:
        caption = caption[1:]
        shown = f"..{caption}"
    return shown
