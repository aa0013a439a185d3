"""Attempts at prototypes: what each has found, and which units need another one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from protoviz.store import schema
from protoviz.store.cube import Shard


@dataclass(frozen=True)
class Attempt:
    """Prototypes, and which of them are still their starts though steps were made, (U,)."""

    made: Shard
    astray: NDArray[np.bool_]

    @property
    def wanting(self) -> NDArray[np.bool_]:
        """Which of them are worth a further attempt, (U,)."""
        status = self.made.status
        return (status == schema.Status.DEAD) | self.astray & (status == schema.Status.CONVERGED)

    def of(self, rows: Sequence[int]) -> "Attempt":
        """Some of them."""
        return Attempt(
            Shard(**{name: values[rows] for name, values in self._arrays.items()}), self.astray[rows]
        )

    def but(self, rows: Sequence[int], better: "Attempt") -> "Attempt":
        """Some of them replaced."""
        arrays = {name: values.copy() for name, values in self._arrays.items()}
        for name, values in arrays.items():
            values[rows] = getattr(better.made, name)
        astray = self.astray.copy()
        astray[rows] = better.astray
        return Attempt(Shard(**arrays), astray)

    @property
    def _arrays(self) -> dict[str, NDArray[Any]]:
        return self.made.arrays


def joined(parts: Sequence[Attempt]) -> Attempt:
    """What several attempts have found, one after the other."""
    made = {name: np.concatenate([part.made.arrays[name] for part in parts]) for name in parts[0].made.arrays}
    return Attempt(Shard(**made), np.concatenate([part.astray for part in parts]))


WORKED = 0.8  # of the pixels that have been worked on are less than fully opaque


def transparency(worked: Tensor) -> Tensor:
    """Where images have been worked on: opacities as they are stored, uint8 (B, H, W).

    Fel et al. 2023, MACO (https://arxiv.org/abs/2306.06805), section 3: pixels that no gradient asked for are
    shown as transparent. As in the authors' pictures, gradients are averaged over the colours and cut at
    their 80th percentile, which is that of the pixels that have any: a unit of an early layer sees only a
    few.

    Args:
        worked: (B, C, H, W), see `ascent.Best`.
    """
    shares = worked.float().mean(1)
    some = shares.flatten(1).where(shares.flatten(1) > 0, torch.nan)
    # One by one: older versions of torch take no quantile of more than 2^24 values.
    full = torch.stack([torch.nanquantile(one, WORKED) for one in some]).nan_to_num(1.0)[:, None, None]
    return (shares / full).clamp(0, 1).mul(255).round().to(torch.uint8)


def status(activation: Tensor, finite: Tensor) -> Tensor:
    """Named states: diverged if any response was not finite, dead if the best image leaves it silent."""
    status = torch.full(
        activation.shape, schema.Status.CONVERGED, dtype=torch.uint8, device=activation.device
    )
    status[activation <= 0] = schema.Status.DEAD
    status[~(finite & activation.isfinite())] = schema.Status.DIVERGED
    return status
