"""Networks whose best image is known in closed form, and what it drives them to. Images are RGB in [0, 1]."""

import math

import torch
from torch import nn

GREY = 0.5


def in_box(weight, bias=0.0, mean=0.0, std=1.0):
    """Greatest responses of linear filters over all images: every pixel 1 or 0, as the sign of its weight.

    Args:
        weight: (U, 3, h, w) or (U, 3 h w), on images normalised by mean and std (one number or three).
        bias: (U,) or a number.
        mean, std: of the normalisation.
    """
    scaled, shift = _of_pixels(weight, mean, std)
    return scaled.clamp_min(0).sum((1, 2)) + shift + bias


def at_grey(weight, bias=0.0, mean=0.0, std=1.0):
    """Responses to the image that is grey throughout; arguments as `in_box`."""
    scaled, shift = _of_pixels(weight, mean, std)
    return GREY * scaled.sum((1, 2)) + shift + bias


def in_ball(weight, paint, radius, bias=0.0):
    """Greatest responses of linear filters (U, D) to grey + z @ paint, z (n,) no longer than radius.

    By Cauchy and Schwarz: z along paint @ w, so w . grey + radius |paint @ w|. paint is (n, D).
    """
    return at_grey(weight, bias) + radius * (weight.flatten(1) @ paint.T).norm(dim=1)


def sum_of_rectified(lowest, highest, above):
    """Greatest sum of a_j relu(y_j) if each y_j goes from its lowest to its highest whatever the others do.

    Args:
        lowest, highest: (J,) of each inner unit.
        above: (U, J), its weights a.
    """
    ends = torch.stack([lowest, highest]).relu()
    return (above[:, None] * ends).amax(1).sum(1)


def gabor(size, angle, wavelength, phase, colour):
    """A Gabor patch (3, size, size) of unit length and mean zero; wavelength in px, colour (3,)."""
    along = torch.arange(size) - (size - 1) / 2
    y, x = torch.meshgrid(along, along, indexing="ij")
    wave = torch.cos(2 * math.pi * (x * math.cos(angle) + y * math.sin(angle)) / wavelength + phase)
    patch = wave * torch.exp(-(x**2 + y**2) / (2 * (size / 5) ** 2))
    patch = torch.tensor(colour, dtype=torch.float32)[:, None, None] * (patch - patch.mean())
    return patch / patch.norm()


def _of_pixels(weight, mean, std):
    """Weights (U, 3, D) on the pixels themselves, and what the normalisation adds (U,)."""
    mean, std = (torch.as_tensor(value, dtype=torch.float32).expand(3)[:, None] for value in (mean, std))
    scaled = weight.view(len(weight), 3, -1) / std
    return scaled, -(scaled * mean).sum((1, 2))


class Templates(nn.Module):
    """Units that respond as the best of their m templates does: max_k w_k . x.

    Args:
        templates: (U, m, 3, S, S).
    """

    def __init__(self, templates):
        super().__init__()
        self.units, self.count = templates.shape[:2]
        self.filters = nn.Linear(templates[0, 0].numel(), self.units * self.count, bias=False)
        with torch.no_grad():
            self.filters.weight.copy_(templates.flatten(0, 1).flatten(1))

    def forward(self, images):
        return self.filters(images.flatten(1)).view(-1, self.units, self.count).amax(2)


class LinearPrior(nn.Module):
    """Images 0.5 + z @ paint of latents z (n,); within a ball of this radius no pixel leaves [0, 1].

    Args:
        paint: (n, 3 S S), orthonormal rows, scaled so that the ball just fits into the box.
        radius: of the ball.
    """

    def __init__(self, paint, radius):
        super().__init__()
        self.latent_size, self.image_size = len(paint), math.isqrt(paint.shape[1] // 3)
        self.register_buffer("paint", paint * (GREY / (radius * paint.norm(dim=0).max())))

    def render(self, latents):
        images = GREY + latents @ self.paint
        return images.clamp(0, 1).view(-1, 3, self.image_size, self.image_size)


def orthonormal(count, length, seed):
    """Rows (count, length) at right angles and of unit length, at random."""
    draws = torch.randn(length, count, generator=torch.Generator().manual_seed(seed))
    return torch.linalg.qr(draws)[0].T.contiguous()
