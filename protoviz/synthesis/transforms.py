"""Random jitter, scale and rotation of images, drawn for each image on its own (Q4).

An image that drives its unit under every small movement owes nothing to single pixels: Olah, Mordvintsev &
Schubert 2017, Feature Visualization (https://doi.org/10.23915/distill.00007).
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from protoviz import seeding
from protoviz.config.synthesis import Transforms


def draw(settings: Transforms, steps: int, *address: str | int) -> Tensor:
    """The transforms of one image at every step of its ascent, from its address.

    Shift and angle are uniform, the scale in its logarithm. A longer ascent begins with the same draws.
    Lucid, at 224 px, shifts by up to 8 px and again by up to 4, scales by 0.9 to 1.1 and turns by up to
    10 degrees, about jitter 6, scale (0.9, 1.1), rotation 10 here: 3 % of the image in either direction.

    Returns:
        (steps, 4) float32: shift to the right and down (px), scale, angle counter-clockwise (rad).
    """
    low, high = np.log(settings.scale)
    greatest = np.array([settings.jitter, settings.jitter, (high - low) / 2, np.radians(settings.rotation)])
    draws = seeding.generator("transforms", *address).uniform(-greatest, greatest, (steps, 4))
    draws[:, 2] = np.exp(draws[:, 2] + (low + high) / 2)
    return torch.from_numpy(draws).float()


def apply(images: Tensor, draws: Tensor) -> Tensor:
    """Scale and turn each image about its centre, then shift it, by one bilinear resampling.

    Beyond its edge an image goes on as in a mirror, so that no frame is there for a unit to respond to.

    Args:
        images: (B, 3, H, W).
        draws: (B, 4), the transform of each image, a step of its `draw`; computed in their dtype.

    Returns:
        (B, 3, H, W), of the dtype of the images. On GPUs its gradient repeats to rounding only.
    """
    height, width = images.shape[2:]
    dx, dy, scale, angle = (column[:, None, None] for column in draws.unbind(1))
    # Where each pixel of the output looks, in px from the centre: the transform backwards.
    x = torch.arange(width, dtype=draws.dtype, device=draws.device) - (width - 1) / 2 - dx
    y = torch.arange(height, dtype=draws.dtype, device=draws.device)[:, None] - (height - 1) / 2 - dy
    cos, sin = torch.cos(angle) / scale, torch.sin(angle) / scale
    # To grid_sample, an image is 2 wide and 2 high.
    places = torch.stack([(cos * x - sin * y) * (2 / width), (sin * x + cos * y) * (2 / height)], -1)
    moved = functional.grid_sample(
        images.to(draws.dtype), places, mode="bilinear", padding_mode="reflection", align_corners=False
    )
    return moved.to(images.dtype)
