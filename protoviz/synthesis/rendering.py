"""From latents to the pixels that a unit sees: the image prior, in the precision and window of the search."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from protoviz.priors.base import ImagePrior
from protoviz.synthesis.crop import Crop
from protoviz.synthesis.operations import Graph, prepare
from protoviz.synthesis.trace import frozen, trace
from protoviz.synthesis.windows import Window, whole

Render = Callable[[Tensor], Tensor]


class Renderer:
    """Images as a network of some input size sees them (S7).

    Args:
        prior: renders latents.
        size: height and width of the images, px.
        dtype: of the computation, where the prior has parameters; others compute in float32.
        device: where to compute.

    Attributes:
        elements: numbers that an image's rendering holds in all, for an estimate of memory.
    """

    def __init__(self, prior: ImagePrior, size: int, dtype: torch.dtype, device: torch.device) -> None:
        self.size, self._native = size, prior.image_size
        self._plain: Render = prior.render
        self._graph: Graph | None = None
        self._dtype, self._device = torch.float32, device
        if isinstance(prior, nn.Module):
            self._dtype = dtype if any(True for _ in prior.parameters()) else torch.float32
            rendered = frozen(_Rendered(prior)).cpu()
            traced = trace(rendered, torch.zeros(2, prior.latent_size))
            self._graph = prepare(traced, self._dtype, device) if traced else None
            self._plain = rendered.to(device, self._dtype)
        self.elements = self._graph.traced.elements if self._graph else 0

    def __call__(self, latents: Tensor) -> Tensor:
        """Images (B, 3, size, size) in [0, 1], float32, of latents (B, latent_size)."""
        images = self._plain(latents.to(self._dtype)).float()
        if self._native == self.size:
            return images
        resized = functional.interpolate(images, (self.size, self.size), mode="bilinear", antialias=True)
        return resized.clamp(0, 1)

    def within(self, window: Window) -> Render:
        """What renders only a window of the image: latents -> (B, 3, h, w) in [0, 1], float32."""
        (top, bottom), (left, right) = window
        if window == whole(self.size, self.size):
            return self
        if not self._graph or self._native != self.size:
            return lambda latents: self(latents)[:, :, top:bottom, left:right]
        crop = Crop(self._graph)
        output = next(node for node in reversed(self._graph.traced.graph.nodes) if node.op == "output")
        (image,) = output.all_input_nodes
        crop.ask(image, window)
        crop.spread()
        cut = crop.emit(lambda emission: emission.take(image, window))
        return lambda latents: cut(latents.to(self._dtype)).float()


class _Rendered(nn.Module):
    """An image prior as a module whose call renders."""

    def __init__(self, prior: nn.Module) -> None:
        super().__init__()
        self.prior = prior

    def forward(self, latents: Tensor) -> Tensor:
        images: Tensor = self.prior.render(latents)  # type: ignore[operator]
        return images


def quantised(images: Tensor, levels: int) -> Tensor:
    """Images in [0, 1] as they are stored, uint8: each colour at one of `levels` even steps from 0 to 255."""
    steps = levels - 1
    return images.clamp(0, 1).mul(steps).round().mul(255 / steps).round().to(torch.uint8)
