"""Sheets: many images of one size in one WebP, row by row, without gaps.

A browser asks for one file instead of hundreds, and draws from it what it needs. A lossless sheet holds the
images of the cube, pixel for pixel; a lossy one has a fifth of the bytes, and its error is measured.
"""

from math import ceil, sqrt
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from protoviz.errors import StudyError
from protoviz.report.palette import NEUTRAL

Images = NDArray[np.uint8]
Quality = int | Literal["lossless"]

LONGEST = 16383  # px, of a side of a WebP image
LEVELS = 256


def columns(count: int) -> int:
    """Tiles in a row of a sheet of `count`: about as many as there are rows. The page computes the same."""
    return ceil(sqrt(count))


def sheet(images: Images) -> Images:
    """Images (N, H, W, C) on one sheet: image k at row k // columns, column k % columns; 0 where none is."""
    count, height, width, channels = images.shape
    across = columns(count)
    down = ceil(count / across)
    whole = np.zeros((down * across, height, width, channels), images.dtype)
    whole[:count] = images
    grid = whole.reshape(down, across, height, width, channels).swapaxes(1, 2)
    return grid.reshape(down * height, across * width, channels)


def tiles(whole: Images, count: int, height: int) -> Images:
    """The first `count` images of a sheet, (count, height, width, C): the inverse of `sheet`."""
    across = columns(count)
    down, width = whole.shape[0] // height, whole.shape[1] // across
    grid = whole.reshape(down, height, across, width, whole.shape[-1]).swapaxes(1, 2)
    found: Images = grid.reshape(down * across, height, width, whole.shape[-1])[:count]
    return found


def write(path: Path, images: Images, quality: Quality = "lossless") -> int:
    """Write images (N, H, W, 3) or, with transparency, (N, H, W, 4) as one sheet; return its bytes.

    The same images give the same file. Lossless sheets are packed by method 0, some ten times faster than the
    usual 4; they are 8 % larger.

    Args:
        path: of the file.
        images: of one size.
        quality: 1 to 100, or lossless.

    Raises:
        StudyError: the sheet would be larger than the format allows.
    """
    picture = sheet(images)
    if max(picture.shape[:2]) > LONGEST:
        raise StudyError(
            str(path),
            expected=f"a sheet of at most {LONGEST} px a side",
            found=f"{picture.shape[1]} x {picture.shape[0]} px for {len(images)} images",
            remedy="make fewer epochs or smaller images",
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    if quality == "lossless":
        Image.fromarray(picture).save(path, "WEBP", lossless=True, quality=50, method=0)
    else:
        Image.fromarray(picture).save(path, "WEBP", quality=quality, method=4)
    return path.stat().st_size


def differences(path: Path, images: Images) -> NDArray[np.int64]:
    """How far a sheet differs from the images (N, H, W, 3) that were written to it.

    Returns:
        (256,): how many values differ by 0, 1, 2, ... grey levels, over all pixels and colours.
    """
    with Image.open(path) as picture:
        shown = tiles(np.asarray(picture.convert("RGB")), len(images), images.shape[1])
    apart = np.where(shown > images, shown - images, images - shown)
    return np.bincount(apart.ravel(), minlength=LEVELS)


def veil(masks: NDArray[np.floating]) -> Images:
    """An overlay that turns images into masked ones: grey, which is the more opaque the lower the mask is.

    Args:
        masks: (N, H, W) in [0, 1].

    Returns:
        (N, H, W, 4), RGB and opacity.
    """
    opacity = np.rint(255 * (1 - np.clip(masks, 0, 1))).astype(np.uint8)
    grey = np.full((*opacity.shape, 3), NEUTRAL, np.uint8)
    return np.concatenate([grey, opacity[..., None]], axis=-1)


def window(masks: NDArray[np.floating], least: float = 0.02) -> tuple[int, int, int]:
    """The smallest square within the images that holds the visible part of every mask.

    Args:
        masks: (N, S, S) in [0, 1].
        least: where a mask is below this, the image is as good as grey.

    Returns:
        Left, top and side, px; the whole image if no mask reaches `least`.
    """
    size = masks.shape[-1]
    seen = np.any(np.asarray(masks >= least), axis=0)
    if not seen.any():
        return 0, 0, size
    rows, across = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    side = int(max(rows[-1] - rows[0], across[-1] - across[0])) + 1
    left, top = (
        min(max(int(found[0] + found[-1] + 1 - side) // 2, 0), size - side) for found in (across, rows)
    )
    return left, top, side


def thumbnails(images: Images, masks: NDArray[np.floating], size: int) -> Images:
    """Small masked pictures for the map: the window of the mask, at `size` px.

    Args:
        images: (N, S, S, 3).
        masks: (S, S) in [0, 1], of all of them.
        size: of the pictures, px.

    Returns:
        (N, size, size, 3).
    """
    left, top, side = window(masks[None])
    inner = np.s_[top : top + side, left : left + side]
    share = np.asarray(masks[*inner], np.float32)[..., None]
    masked = np.rint(NEUTRAL + (images[:, *inner] - np.float32(NEUTRAL)) * share).astype(np.uint8)
    small = [Image.fromarray(one).resize((size, size), Image.Resampling.BICUBIC) for one in masked]
    return np.stack([np.asarray(one) for one in small])
