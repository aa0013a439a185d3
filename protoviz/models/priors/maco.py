"""The image prior of fixed spectra: waves are as strong as in photographs, and only their phases are free.

Fel et al. 2023, Unlocking Feature Visualization for Deeper Networks with MAgnitude Constrained Optimization
(https://arxiv.org/abs/2306.06805), section 3. An ascent cannot spend contrast on the waves that a network is
most sensitive to; it can only move waves until they coincide, which makes edges and shapes.
"""

import torch
from torch import Tensor, nn

from protoviz.config.image_size import Size, named, sides
from protoviz.errors import StudyError
from protoviz.models.priors.fourier import colours


class Maco(nn.Module):
    """Latents (B, latent_size) to images (B, C, H, W) in [0, 1], without parameters.

    A latent holds the phase of each wave of each channel, in half turns: under N(0, I) phases are uniform to
    1 %, so a random latent is a texture with the spectrum of photographs (the authors' phases, of deviation 1
    rad, coincide in a corner of the image). In a real image, waves in opposite directions are one; its mean,
    and the up to three waves that alternate from pixel to pixel, have no phase and stay as in the spectrum.

    Colours and the sigmoid are those of `fourier.Fourier`. The authors scale each image to the deviation 1
    before the sigmoid; here the spectrum itself has the contrast and the mean colour of photographs.

    Args:
        spectrum: (C, H, W // 2 + 1), magnitudes of the coefficients of `rfft2` divided by the number of
            pixels, as `spectrum.Spectrum.at` gives them; for waves without a phase, the coefficients.
        image_size: height and width, px: a number for squares, or (H, W).

    Raises:
        StudyError: the spectrum is not one for images of this size, or no wave in them has a phase.
    """

    spectrum: Tensor
    colour: Tensor
    sha256: str | None = None

    def __init__(self, spectrum: Tensor, image_size: Size) -> None:
        super().__init__()
        self.image_size, self.channels = image_size, len(spectrum)
        self.height, self.width = sides(image_size)
        if tuple(spectrum.shape[1:]) != (self.height, self.width // 2 + 1):
            raise StudyError(
                "spectrum of image prior 'maco'",
                expected=f"coefficients ({self.height}, {self.width // 2 + 1}) of each channel",
                found=str(tuple(spectrum.shape[1:])),
                remedy="resample it to the image size with `Spectrum.at`",
            )
        self.inner = (self.width - 1) // 2  # columns of waves that are not their own mirror image
        self.upper = (self.height - 1) // 2  # waves with a phase in a column that is
        self.edges = 2 - self.width % 2  # such columns: 0 and, of even widths, the last
        self.phases = self.inner * self.height + self.edges * self.upper
        self.latent_size = self.channels * self.phases
        if not self.phases:
            raise StudyError(
                "image prior 'maco'",
                expected="an image size above 2 px, as waves of 2 px have no phase",
                found=named(self.image_size),
                remedy="choose a prior without waves: 'pixels'",
            )
        self.register_buffer("spectrum", spectrum.float())
        self.register_buffer("colour", colours(self.channels))

    def forward(self, latents: Tensor) -> Tensor:
        """Logits of the image, (B, C, H, W)."""
        turned = torch.pi * self.placed(latents)
        waves = torch.complex(self.spectrum * torch.cos(turned), self.spectrum * torch.sin(turned))
        planes = torch.fft.irfft2(waves, s=(self.height, self.width), norm="forward")
        logits: Tensor = torch.matmul(self.colour, planes.flatten(2))
        return logits.view(-1, self.channels, self.height, self.width)

    def render(self, latents: Tensor) -> Tensor:
        """Images (B, C, H, W) in [0, 1]."""
        return torch.sigmoid(self(latents))

    def placed(self, latents: Tensor) -> Tensor:
        """The phase of each coefficient of `rfft2`, half turns (B, C, H, W // 2 + 1)."""
        each = latents.view(-1, self.channels, self.phases)
        split = self.inner * self.height
        columns = [each[:, :, :split].unflatten(2, (self.height, self.inner))]
        for edge in range(self.edges):
            start = split + edge * self.upper
            own = each[:, :, start : start + self.upper]
            still = torch.zeros_like(each[:, :, :1])
            middle = [still] * (1 - self.height % 2)
            column = torch.cat([still, own, *middle, -own.flip(2)], 2).unsqueeze(3)
            columns.insert(edge * len(columns), column)
        return torch.cat(columns, 3)

    def latents(self, phases: Tensor) -> Tensor:
        """The latents (B, latent_size) of phases (B, C, H, W // 2 + 1), half turns; inverse of `placed`."""
        inner = phases[..., 1 : 1 + self.inner].flatten(2)
        edges = [phases[:, :, 1 : 1 + self.upper, column] for column in (0, -1)[: self.edges]]
        return torch.cat([inner, *edges], 2).flatten(1)
