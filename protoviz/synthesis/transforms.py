"""Random crops, jitter, scale, rotation and noise of images, drawn independently for each image (Q4).

An image that drives its unit under every small movement does not depend on single pixels: Olah, Mordvintsev &
Schubert 2017, Feature Visualization (https://doi.org/10.23915/distill.00007). Crops and noise are those of
Fel et al. 2023, MACO (https://arxiv.org/abs/2306.06805), section 3.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from protoviz import seeding
from protoviz.config.image_size import Size, sides
from protoviz.config.synthesis import Transforms

_SEEDS = 1 << 24  # a whole number below it is exact in float32
_GOLDEN, _FIRST, _SECOND = 0x9E3779B1, 0x7FEB352D, 0x846CA68B  # odd, of 32 bits
_BITS = 0xFFFFFFFF


def draw(settings: Transforms, steps: int, *address: str | int, size: Size = 0) -> Tensor:
    """The transforms of one image at every step of its ascent, from its address.

    Shift and angle are uniform, the scale in its logarithm. A longer ascent begins with the same draws.
    Lucid, at 224 px, shifts by up to 8 px and again by up to 4, scales by 0.9 to 1.1 and turns by up to
    10 degrees, about jitter 6, scale (0.9, 1.1), rotation 10 here: 3 % of the image in either direction.

    A crop has the image's proportions; its share of the sides is uniform, and so is its place among those
    within the image. Enlarged to the whole, it is one more scale and shift, which are done with the others in
    one resampling. Fel et al. average over many crops a step; here there is one, and the steps average.

    Args:
        settings: of the recipe.
        steps: of the ascent.
        address: of the unit.
        size: of the images, px; crops need it.

    Returns:
        (steps, 4) float32: shift to the right and down (px), scale, angle counter-clockwise (rad); with noise
        (steps, 6), its deviation and a seed.
    """
    low, high = np.log(settings.scale)
    greatest = np.array([settings.jitter, settings.jitter, (high - low) / 2, np.radians(settings.rotation)])
    draws = seeding.generator("transforms", *address).uniform(-greatest, greatest, (steps, 4))
    draws[:, 2] = np.exp(draws[:, 2] + (low + high) / 2)
    if settings.crop != (1, 1):
        height, width = sides(size)
        uniform = seeding.generator("crops", *address).uniform(size=(steps, 3))
        share = settings.crop[0] + (settings.crop[1] - settings.crop[0]) * uniform[:, 0]
        # Of the crop's centre from the image's, px.
        x, y = (1 - share) * (uniform[:, 1] - 0.5) * width, (1 - share) * (uniform[:, 2] - 0.5) * height
        draws[:, 2] /= share
        cos, sin = draws[:, 2] * np.cos(draws[:, 3]), draws[:, 2] * np.sin(draws[:, 3])
        draws[:, 0] -= cos * x + sin * y
        draws[:, 1] -= cos * y - sin * x
    if settings.noise:
        seeds = seeding.generator("noise", *address).integers(_SEEDS, size=steps)
        draws = np.column_stack([draws, np.full(steps, settings.noise), seeds])
    return torch.from_numpy(draws).float()


def apply(images: Tensor, draws: Tensor) -> Tensor:
    """Scale and turn each image about its centre, then shift it, by one bilinear resampling; then add noise.

    Beyond its edges an image is mirrored, so that there is no frame for a unit to respond to.

    Args:
        images: (B, 3, H, W).
        draws: (B, 4) or (B, 6), the transform of each image, a step of its `draw`; computed in their dtype.

    Returns:
        (B, 3, H, W), of the dtype of the images. On GPUs its gradient is reproducible only up to rounding.
    """
    height, width = images.shape[2:]
    dx, dy, scale, angle = (column[:, None, None] for column in draws[:, :4].unbind(1))
    # Where each pixel of the output looks, in px from the centre: the transform backwards.
    x = torch.arange(width, dtype=draws.dtype, device=draws.device) - (width - 1) / 2 - dx
    y = torch.arange(height, dtype=draws.dtype, device=draws.device)[:, None] - (height - 1) / 2 - dy
    cos, sin = torch.cos(angle) / scale, torch.sin(angle) / scale
    # To grid_sample, an image is 2 wide and 2 high.
    places = torch.stack([(cos * x - sin * y) * (2 / width), (sin * x + cos * y) * (2 / height)], -1)
    moved = functional.grid_sample(
        images.to(draws.dtype), places, mode="bilinear", padding_mode="reflection", align_corners=False
    )
    if draws.shape[1] > 4:
        moved = moved + draws[:, 4, None, None, None] * normal(draws[:, 5].long(), moved.shape[1:])
    return moved.to(images.dtype)


def normal(seeds: Tensor, shape: torch.Size) -> Tensor:
    """Numbers of N(0, 1), (B, *shape), float32, from seeds (B,) below 2^24; no row depends on the others.

    The positions of two numbers and the seed are mixed to 32 bits, which make two uniform numbers, which make
    two normal ones (Box & Muller 1958); so none lies beyond 4.9. The function has no state and runs on any
    device.
    """
    count = shape.numel()
    places = torch.arange((count + 1) // 2, device=seeds.device)
    bits = _mixed(_mixed(seeds[:, None] * _GOLDEN & _BITS) ^ (places * _GOLDEN & _BITS))
    radius = torch.sqrt(-2 * torch.log(((bits >> 16).float() + 0.5) / 65536))
    angle = (bits & 0xFFFF).float() * (2 * torch.pi / 65536)
    both = torch.cat([radius * torch.cos(angle), radius * torch.sin(angle)], 1)
    return both[:, :count].view(-1, *shape)


def _mixed(bits: Tensor) -> Tensor:
    """Mix 32 bits, int64, so that each depends on all: the function `lowbias32` of Wellons 2018."""
    bits = (bits ^ bits >> 16) * _FIRST & _BITS
    bits = (bits ^ bits >> 15) * _SECOND & _BITS
    return bits ^ bits >> 16
