"""The image prior of natural spectra: plane waves whose amplitude falls as 1/f, in decorrelated colours.

Olah, Mordvintsev & Schubert 2017, Feature Visualization (https://doi.org/10.23915/distill.00007): in this
basis, ascent has no preference for the high frequencies that gradients of networks are full of. The
Fourier coefficients are kept as real numbers by the Hartley transform (Bracewell 1983).
"""

from math import sqrt

import torch
from torch import Tensor, nn

from protoviz.config.image_size import Size, sides

# Square root of the covariance of the colours of ImageNet (R, G, B in [0, 1]; rows) along its principal
# axes (columns), as published with Lucid.
COLOUR = ((0.26, 0.09, 0.02), (0.27, 0.00, -0.05), (0.27, -0.09, 0.03))

CONTRAST = 4  # the sigmoid of 4 (x - 1/2) is x to first order
# For a single channel: that of grey levels, the mean of R, G and B, under the covariance above.
_DEVIATION = sqrt(sum((sum(axis) / 3) ** 2 for axis in zip(*COLOUR, strict=True)))


class Fourier(nn.Module):
    """Latents (B, C * H * W) to images (B, C, H, W) in [0, 1], without parameters.

    A latent holds the coefficients of H * W plane waves of each channel. In RGB images the waves have three
    decorrelated colours: to first order the colours of a latent of N(0, I) have the covariance
    COLOUR COLOUR^T of photographs, at any size; after the sigmoid the standard deviation of its pixels is
    0.21 to 0.23. The channels of other images are independent, as their correlations are not known; each has
    the standard deviation of the grey levels of photographs.

    Args:
        image_size: height and width, px: a number for squares, or (H, W).
        channels: C.
    """

    amplitude: Tensor
    colour: Tensor

    def __init__(self, image_size: Size, channels: int = 3) -> None:
        super().__init__()
        self.image_size, self.channels = image_size, channels
        self.height, self.width = sides(image_size)
        self.latent_size = channels * self.height * self.width
        self.register_buffer("amplitude", amplitudes(image_size))
        self.register_buffer("colour", colours(channels, _DEVIATION))

    def forward(self, latents: Tensor) -> Tensor:
        """Logits of the image, (B, C, H, W)."""
        shape = -1, self.channels, self.height, self.width
        planes = hartley(self.amplitude * latents.view(shape))
        return torch.matmul(self.colour, planes.flatten(2)).view(shape)

    def render(self, latents: Tensor) -> Tensor:
        """Images (B, C, H, W) in [0, 1]."""
        return torch.sigmoid(self(latents))


def colours(channels: int, deviation: float = 1.0) -> Tensor:
    """The matrix that turns the decorrelated channels (C) of a pixel into its logits (C).

    Args:
        channels: C; if images are not RGB, the channels are independent.
        deviation: the standard deviation of each independent channel.
    """
    colour = torch.tensor(COLOUR) if channels == len(COLOUR) else deviation * torch.eye(channels)
    return CONTRAST * colour


def amplitudes(size: Size) -> Tensor:
    """1 / max(f, 1 / S) for every wave (H, W), f in cycles per px, scaled to a mean square of 1.

    S is the longer side: only the constant wave is longer.
    """
    height, width = sides(size)
    down, across = (torch.fft.fftfreq(side, dtype=torch.float64) for side in (height, width))
    frequency = torch.hypot(down[:, None], across)
    amplitude = 1 / frequency.clamp_min(1 / max(height, width))
    return (amplitude / amplitude.square().mean().sqrt()).float()


def hartley(coefficients: Tensor) -> Tensor:
    """Sum of plane waves cos(a) + sin(a), a = 2 pi (k x / W + l y / H), weighted by coefficients (..., H, W).

    The waves of (k, l) and (-k, -l) are a quarter of a period apart: they span what a complex Fourier
    coefficient does, in as many real numbers as there are pixels. Scaled by 1 / sqrt(H W) the transform is
    orthonormal and its own inverse.
    """
    return torch.fft.fft2(torch.complex(coefficients, coefficients), norm="ortho").real
