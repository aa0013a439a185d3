"""Batches of images for a training, in an order that comes from the address (run, epoch)."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from protoviz import seeding


def shuffled(images: npt.NDArray[np.uint8], batch_size: int, run: int) -> DataLoader[npt.NDArray[np.uint8]]:
    """A loader of the images in batches, uint8 (B, H, W, 3), all of the same size, in an `EpochOrder`.

    Args:
        images: uint8 (N, H, W, 3).
        batch_size: B; images that are left over wait for another epoch.
        run: seed of the order.
    """
    order = EpochOrder(len(images), run)
    return DataLoader(
        _Rows(images), sampler=order, batch_size=batch_size, drop_last=True, collate_fn=_as_batch
    )


class EpochOrder(Sampler[int]):
    """A permutation for every epoch, from the address (run, epoch); Lightning calls `set_epoch`."""

    def __init__(self, count: int, run: int) -> None:
        self.count, self.run, self.epoch = count, run, 0

    def set_epoch(self, epoch: int) -> None:
        """Go on to another epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[int]:
        order = seeding.generator("order of images", self.run, self.epoch).permutation(self.count)
        return iter(order.tolist())


class _Rows(Dataset[npt.NDArray[np.uint8]]):
    """The images, fetched a batch at a time: one gather instead of one copy for each image."""

    def __init__(self, images: npt.NDArray[np.uint8]) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitems__(self, rows: list[int]) -> npt.NDArray[np.uint8]:
        return self.images[rows]


def _as_batch(rows: Any) -> Tensor:
    return torch.from_numpy(rows)
