"""How strong each wave is in photographs: the mean magnitude of their Fourier spectra, in a few kB.

Fel et al. 2023, MACO (https://arxiv.org/abs/2306.06805), section 3, hold the magnitude of an image's spectrum
at its mean over natural images. Here it is measured on what a prior paints with, the inverse sigmoid of
pixels in decorrelated colours, as in `fourier.py`. It is kept by frequency, in cycles per image, and
direction, which gives the spectrum for an image of any size: that of photographs scaled to this size.

The one that comes with protoviz is made by `protoviz train-prior --prior maco` and described in
docs/explanation/priors.md.
"""

from collections.abc import Mapping
from math import log, pi
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from protoviz.config.image_size import Size, sides
from protoviz.errors import StudyError
from protoviz.models import safetensors_io
from protoviz.models.priors.fourier import COLOUR, CONTRAST

SHIPPED = Path(__file__).with_name("spectrum.safetensors")
SHA256 = "7742d3c6058ba4ad2322bffe542b9e291340f075bbdc65538b8a011a1f09e35d"

KIND = "spectrum"

CLIP = 0.01  # of pixels from 0 and 1, where their inverse sigmoid is infinite
RADII = torch.logspace(0, log(64) / log(2), 24, base=2.0)  # cycles per image
ANGLES = torch.arange(16) * (pi / 16)  # rad, direction of the wave, up to its sign
_NARROW, _WIDE = 0.5, 0.08  # deviation of the weights of neighbours: cycles, and a share of the frequency
_BLOCK = 32  # photographs at once


class Spectrum(nn.Module):
    """The mean magnitudes of the waves of photographs.

    The first three channels are the decorrelated colours of `fourier.COLOUR`, the last is that of grey levels
    (the mean of R, G and B). A magnitude is that of a coefficient divided by the number of pixels.

    Attributes:
        magnitude: (4, radii, angles), at RADII and ANGLES.
        mean: (4,), the mean of each channel, with its sign.
        sha256: of the file that it was read from.
    """

    magnitude: Tensor
    mean: Tensor
    sha256: str | None = None

    def __init__(self, magnitude: Tensor, mean: Tensor) -> None:
        super().__init__()
        self.register_buffer("magnitude", magnitude.float())
        self.register_buffer("mean", mean.float())

    def at(self, size: Size, channels: int = 3) -> Tensor:
        """The coefficients of `rfft2` of images of a size, divided by their pixels: (C, H, W // 2 + 1).

        Frequencies are in cycles per longer side. Between the radii, the logarithm of magnitudes is
        interpolated; beyond the last radius they go on falling as over the last octave. The coefficient of
        the mean has its sign. Images that are not RGB have the grey levels' spectrum in each channel.

        Args:
            size: height and width, px: a number for squares, or (H, W).
            channels: C.
        """
        height, width = sides(size)
        longer = max(height, width)
        rows = torch.fft.fftfreq(height, dtype=torch.float64)[:, None] * longer
        columns = torch.fft.rfftfreq(width, dtype=torch.float64) * longer
        logarithm = self.magnitude.double().log()
        found = _between(logarithm, torch.hypot(rows, columns), torch.atan2(rows, columns.expand(height, -1)))
        # Waves are denser along the longer side: with the same power in an area, each has less.
        found = found.exp() * (longer / (height * width) ** 0.5)
        found[:, 0, 0] = self.mean
        return (found[:3] if channels == 3 else found[3:].expand(channels, -1, -1)).float()


def coefficients(images: Tensor) -> Tensor:
    """The spectra of images: the Fourier coefficients of their inverse sigmoids, by channel.

    Args:
        images: (B, C, H, W) in [0, 1].

    Returns:
        complex (B, C, H, W // 2 + 1), `rfft2` divided by the number of pixels: for RGB images those of
        decorrelated colours, for others those of each channel. `Maco` renders from these.
    """
    planes = torch.logit(images.double(), CLIP) / CONTRAST
    if images.shape[1] == len(COLOUR):
        inverse = torch.linalg.inv(torch.tensor(COLOUR, dtype=torch.float64)).to(images.device)
        planes = torch.einsum("ij,bjhw->bihw", inverse, planes)
    return torch.fft.rfft2(planes, norm="forward")


def measured(photographs: NDArray[np.uint8]) -> Spectrum:
    """The mean spectrum of photographs.

    The logarithm of magnitude times frequency is averaged over neighbouring waves, with the weights of a
    Gaussian that widens with the frequency: with few photographs, single waves are noise.

    Args:
        photographs: uint8 (N, S, S, 3), S at least 16.

    Raises:
        StudyError: there are none, or none with any contrast.
    """
    count, side = photographs.shape[:2]
    total = torch.zeros(4, side, side, dtype=torch.float64)
    mean = torch.zeros(4, dtype=torch.float64)
    for start in range(0, count, _BLOCK):
        block = torch.tensor(photographs[start : start + _BLOCK]).permute(0, 3, 1, 2) / 255
        both = torch.cat([coefficients(block), coefficients(block.mean(1, keepdim=True))], 1)
        mean += both[:, :, 0, 0].real.sum(0)
        total += _whole(both.abs(), side).sum(0)
    total /= max(count, 1)
    if not count or not bool((total.flatten(1)[:, 1:].mean(1) > 0).all()):
        raise StudyError(
            "photographs",
            expected="coloured ones, with some contrast",
            found=f"{count} of {side} px without any",
            remedy="name a folder of photographs",
        )
    frequency = torch.fft.fftfreq(side, 1 / side, dtype=torch.float64)
    rows, columns = (axis.flatten() for axis in torch.meshgrid(frequency, frequency, indexing="ij"))
    radius = torch.hypot(rows, columns)
    seen = (radius > 0) & (radius <= side / 2)
    flattened = (total.flatten(1) * radius).clamp_min(1e-12).log()[:, seen]
    magnitude = torch.empty(4, len(RADII), len(ANGLES), dtype=torch.float64)
    for i, at in enumerate(RADII.double().clamp(max=side / 2).tolist()):
        spread = max(_NARROW, _WIDE * at)
        for j, angle in enumerate(ANGLES.double()):
            apart = (rows - at * angle.sin()) ** 2 + (columns - at * angle.cos()) ** 2
            weights = torch.softmax(-apart[seen] / (2 * spread**2), 0)
            magnitude[:, i, j] = (flattened @ weights).exp() / RADII[i].double()
    return Spectrum(magnitude, mean / count)


def save(target: str | Path, spectrum: Spectrum, about: Mapping[str, Any]) -> None:
    """Write a spectrum and a description of it; the same input gives the same bytes."""
    safetensors_io.write(target, spectrum, KIND, about)


def load(source: str | Path | None = None, *, sha256: str | None = None) -> Spectrum:
    """Read a spectrum; its digest is in the attribute `sha256`.

    Args:
        source: a file of `save`; by default the one that comes with protoviz, whose digest is checked.
        sha256: hex digest that the file must have.

    Raises:
        StudyError: there is no such file, it has another digest, or `save` did not write it.
    """
    wanted, remedy = sha256, "name the right file; `protoviz train-prior FOLDER --prior maco` makes one"
    if source is None:
        source, wanted, remedy = SHIPPED, sha256 or SHA256, "install protoviz again"
    found = safetensors_io.verified(source, wanted, remedy)
    tensors, _ = safetensors_io.read(source, KIND, "cpu")
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    expected = {"magnitude": (4, len(RADII), len(ANGLES)), "mean": (4,)}
    whole = shapes == expected and all(bool(tensor.isfinite().all()) for tensor in tensors.values())
    if not whole or not bool((tensors["magnitude"] > 0).all()):
        raise StudyError(
            str(source),
            expected=f"magnitudes above 0 of shape {expected['magnitude']} and the means of 4 channels",
            found=str(shapes) if shapes != expected else "values that are not finite or not above 0",
            remedy=remedy,
        )
    spectrum = Spectrum(**tensors)
    spectrum.sha256 = found
    return spectrum


def _whole(half: Tensor, width: int) -> Tensor:
    """Magnitudes (..., H, W) of all waves from those of `rfft2`, (..., H, W // 2 + 1)."""
    mirrored = half[..., 1 : (width + 1) // 2].flip(-1)
    mirrored = torch.cat([mirrored[..., :1, :], mirrored[..., 1:, :].flip(-2)], -2)
    return torch.cat([half, mirrored], -1)


def _between(values: Tensor, radius: Tensor, angle: Tensor) -> Tensor:
    """Values (4, radii, angles) at other radii and angles, (H, K): linear in the logarithm of the radius."""
    knots = RADII.double().log2()
    step = knots[1] - knots[0]
    place = radius.clamp_min(1).log2() / step
    last = len(knots) - 2
    low = place.floor().long().clamp(max=last)
    along = (place - low).clamp(max=1)
    turn = torch.remainder(angle, pi) / (pi / len(ANGLES))
    left = turn.floor().long() % len(ANGLES)
    right, around = (left + 1) % len(ANGLES), turn - turn.floor()
    found = torch.zeros(len(values), *radius.shape, dtype=values.dtype)
    for i, first in ((low, 1 - along), (low + 1, along)):
        for j, weight in ((left, first * (1 - around)), (right, first * around)):
            found += weight * values[:, i, j]
    octave = round(1 / float(step))
    slope = (values[:, -1] - values[:, -1 - octave]).mean(1) / octave
    return found + slope[:, None, None] * (place - (last + 1)).clamp_min(0)
