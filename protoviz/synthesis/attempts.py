"""Prototypes on their way: what an attempt has found, and who needs another one."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
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
        """Those worth a further attempt, (U,)."""
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
        return {item.name: getattr(self.made, item.name) for item in fields(Shard)}


def joined(parts: Sequence[Attempt]) -> Attempt:
    """What several attempts have found, one after the other."""
    made = {
        item.name: np.concatenate([getattr(part.made, item.name) for part in parts]) for item in fields(Shard)
    }
    return Attempt(Shard(**made), np.concatenate([part.astray for part in parts]))


def status(activation: Tensor, finite: Tensor) -> Tensor:
    """Named states: diverged if any response was not finite, dead if the best image leaves it silent."""
    status = torch.full(
        activation.shape, schema.Status.CONVERGED, dtype=torch.uint8, device=activation.device
    )
    status[activation <= 0] = schema.Status.DEAD
    status[~(finite & activation.isfinite())] = schema.Status.DIVERGED
    return status
