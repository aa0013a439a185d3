"""Computes the responses of a network's units to given images, measured as the cube's `activation`.

They are read at the same position, on the same side of the non-linearity, in float32, from 8-bit images
without transforms. Nothing is searched here; it does not matter whose images they are.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from protoviz import compute
from protoviz.config.synthesis import Objective
from protoviz.models.readout.network import Network
from protoviz.models.readout.windows import Window
from protoviz.synthesis import memory

Images = NDArray[np.uint8]
Responses = NDArray[np.float32]


def all_responses(
    network: Network,
    layers: Sequence[str],
    objective: Objective,
    images: Images,
    *,
    batch: int,
    device: torch.device,
) -> dict[str, Responses]:
    """The responses (N, C) of every unit of some layers to every image, in one forward pass.

    Args:
        network: whose units they are.
        layers: their names.
        objective: where in the map, before or after the non-linearity.
        images: (N, H, W, 3), of the network's size.
        batch: images at once.
        device: where to compute.

    Raises:
        StudyError: there is no such layer, or no such position in it.
    """
    columns, window = network.columns(layers, objective, torch.float32, device)

    def answer(some: range) -> Mapping[str, Tensor]:
        shown = seen(network, images[some.start : some.stop], window, device)
        return {layer: column.cpu() for layer, column in columns(shown).items()}

    with torch.inference_mode(), compute.whole_float32():
        parts = memory.in_blocks(len(images), batch, answer)
    return {layer: torch.cat([part[layer] for part in parts]).numpy() for layer in layers}


class OwnResponses:
    """Shows each unit of a layer its own image.

    Args:
        network: whose units they are.
        layer: their layer.
        objective: where in the map, before or after the non-linearity.
        batch: images at once.
        device: where to compute.

    Raises:
        StudyError: there is no such layer, or no such position in it.
    """

    def __init__(
        self, network: Network, layer: str, objective: Objective, *, batch: int, device: torch.device
    ) -> None:
        self._readout = network.readout(layer, objective, torch.float32, device)
        self._network, self._batch, self._device = network, batch, device

    def __call__(self, images: Images, channels: NDArray[np.integer]) -> Responses:
        """The responses (K,) of channels (K,), each to its own of the images (K, H, W, 3)."""
        asked = torch.from_numpy(np.array(channels, np.int64)).to(self._device)

        def answer(some: range) -> Tensor:
            shown = seen(self._network, images[some.start : some.stop], self._readout.window, self._device)
            return self._readout(shown, asked[some.start : some.stop]).cpu()

        with torch.inference_mode(), compute.whole_float32():
            parts = memory.in_blocks(len(images), self._batch, answer)
        answered: Responses = torch.cat(parts).numpy()
        return answered


def seen(network: Network, images: Images, window: Window, device: torch.device) -> Tensor:
    """The window of images as the network takes them."""
    (top, bottom), (left, right) = window
    cut = np.array(images[:, top:bottom, left:right])  # a copy, as images mapped from the disk are read-only
    pixels = torch.from_numpy(cut).to(device).permute(0, 3, 1, 2).float().div(255)
    return network.normalise(pixels).contiguous(memory_format=torch.channels_last)
