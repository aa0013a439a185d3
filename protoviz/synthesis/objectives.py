"""What a prototype maximises: the pre-activation of one unit, read at the centre of its map (S6, Q3)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from protoviz import backbones
from protoviz.priors.base import ImagePrior


@dataclass(frozen=True)
class Units:
    """Channels of one layer of a frozen network, read out at the centre of the map.

    The pre-activation, not the output of the ReLU: a unit that is silent on an image still has a
    gradient there, so the ascent can wake it.

    Attributes:
        network: frozen, in evaluation mode.
        layer: name of the layer.
        channels: the unit of each image of a batch, in its order.
    """

    network: backbones.Backbone
    layer: str
    channels: Sequence[int]

    def __call__(self, images: Tensor) -> Tensor:
        """Response of the i-th unit to the i-th image.

        Args:
            images: (B, 3, H, W) in [0, 1], B = number of channels.

        Returns:
            (B,) pre-activations.
        """
        maps = self.network.pre_activation(backbones.normalise(images), self.layer)
        row, column = backbones.centre_unit(*maps.shape[2:])
        rows = torch.arange(len(images), device=images.device)
        return maps[rows, torch.as_tensor(self.channels, device=images.device), row, column]


def all_responses(network: backbones.Backbone, images: Tensor) -> dict[str, Tensor]:
    """Response of every unit of the network to every image, in one forward pass.

    Args:
        network: frozen, in evaluation mode.
        images: (B, 3, H, W) in [0, 1].

    Returns:
        layer -> (B, C) pre-activations at the centre of the map.
    """
    responses = {}
    for layer, maps in network.pre_activations(backbones.normalise(images)):
        row, column = backbones.centre_unit(*maps.shape[2:])
        responses[layer] = maps[:, :, row, column].clone()
    return responses


def render(prior: ImagePrior, latents: Tensor, size: int) -> Tensor:
    """Images (B, 3, size, size) in [0, 1] as a network of this input size sees them (S7)."""
    images = prior.render(latents)
    if images.shape[-1] == size:
        return images
    resized = functional.interpolate(images, (size, size), mode="bilinear", antialias=True)
    return resized.clamp(0, 1)
