"""From latents to the responses of single units: render, transform, normalise, read out."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from protoviz.config.synthesis import Objective
from protoviz.models.readout.network import Network
from protoviz.models.readout.readout import Readout
from protoviz.synthesis import transforms
from protoviz.synthesis.batching import LayerBatch
from protoviz.synthesis.rendering import Render, Renderer


@dataclass(frozen=True)
class Response:
    """Responses of units of one layer to the images of latents, differentiable with respect to the latents.

    Attributes:
        readout: the units of the layer.
        render: latents -> the window of the image that they see.
        renderer: latents -> the whole image, for transforms.
        normalise: of the network.
        dtype: of the network.
    """

    readout: Readout
    render: Render
    renderer: Renderer
    normalise: Callable[[Tensor], Tensor]
    dtype: torch.dtype

    def __call__(self, latents: Tensor, channels: Tensor, draws: Tensor | None = None) -> Tensor:
        """Responses (B,), float32.

        Args:
            latents: (B, latent_size).
            channels: (B,), the unit of each.
            draws: (B, 4), the random transform of each image (`transforms.draw`), or None.
        """
        if draws is None:
            return self._read(self.render(latents), channels)
        return self.of_images(self.renderer(latents), channels, draws)

    def of_images(self, images: Tensor, channels: Tensor, draws: Tensor | None = None) -> Tensor:
        """Responses (B,) to whole images (B, C, H, W) in [0, 1], transformed by draws if there are any."""
        if draws is not None:
            images = transforms.apply(images, draws)
        return self._read(self._cut(images), channels)

    def _cut(self, images: Tensor) -> Tensor:
        (top, bottom), (left, right) = self.readout.window
        return images[:, :, top:bottom, left:right]

    def _read(self, images: Tensor, channels: Tensor) -> Tensor:
        normal = self.normalise(images).to(self.dtype, memory_format=torch.channels_last)
        return self.readout(normal, channels)


def response(
    network: Network,
    renderer: Renderer,
    layers: LayerBatch,
    objective: Objective,
    dtype: torch.dtype,
    device: torch.device,
) -> Response:
    """The responses of the units of some layers, by their numbers.

    Raises:
        StudyError: there is no such layer, or no such position in it.
    """
    readout = layers.readout(network, objective, dtype, device)
    return Response(readout, renderer.within(readout.window), renderer, network.normalise, dtype)
