"""The plain way from a latent to a response, which all baselines share: fp32, nothing folded or cropped.

A latent is rendered, resized to the network's input, normalised, and run through the network up to and
with the layer. The whole layer is computed and all its channels are read at the centre of the map; from
these each image's own unit is taken (S5 to S7).
"""

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from benchmarks.subjects import Subject, resized
from protoviz.models import resnet

MEASURED = 64  # images that are measured at once


class Pipeline:
    """The pipeline of one network and prior, which counts what is asked of it.

    Attributes:
        subject: the network and the prior.
        forward: layer -> images that went forward only.
        gradient: layer -> images that went forward and backward.
    """

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.forward: Counter[str] = Counter()
        self.gradient: Counter[str] = Counter()

    def show(self, latents: Tensor) -> Tensor:
        """Images (B, 3, size, size) as the network sees them, of latents (B, n)."""
        return resized(self.subject.prior.render(latents), self.subject.size)

    def responses(self, latents: Tensor, layer: str, channels: Sequence[int]) -> Tensor:
        """Response (B,) of the i-th channel to the image of the i-th latent of (B, n)."""
        return self.responses_to(self.show(latents), layer, channels)

    def responses_to(self, images: Tensor, layer: str, channels: Sequence[int]) -> Tensor:
        """The same for images (B, 3, H, W) in [0, 1]."""
        return functional.relu(self.pre_activations(images, layer, channels))

    def pre_activations(self, images: Tensor, layer: str, channels: Sequence[int]) -> Tensor:
        """The same before the non-linearity."""
        counter = self.gradient if images.requires_grad else self.forward
        counter[layer] += len(images)
        everyone = at_centre(self.subject.network.pre_activation(resnet.normalise(images), layer))
        rows = torch.arange(len(images), device=images.device)
        return everyone[rows, torch.as_tensor(channels, device=images.device)]


def at_centre(maps: Tensor) -> Tensor:
    """All channels (B, C) of maps (B, C, H, W) at ((H-1)//2, (W-1)//2)."""
    row, column = ((extent - 1) // 2 for extent in maps.shape[2:])  # up and left of an even map's middle
    return maps[:, :, row, column]


def quantized(images: Tensor) -> NDArray[np.uint8]:
    """uint8 (B, H, W, 3) of images (B, 3, H, W) in [0, 1]."""
    pixels: NDArray[np.uint8] = (
        images.detach().clamp(0, 1).mul(255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
    )
    return pixels


def measure(subject: Subject, units: dict[str, list[int]], images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What every method is judged by: the pre-activation of each unit to its quantised image.

    Measured once, in float32 with the plain network, whatever the method itself computed with.

    Args:
        subject: the network.
        units: layer -> channels.
        images: (U, size, size, 3), in the order of `units`.

    Returns:
        (U,) pre-activations; the post-activation is what of it lies above zero.
    """
    device = next(subject.network.parameters()).device
    found, first = [], 0
    for layer, channels in units.items():
        for some in blocks(channels, MEASURED):
            pixels = torch.from_numpy(images[first : first + len(some)].copy()).to(device)
            normal = resnet.normalise(pixels.permute(0, 3, 1, 2).float().div(255))
            with torch.no_grad():
                everyone = at_centre(subject.network.pre_activation(normal, layer))
            found.append(everyone[range(len(some)), some].cpu().numpy())
            first += len(some)
    return np.concatenate(found)


def blocks(channels: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    """Channels in blocks of at most `size`."""
    for first in range(0, len(channels), size):
        yield channels[first : first + size]
