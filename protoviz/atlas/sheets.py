"""Sheets: many images of one size in one lossless WebP, row by row, without gaps.

A browser asks for one file instead of hundreds, and draws from it what it needs. Lossless means that no
tile leaks into its neighbours and that every tile is, pixel for pixel, the image of the cube.
"""

from math import ceil, sqrt
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from protoviz.errors import StudyError

Images = NDArray[np.uint8]

LONGEST = 16383  # px, of a side of a WebP image


def columns(count: int) -> int:
    """Tiles in a row of a sheet of `count`: about as many as there are rows. The page counts the same."""
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


def write(path: Path, images: Images, *, lossless: bool = True) -> int:
    """Write images (N, H, W, 3) or, with transparency, (N, H, W, 4) as one sheet; return its bytes.

    The same images give the same file. Method 0 is some ten times faster than the usual one, and its files
    are 8 % larger.

    Args:
        path: of the file.
        images: of one size.
        lossless: else a quarter of the bytes, for pictures that are not what is studied.

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
    Image.fromarray(picture).save(path, "WEBP", lossless=lossless, quality=50 if lossless else 90, method=0)
    return path.stat().st_size


def veil(masks: NDArray[np.floating]) -> Images:
    """What turns images into masked ones when it is laid over them: black, as opaque as the mask is low.

    Args:
        masks: (N, H, W) in [0, 1].

    Returns:
        (N, H, W, 4), RGB and opacity.
    """
    opacity = np.rint(255 * (1 - np.clip(masks, 0, 1))).astype(np.uint8)
    black = np.zeros((*opacity.shape, 3), np.uint8)
    return np.concatenate([black, opacity[..., None]], axis=-1)


def window(masks: NDArray[np.floating], least: float = 0.02) -> tuple[int, int, int]:
    """The smallest square within the images that holds all of every mask that can be seen.

    Args:
        masks: (N, S, S) in [0, 1].
        least: where a mask is below this, what it shows is as good as black.

    Returns:
        Left, top and side, px; the whole image where no mask reaches `least`.
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
    masked = np.rint(images[:, *inner] * masks[*inner][..., None]).astype(np.uint8)
    small = [Image.fromarray(one).resize((size, size), Image.Resampling.BICUBIC) for one in masked]
    return np.stack([np.asarray(one) for one in small])
