"""The channels of images: what the cube calls them, and how images of any channels are shown as RGB."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from protoviz.store.schema_types import Coordinate

RGB = "rgb"  # the dimension, whatever the channels are
COLOURS = ("r", "g", "b")
GREY = ("grey",)
COORDINATE = Coordinate(RGB, (RGB,), np.dtype(object), "channel of the images; r, g, b without labels")

Images = NDArray[np.uint8]
Scalar = TypeVar("Scalar", bound=np.generic)


def names(count: int) -> tuple[str, ...]:
    """What the channels of images are called: r, g, b for three; grey for one; 0, 1, 2, ... for others."""
    return {len(COLOURS): COLOURS, len(GREY): GREY}.get(count) or tuple(map(str, range(count)))


def labels(count: int) -> NDArray[np.object_] | None:
    """The labels along the dimension of the channels; None for RGB, whose cubes have none."""
    return None if count == len(COLOURS) else np.array(names(count), dtype=object)


def how_shown(count: int) -> str:
    """How images of this many channels are shown, in a sentence; empty for RGB, shown as it is."""
    if count == len(COLOURS):
        return ""
    if count == len(GREY):
        return "Images have one channel, shown as grey."
    red, green, blue = ("0", "1", "2" if count > 2 else None)
    return f"Images have {count} channels; shown are channel {red} as red, {green} as green" + (
        f" and {blue} as blue, the others not at all." if blue else ", and no blue."
    )


def as_rgb(images: Images) -> Images:
    """Images (..., C) as (..., 3): one channel as grey, or else the first three as R, G, B.

    >>> as_rgb(np.array([[[7]]], np.uint8)).tolist()
    [[[7, 7, 7]]]
    """
    count = images.shape[-1]
    if count == len(COLOURS):
        return images
    if count == len(GREY):
        return np.repeat(images, len(COLOURS), axis=-1)
    shown = np.zeros((*images.shape[:-1], len(COLOURS)), images.dtype)
    shown[..., : min(count, len(COLOURS))] = images[..., : len(COLOURS)]
    return shown


def squared(images: NDArray[Scalar], axis: int) -> NDArray[Scalar]:
    """Images or masks padded with rows or columns of zeros until they are square.

    Args:
        images: of any shape that has rows and columns.
        axis: of the rows; that of the columns is the next. If their number is odd, one more is added after
            than before.
    """
    height, width = images.shape[axis : axis + 2]
    side = max(height, width)
    if height == width:
        return images
    pads = [(0, 0)] * images.ndim
    for at, extent in ((axis, height), (axis + 1, width)):
        pads[at] = (side - extent) // 2, side - extent - (side - extent) // 2
    return np.pad(images, pads)
