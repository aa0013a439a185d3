"""The image prior of natural spectra: plane waves whose amplitude falls as 1/f, in decorrelated colours.

Olah, Mordvintsev & Schubert 2017, Feature Visualization (https://doi.org/10.23915/distill.00007): in this
basis, ascent has no preference for the high frequencies that gradients of networks are full of. The
Fourier coefficients are kept as real numbers by the Hartley transform (Bracewell 1983).
"""

import torch
from torch import Tensor, nn

# Square root of the covariance of the colours of ImageNet (R, G, B in [0, 1]; rows) along its principal
# axes (columns), as published with Lucid.
COLOUR = ((0.26, 0.09, 0.02), (0.27, 0.00, -0.05), (0.27, -0.09, 0.03))

_CONTRAST = 4  # the sigmoid of 4 (x - 1/2) is x to first order


class Fourier(nn.Module):
    """Latents (B, 3 * S * S) to RGB images (B, 3, S, S) in [0, 1], without parameters.

    A latent holds the coefficients of S * S plane waves of three decorrelated colours. To first order
    the colours of a latent of N(0, I) have the covariance COLOUR COLOUR^T of photographs, at any size S;
    after the sigmoid the standard deviation of its pixels is 0.21 to 0.23.
    """

    amplitude: Tensor
    colour: Tensor

    def __init__(self, image_size: int) -> None:
        super().__init__()
        self.image_size = image_size
        self.latent_size = 3 * image_size**2
        self.register_buffer("amplitude", amplitudes(image_size))
        self.register_buffer("colour", _CONTRAST * torch.tensor(COLOUR))

    def forward(self, latents: Tensor) -> Tensor:
        """Logits of the image, (B, 3, S, S)."""
        size = self.image_size
        planes = hartley(self.amplitude * latents.view(-1, 3, size, size))
        return torch.matmul(self.colour, planes.flatten(2)).view(-1, 3, size, size)

    def render(self, latents: Tensor) -> Tensor:
        """Images (B, 3, S, S) in [0, 1]."""
        return torch.sigmoid(self(latents))


def amplitudes(size: int) -> Tensor:
    """1 / max(f, 1 / size) for every wave (size, size), f in cycles per px, scaled to a mean square of 1."""
    along = torch.fft.fftfreq(size, dtype=torch.float64)
    frequency = torch.hypot(along[:, None], along)
    amplitude = 1 / frequency.clamp_min(1 / size)
    return (amplitude / amplitude.square().mean().sqrt()).float()


def hartley(coefficients: Tensor) -> Tensor:
    """Sum of the plane waves cos(a) + sin(a), a = 2 pi (k x + l y) / S, that coefficients (..., S, S) weigh.

    The waves of (k, l) and (-k, -l) are a quarter of a period apart: they span what a complex Fourier
    coefficient does, in as many real numbers as there are pixels. Scaled by 1 / S the transform is
    orthonormal and its own inverse.
    """
    return torch.fft.fft2(torch.complex(coefficients, coefficients), norm="ortho").real
