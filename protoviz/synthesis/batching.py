"""Units of several layers as one batch: neighbouring layers share their passes through the network.

A few units of each of many layers (Q5) make small batches, which cost as much as large ones: most of the
time goes into reading weights and starting operations. Here the images of neighbouring layers go through
the network together, as far as the deepest of them, and each is read at its own layer.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from protoviz.config.synthesis import Objective
from protoviz.models.readout.layers import own
from protoviz.models.readout.network import Network
from protoviz.models.readout.readout import Readout

Unit = tuple[str, int]  # layer and channel


@dataclass(frozen=True)
class LayerBatch:
    """Layers whose units are numbered consecutively: the channels of the first, of the second, ...

    Attributes:
        first: layer -> the number of its channel 0.
    """

    first: Mapping[str, int]

    @classmethod
    def of(cls, network: Network, layers: Sequence[str]) -> "LayerBatch":
        """Number the channels of some layers of a network."""
        first, total = {}, 0
        for layer in layers:
            first[layer] = total
            total += network.layer(layer).channels
        return cls(first)

    def numbers(self, units: Sequence[Unit], device: torch.device) -> Tensor:
        """(B,) the number of each unit."""
        return torch.tensor([self.first[layer] + channel for layer, channel in units], device=device)

    def readout(
        self, network: Network, objective: Objective, dtype: torch.dtype, device: torch.device
    ) -> Readout:
        """A module that gives each image the response of the unit with its number.

        Raises:
            StudyError: there is no such layer, or no such position in it.
        """
        layers = list(self.first)
        if len(layers) == 1:
            return network.readout(layers[0], objective, dtype, device)
        columns, window = network.columns(layers, objective, dtype, device)
        return Readout(_Own(columns, layers), window)


class _Own(nn.Module):
    """Responses (B,) to normalised images (B, 3, h, w), each of the image's own unit."""

    def __init__(self, columns: Callable[[Tensor], Mapping[str, Tensor]], layers: Sequence[str]) -> None:
        super().__init__()
        self.columns, self.layers = columns, tuple(layers)

    def forward(self, images: Tensor, numbers: Tensor) -> Tensor:
        read = self.columns(images)
        everyone = torch.cat([read[layer] for layer in self.layers], 1)
        return own(everyone, numbers)


def groups(units: Mapping[str, Sequence[int]], layers_at_once: int) -> Iterator[list[Unit]]:
    """The units of so many layers at a time, in their order.

    Args:
        units: layer -> channels, in the order of the network.
        layers_at_once: layers that go through the network together.
    """
    names = list(units)
    for start in range(0, len(names), layers_at_once):
        yield [(layer, c) for layer in names[start : start + layers_at_once] for c in units[layer]]


def layers(units: Sequence[Unit]) -> list[str]:
    """The layers of units, each once, in their order."""
    return list(dict.fromkeys(layer for layer, _ in units))
