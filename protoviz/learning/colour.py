"""The colours of views: torchvision's ColorJitter and grayscale on batches, each image with its own draws.

The arithmetic is PIL's without its rounding: brightness, contrast and saturation mix an image with
another one, the hue is shifted in HSV, and every step ends within [0, 1].
"""

from dataclasses import dataclass

import torch
from torch import Tensor

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, PIL's conversion to "L"


@dataclass(frozen=True)
class Jitter:
    """What happens to the colours of each view.

    Attributes:
        on: (B,) bool, whether anything does.
        order: (B, 4) int64, the indices into COLOUR_STEPS in the order in which they are applied.
        amounts: (B, 4) float32, the argument of each of COLOUR_STEPS.
    """

    on: Tensor
    order: Tensor
    amounts: Tensor


def jitter_colours(views: Tensor, jitter: Jitter) -> Tensor:
    """Apply the colour steps of each view in its own order.

    Args:
        views: (B, 3, S, S) in [0, 1].
        jitter: what was drawn.
    """
    views = views.clone()
    for position in range(len(COLOUR_STEPS)):
        for index, step in enumerate(COLOUR_STEPS):
            chosen = (jitter.on & (jitter.order[:, position] == index)).nonzero()[:, 0]
            if len(chosen):
                views[chosen] = step(views.index_select(0, chosen), jitter.amounts[chosen, index])
    return views


def luma(views: Tensor) -> Tensor:
    """Luma of RGB images: (B, 3, S, S) to (B, 1, S, S).

    >>> round(luma(torch.tensor([0.0, 1.0, 0.0]).view(1, 3, 1, 1)).item(), 3)
    0.587
    """
    red, green, blue = views[:, :1], views[:, 1:2], views[:, 2:]
    return (red * LUMA[0]).add_(green, alpha=LUMA[1]).add_(blue, alpha=LUMA[2])


def adjust_brightness(views: Tensor, factor: Tensor) -> Tensor:
    """Mix (B, 3, S, S) images with black; factors (B,) above 1 go away from it."""
    return (views * factor[:, None, None, None]).clamp_(max=1)


def adjust_contrast(views: Tensor, factor: Tensor) -> Tensor:
    """Mix (B, 3, S, S) images with the gray of their mean luma; factors (B,) above 1 go away from it."""
    mean = luma(views.mean((2, 3), keepdim=True))
    factor = factor[:, None, None, None]
    return (views * factor).add_((1 - factor) * mean).clamp_(0, 1)  # lerp is slow on a broadcast start


def adjust_saturation(views: Tensor, factor: Tensor) -> Tensor:
    """Mix (B, 3, S, S) images with their luma; factors (B,) above 1 go away from it."""
    return torch.lerp(luma(views), views, factor[:, None, None, None]).clamp_(0, 1)


def adjust_hue(views: Tensor, turns: Tensor) -> Tensor:
    """Shift the hue of (B, 3, S, S) images by (B,) turns of the HSV colour circle.

    torchvision adds trunc(255 t) to PIL's hue of 256 steps; so does this.
    """
    shift = (255 * turns).trunc() * (6 / 256)
    red, green, blue = views.unbind(1)
    least = torch.minimum(torch.minimum(red, green), blue)
    most = torch.maximum(torch.maximum(red, green), blue)
    chroma = most - least
    # The hue in sixths of the circle, from red (0) through green (2) and blue (4), times the chroma.
    from_green = torch.add(blue - red, chroma, alpha=2)
    from_blue = torch.add(red - green, chroma, alpha=4)
    scaled = torch.where(most == red, green - blue, torch.where(most == green, from_green, from_blue))
    hue = scaled.div_(chroma.clamp(min=1e-6)).add_(shift[:, None, None])
    hue.sub_(torch.floor(hue / 6), alpha=6)
    # How much of the chroma each primary has: all up to a sixth of the circle from it, none beyond two.
    shares = ((hue - 3).abs_().sub_(1), 2 - (hue - 2).abs_(), 2 - (hue - 4).abs_())
    return torch.stack([torch.addcmul(least, chroma, share.clamp_(0, 1)) for share in shares], 1)


COLOUR_STEPS = (adjust_brightness, adjust_contrast, adjust_saturation, adjust_hue)


def to_gray(views: Tensor, gray: Tensor) -> Tensor:
    """Replace the chosen (B,) of (B, 3, S, S) views by their luma in all three channels."""
    chosen = gray.nonzero()[:, 0]
    views = views.clone()
    views[chosen] = luma(views.index_select(0, chosen)).expand(-1, 3, -1, -1)
    return views
