"""Keeps the responses to some of the natural images, for comparing networks.

They are mapped from a file, epoch after epoch, so that memory does not grow with epochs.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from protoviz.synthesis.responses.measures import varying


def chosen(images: int, kept: int) -> NDArray[np.int64]:
    """Which of the shown images are kept, as evenly spaced positions: the same for all networks.

    Args:
        images: how many were shown.
        kept: how many are kept, at most all of them.
    """
    return np.linspace(0, images - 1, min(kept, images)).round().astype(np.int64)


class Kept:
    """Room for the responses of one network at all epochs.

    Args:
        folder: in which there is room for a file; None: they are held in memory.
        epochs: how many.
        shown: positions of these images among all that are shown.
        units: how many.
    """

    def __init__(self, folder: Path | None, epochs: int, shown: NDArray[np.integer], units: int) -> None:
        self._shown = shown
        shape = (1, 1, epochs, len(shown), units)
        self.array: NDArray[np.float16] = (
            np.empty(shape, np.float16)
            if folder is None
            else np.lib.format.open_memmap(folder / "responses.npy", "w+", np.float16, shape)
        )

    def add(self, epoch: int, units: slice, seen: NDArray[np.float32]) -> None:
        """The responses (N, C) of some units to all images that are shown."""
        self.array[0, 0, epoch, :, units] = scaled(seen[self._shown])


def scaled(responses: NDArray[np.floating]) -> NDArray[np.float16]:
    """Responses of a layer, less the mean of each unit, over the layer's deviation, to fit in 16 bits.

    All units of a layer have one scale, so that it is still known which of them vary more.

    Args:
        responses: (N, C).

    Returns:
        (N, C), NaN for units whose responses do not differ.
    """
    there = varying(responses)
    exact = np.where(there, responses, 0).astype(np.float64)
    centred = exact - exact.mean(0)
    deviation = np.sqrt((centred[:, there] ** 2).mean()) if there.any() else 1.0
    return np.where(there, centred / deviation, np.nan).astype(np.float16)
