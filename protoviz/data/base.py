"""The interface of image sources: pictures that can be read in blocks, and their labels."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

from protoviz.machine import cores

Pixels = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.int64]

BLOCK = 256  # images read at once
RESAMPLING = Image.Resampling.BICUBIC  # antialiased in Pillow: the filter widens when an image shrinks


class Pictures(Protocol):
    """Images of any kind, wherever they are stored."""

    def __len__(self) -> int:
        """How many there are."""

    def read(self, indices: Indices, size: int) -> Iterator[Pixels]:
        """Blocks uint8 (n, size, size, 3) of the images at `indices`, in that order.

        Raises:
            StudyError: a file cannot be read.
        """


@dataclass(frozen=True)
class Source:
    """A data set before images are chosen from it.

    Attributes:
        classes: names, in the order of the labels.
        pool: images without labels, to learn from.
        train: labelled images (N), to fit the probe.
        train_labels: int64 (N,).
        test: labelled images (M), to judge the probe.
        test_labels: int64 (M,).
        pool_is_train: whether `pool` and `train` are the same images, index by index.
    """

    classes: list[str]
    pool: Pictures
    train: Pictures
    train_labels: Indices
    test: Pictures
    test_labels: Indices
    pool_is_train: bool


@dataclass(frozen=True)
class ArrayPictures:
    """Square images of one size in memory, uint8 (N, side, side, 3)."""

    images: Pixels

    def __len__(self) -> int:
        return len(self.images)

    def read(self, indices: Indices, size: int) -> Iterator[Pixels]:
        """See `Pictures`."""
        with ThreadPoolExecutor(cores()) as threads:  # Pillow resizes outside Python's lock
            for start in range(0, len(indices), BLOCK):
                block = np.ascontiguousarray(self.images[indices[start : start + BLOCK]])
                if block.shape[1] == size:
                    yield block
                else:
                    yield np.stack(
                        list(threads.map(lambda pixels: square(Image.fromarray(pixels), size), block))
                    )


def square(image: Image.Image, size: int) -> Pixels:
    """The largest centred square of an RGB image, resized with antialiasing, uint8 (size, size, 3)."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    box = (left, top, left + side, top + side)
    return np.asarray(image.resize((size, size), RESAMPLING, box=box))
