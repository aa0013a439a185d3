"""The random numbers of evolutions, a stream for each unit."""

from collections.abc import Sequence

import torch
from torch import Tensor

from protoviz import seeding

Address = tuple[str | int, ...]  # (condition, run, repeat, epoch), or of another kind of start


class Draws:
    """The random numbers of an evolution, drawn on the device, each unit's from its own address."""

    def __init__(
        self,
        address: Address,
        units: Sequence[tuple[str, int]],
        shape: tuple[int, int],
        device: torch.device,
    ) -> None:
        """Streams of units (layer, channel) of a network; `shape`: samples, latent_size."""
        self.shape, self.device = shape, device
        self.generators = [
            torch.Generator(device).manual_seed(seeding.seed("evolution", *address, *unit)) for unit in units
        ]

    def __call__(self, _generation: int) -> Tensor:
        """(B, lambda, n) of N(0, I), the next of each stream."""
        return torch.stack(
            [torch.randn(self.shape, generator=stream, device=self.device) for stream in self.generators]
        )
