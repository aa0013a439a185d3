"""Linear maps of the pixel grid: windows resized to views, mirrors and quarter turns, blur.

Each is a pair of small matrices for each image, one for an axis, so a batch takes a few batched matrix
products. The weights are those of PIL, with which torchvision and lightly crop and blur.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

BOX_BLURS = 3  # passes that make up PIL's Gaussian blur


@dataclass(frozen=True)
class Crops:
    """Windows in the images, in whole px: four (B,) float64."""

    top: Tensor
    left: Tensor
    height: Tensor
    width: Tensor


@dataclass(frozen=True)
class Turns:
    """Which views are mirrored left to right, top to bottom, and then turned by 90 degrees: (B,) bool."""

    horizontal: Tensor
    vertical: Tensor
    quarter: Tensor


def crop_and_resize(images: Tensor, crops: Crops, turns: Turns, view_size: int) -> Tensor:
    """The windows, resized to squares and mirrored: two matrix products for each image.

    Args:
        images: (B, H, W, 3) uint8.
        crops: windows in them.
        turns: only the flips are used here.
        view_size: S in px.

    Returns:
        (B, 3, S, S) float32 in [0, 1].
    """
    count, height, width, _ = images.shape
    rows = _resampling(crops.top, crops.height, height, view_size, turns.vertical) / 255
    columns = _resampling(crops.left, crops.width, width, view_size, turns.horizontal)
    squeezed = torch.bmm(rows, images.flatten(2).float()).view(count, view_size, width, 3)
    squeezed = squeezed.permute(0, 3, 1, 2).reshape(count, 3 * view_size, width)
    return torch.bmm(squeezed, columns.transpose(1, 2)).view(count, 3, view_size, view_size)


def _resampling(start: Tensor, length: Tensor, extent: int, view_size: int, reverse: Tensor) -> Tensor:
    """Weights (B, S, extent) of the pixels of an axis in each pixel of the view.

    PIL's antialiased bilinear resize of the window alone: a triangle as wide as the larger of the two
    pixel pitches, cut at the edges of the window and normalised.
    """
    device = start.device
    pixel = torch.arange(view_size, device=device)
    place = torch.where(reverse[:, None], view_size - 1 - pixel, pixel) + 0.5  # (B, S)
    pitch = (length / view_size)[:, None]
    centre = (start[:, None] + place * pitch).float()[:, :, None]
    source = torch.arange(extent, device=device, dtype=torch.float32) + 0.5
    inside = (source > start[:, None]) & (source < (start + length)[:, None])  # (B, extent)
    weights = 1 - (source - centre).abs_() / pitch.clamp(min=1).float()[:, :, None]
    weights = weights.clamp_(min=0).mul_(inside[:, None])
    return weights / weights.sum(2, keepdim=True)


def turn_quarter(views: Tensor, quarter: Tensor) -> Tensor:
    """Turn the chosen views by 90 degrees, counter-clockwise."""
    chosen = quarter.nonzero()[:, 0]
    views = views.clone()
    views[chosen] = views.index_select(0, chosen).rot90(1, (2, 3))
    return views


def blur(views: Tensor, sigma: Tensor) -> Tensor:
    """Blur each of (B, 3, S, S) views with its own (B,) sigma in px, as PIL's GaussianBlur does.

    PIL applies three box blurs of fractional radius (Gwosdek et al. 2011, "Theoretical foundations of
    Gaussian convolution by extended box filtering"), and repeats the edge pixel before each. They are
    linear, so they are one matrix for each axis.
    """
    chosen = (sigma > 0).nonzero()[:, 0]
    edge = views.shape[-1]
    once = _box_blur(_box_radius(sigma[chosen]), edge)
    kernel = once
    for _ in range(BOX_BLURS - 1):
        kernel = torch.bmm(kernel, once)
    across = torch.bmm(views.index_select(0, chosen).flatten(1, 2), kernel.transpose(1, 2))
    views = views.clone()
    views[chosen] = kernel[:, None] @ across.view(-1, 3, edge, edge)
    return views


def _box_radius(sigma: Tensor) -> Tensor:
    """Radius of the extended box whose BOX_BLURS passes have variance sigma^2 (equations 7, 11 and 14)."""
    variance = sigma.double() ** 2 / BOX_BLURS
    whole = torch.floor((torch.sqrt(12 * variance + 1) - 1) / 2)
    fraction = (2 * whole + 1) * (whole * (whole + 1) - 3 * variance) / (6 * (variance - (whole + 1) ** 2))
    return (whole + fraction).float()


def _box_blur(radius: Tensor, edge: int) -> Tensor:
    """The matrix (B, edge, edge) of one extended box blur whose outermost pixels repeat beyond the edge."""
    pixel = torch.arange(edge, device=radius.device, dtype=torch.float32)
    distance = (pixel[:, None] - pixel).abs()
    matrix = (radius[:, None, None] + 1 - distance).clamp_(0, 1)
    # Weight beyond an edge falls on its outermost pixel.
    matrix[:, :, 0] += (radius[:, None] - pixel).clamp_(min=0)
    matrix[:, :, -1] += (radius[:, None] - (edge - 1 - pixel)).clamp_(min=0)
    return matrix / (2 * radius[:, None, None] + 1)
