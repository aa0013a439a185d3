"""Draw many small pictures on one page: the mosaic, and the size of its pixels.

Arrays of images have shape (units, y, x, rgb) and dtype uint8. Pictures are drawn at a whole number
of device pixels for each pixel of a prototype, so that nothing is blurred or resampled.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from protoviz.report.figures.style import FOOTER, MARGIN, WIDTH, Page
from protoviz.report.palette import NEUTRAL
from protoviz.report.text import shortened

Images = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.floating]

WHITE = 255  # grey level between the pictures
BLANK, HATCH = 62, 112  # grey levels of a unit without a prototype
LARGEST = 1.7  # inches of a picture
LETTER = 0.135  # inches of a letter of the name of a condition, at the standard width
SMALLEST = 9.0  # points of such a name
BETWEEN = 0.3  # inches between blocks that stand side by side, at the standard width


def mosaic(images: Images, columns: int, gap: tuple[int, int]) -> Images:
    """Images side by side, row after row: image k at row k // columns, column k % columns.

    Args:
        images: (units, y, x, rgb).
        columns: images in a row.
        gap: white pixels between rows and between columns.

    Returns:
        (rows * y + (rows - 1) * gap, columns * x + (columns - 1) * gap, rgb); places that no image
        fills are white.
    """
    number, height, width, channels = images.shape
    rows = -(-number // columns)
    step_y, step_x = height + gap[0], width + gap[1]
    sheet = np.full((rows * step_y, columns * step_x, channels), WHITE, np.uint8)
    for k, image in enumerate(images):
        top, left = k // columns * step_y, k % columns * step_x
        sheet[top : top + height, left : left + width] = image
    return sheet[: rows * step_y - gap[0], : columns * step_x - gap[1]]


def hatched(size: int) -> Images:
    """(size, size, rgb): the picture for a unit without a prototype."""
    y, x = np.indices((size, size))
    period = max(size // 8, 2)
    line = (x + y) % period < max(period // 6, 1)
    return np.repeat(np.where(line, HATCH, BLANK).astype(np.uint8)[..., None], 3, axis=-1)


def apply_mask(images: Images, mask: Mask | None) -> Images:
    """Images (..., y, x, rgb) that fade to neutral grey where a mask (y, x) in [0, 1] is low.

    They are unchanged without a mask. Measures multiply by the mask; grey is kinder to the eye than black.
    """
    if mask is None:
        return images
    share = np.asarray(mask, np.float32)[..., None]
    masked: Images = np.rint(NEUTRAL + (images - np.float32(NEUTRAL)) * share).astype(np.uint8)
    return masked


def enlargement(masks: Sequence[Mask], least: float = 0.05) -> int:
    """How many times the middle of images can be enlarged with every mask still entirely in view.

    It is a whole number that divides the size of an image, at most 4.

    Args:
        masks: (y, x) in [0, 1], square, all of one size.
        least: where a mask is below this, the image is as good as grey.
    """
    size = masks[0].shape[0]
    fits = [k for k in (4, 3, 2) if size % k == 0 and all(_in_view(mask, k, least) for mask in masks)]
    return fits[0] if fits else 1


def enlarged(images: Images, mask: Mask, times: int) -> Images:
    """The part of images (units, y, x, rgb) around the mask, each pixel `times` as wide and high."""
    rows, columns = _window(mask, times)
    return images[:, rows, columns].repeat(times, axis=1).repeat(times, axis=2)


def _window(mask: Mask, times: int) -> tuple[slice, slice]:
    """Rows and columns of the part, centred on the greatest value of the mask, within the image."""
    size = mask.shape[0]
    part = size // times
    peak = np.unravel_index(np.argmax(mask), mask.shape)
    starts = [min(max(int(place) - part // 2, 0), size - part) for place in peak]
    return slice(starts[0], starts[0] + part), slice(starts[1], starts[1] + part)


def _in_view(mask: Mask, times: int, least: float) -> bool:
    outside = np.array(mask)
    outside[_window(mask, times)] = 0
    return bool((outside < least).all())


@dataclass(frozen=True)
class Blocks:
    """Sizes, in inches unless said otherwise, of blocks of pictures that stand side by side."""

    size: int  # pixels of a prototype
    zoom: int  # device pixels for each of them
    gap: tuple[int, int]  # pixels of a prototype between rows and between columns
    columns: int
    blocks: int
    dpi: int
    labels: float  # left of the first block, at the standard width

    @classmethod
    def fit(
        cls, size: int, columns: int, blocks: int, dpi: int, *, gap: tuple[int, int], left: float
    ) -> "Blocks":
        """The zoom that comes nearest to filling the standard width, with no picture above `LARGEST`."""
        room = (WIDTH - left - MARGIN - BETWEEN * (blocks - 1)) * dpi
        zoom = min(round(room / (columns * blocks * (size + gap[1]))), int(LARGEST * dpi / size))
        zoom = max(1, zoom)
        return cls(size, zoom, gap, columns, blocks, dpi, left)

    @property
    def _inch(self) -> float:
        return self.zoom / self.dpi

    @property
    def tile(self) -> float:
        """The width of a picture."""
        return self.size * self._inch

    @property
    def gap_x(self) -> float:
        """The width of the gap between columns."""
        return self.gap[1] * self._inch

    @property
    def step_x(self) -> float:
        """The distance from one column to the next."""
        return self.tile + self.gap_x

    @property
    def step_y(self) -> float:
        """The distance from one row to the next."""
        return self.tile + self.gap[0] * self._inch

    @property
    def block_width(self) -> float:
        """The width of a whole block."""
        return self.columns * self.step_x - self.gap_x

    @property
    def scale(self) -> float:
        """How much wider the page is than the standard one, so that the pictures fill it exactly."""
        fixed = self.labels + MARGIN + BETWEEN * (self.blocks - 1)
        # It is never so small that the heading of a page with a handful of pictures does not fit.
        return max(self.blocks * self.block_width / (WIDTH - fixed), 0.75)

    def left(self, block: int) -> float:
        """Where a block begins."""
        return self.labels * self.scale + block * (self.block_width + BETWEEN * self.scale)

    def heading(self, page: Page, block: int, top: float, name: str, colour: str) -> None:
        """Write a condition's name above a block, smaller or shortened if it is longer than the block."""
        fits = self.block_width / page.scale / LETTER  # letters of the usual size
        size = max(SMALLEST, min(15.0, 15 * fits / len(name)))
        text = shortened(name, max(3, int(fits * 15 / size)))
        page.text(self.left(block), top, text, size, bold=True, colour=colour)

    def height(self, rows: int) -> float:
        """The height of this many rows of pictures."""
        return rows * self.step_y - self.gap[0] * self._inch

    def page(self, content: float) -> Page:
        """A page for content that ends this far from its top, in whole device pixels."""
        height = content + (FOOTER + 0.1) * self.scale
        width, height = (round(inches * self.dpi) / self.dpi for inches in (WIDTH * self.scale, height))
        return Page(width, height, self.dpi)

    def draw(self, page: Page, sheet: Images, left: float, top: float) -> None:
        """Draw the sheet at this place, moved to the nearest device pixel."""
        height, width = (round(pixels * self.zoom) / self.dpi for pixels in sheet.shape[:2])
        left, top = round(left * self.dpi) / self.dpi, round(top * self.dpi) / self.dpi
        axes = page.axes(left, top, width, height)
        axes.set_axis_off()
        axes.imshow(sheet, interpolation="none", aspect="auto")
