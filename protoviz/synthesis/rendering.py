"""From latents to the pixels that a unit sees: the image prior, in the precision and window of the search."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from protoviz.config.image_size import Size, sides
from protoviz.models.priors.base import ImagePrior
from protoviz.models.readout.crop import Crop
from protoviz.models.readout.operations import Graph, prepare
from protoviz.models.readout.trace import trace
from protoviz.models.readout.windows import Span, Window, whole
from protoviz.models.readout.wrappers import frozen

Render = Callable[[Tensor], Tensor]


class Renderer:
    """Images as a network of some input size sees them (S7).

    Args:
        prior: renders latents.
        size: height and width of the images, px: a number for squares, or (H, W).
        dtype: of the computation, where the prior has parameters; others compute in float32.
        device: where to compute.

    Attributes:
        elements: numbers that an image's rendering holds in all, for an estimate of memory.
    """

    def __init__(self, prior: ImagePrior, size: Size, dtype: torch.dtype, device: torch.device) -> None:
        self._whole, self._native = whole(*sides(size)), whole(*sides(prior.image_size))
        self._weights = None
        if self._native != self._whole:
            pairs = zip(self._native.size, self._whole.size, strict=True)
            self._weights = tuple(_bilinear(*pair).to(device) for pair in pairs)
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

    @property
    def is_traced(self) -> bool:
        """Whether the prior's operations are known and none of them depends on values."""
        return self._graph is not None

    def __call__(self, latents: Tensor) -> Tensor:
        """Images (B, C, H, W) in [0, 1], float32, of latents (B, latent_size)."""
        images = self._plain(latents.to(self._dtype))
        return self._resized(images, self._whole, self._native)

    def within(self, window: Window) -> Render:
        """A function that renders only a window of the image: latents -> (B, C, h, w) in [0, 1], float32."""
        if window == self._whole:
            return self
        if not self._graph:
            (top, bottom), (left, right) = window
            return lambda latents: self(latents)[:, :, top:bottom, left:right]
        seen = window
        if self._weights is not None:
            seen = Window(*map(_seen, self._weights, window))
        crop = Crop(self._graph)
        output = next(node for node in reversed(self._graph.traced.graph.nodes) if node.op == "output")
        (image,) = output.all_input_nodes
        crop.ask(image, seen)
        crop.spread()
        cut = crop.emit(lambda emission: emission.take(image, seen))
        return lambda latents: self._resized(cut(latents.to(self._dtype)), window, seen)

    def _resized(self, images: Tensor, window: Window, seen: Window) -> Tensor:
        """A window of the resized image, float32 (B, C, h, w), from what it depends on in the rendered one.

        Two matrix products, in the precision of the search.
        """
        if self._weights is None:
            return images.float()
        down, across = (
            weights.to(images.dtype)[slice(*span), slice(*source)]
            for weights, span, source in zip(self._weights, window, seen, strict=True)
        )
        return (down @ (images @ across.T)).float().clamp(0, 1)


def _bilinear(native: int, size: int) -> Tensor:
    """The matrix (size, native) by which antialiased bilinear resizing multiplies a column of pixels."""
    unit = torch.eye(native)[None, None]
    return functional.interpolate(unit, (size, native), mode="bilinear", antialias=True)[0, 0]


def _seen(weights: Tensor, span: Span) -> Span:
    """The pixels of the rendered image on which a span of the resized one depends."""
    used = weights[slice(*span)].any(0).nonzero()[:, 0]
    return Span(int(used[0]), int(used[-1]) + 1)


class _Rendered(nn.Module):
    """An image prior as a module whose call renders."""

    def __init__(self, prior: nn.Module) -> None:
        super().__init__()
        self.prior = prior

    def forward(self, latents: Tensor) -> Tensor:
        images: Tensor = self.prior.render(latents)  # type: ignore[operator]
        return images


def quantised(images: Tensor, levels: int) -> Tensor:
    """Images in [0, 1] as they are stored, uint8: each colour at one of `levels` even steps from 0 to 255.

    >>> quantised(torch.tensor([0.0, 0.3, 1.0]), 2).tolist()
    [0, 0, 255]
    """
    steps = levels - 1
    return images.clamp(0, 1).mul(steps).round().mul(255 / steps).round().to(torch.uint8)
