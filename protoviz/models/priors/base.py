"""The interface of image priors, and the registry of those that exist.

To add one, write a sibling module with a class that satisfies `ImagePrior`, and add its loader to
`PRIORS`; every test that runs over the registry then covers it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from protoviz.config.image_size import Size, named, sides
from protoviz.errors import StudyError
from protoviz.registry import lookup

SMALLEST = 2  # px
RGB = 3  # channels


def channels(prior: "ImagePrior") -> int:
    """The number of channels of a prior's images."""
    return int(getattr(prior, "channels", RGB))


def require_channels(prior: "ImagePrior", count: int) -> None:
    """Check that a prior's images have as many channels as those of a network.

    Raises:
        StudyError: they do not.
    """
    if channels(prior) != count:
        raise StudyError(
            f"image prior {type(prior).__name__}",
            expected=f"images of {count} channel{'s' * (count != 1)}, as the network takes",
            found=f"images of {channels(prior)}",
            remedy="choose a prior that makes such images: 'fourier' or 'pixels'",
        )


class ImagePrior(Protocol):
    """A differentiable map from latents to images, and the distribution that latents come from.

        >>> class Grey:
        ...     latent_size, image_size = 16 * 16, 16
        ...     def render(self, latents):
        ...         return torch.sigmoid(latents).reshape(-1, 1, 16, 16).expand(-1, 3, -1, -1)
        >>> protoviz.synthesize(network, "stem:0", prior=Grey(), repeats=1).sizes["component"]
        256

    Those of the registry are frozen modules in evaluation mode. `render` is plain tensor code without
    control flow on values or on the batch size, so that torch.fx can trace it.

    Attributes:
        latent_size: dimensions of a latent.
        image_size: height and width of an image, px: a number for squares, or (H, W).
        channels: of an image, C; a prior without this attribute makes RGB images.
    """

    latent_size: int

    @property
    def image_size(self) -> Size:
        """See above."""

    def render(self, latents: Tensor) -> Tensor:
        """Images (B, C, H, W) in [0, 1] of latents (B, latent_size) whose prior is N(0, I)."""


@dataclass(frozen=True)
class Origin:
    """What a prior is made from: a weight file or an image size, depending on its kind.

    Attributes:
        prior: its name, for errors.
        weights: path or address of the weights.
        sha256: what the digest of the weights should be.
        size: height and width of the images, px.
        channels: of the images.
        device: where the prior computes.
    """

    prior: str
    weights: str | Path | None
    sha256: str | None
    size: Size | None
    channels: int
    device: torch.device | str

    def file(self, default: str | Path | None = None) -> str | Path:
        """The weights, for a prior that has them; it has an image size of its own.

        Args:
            default: those that come with the prior.

        Raises:
            StudyError: there are none, or images other than RGB squares are asked for.
        """
        others = [f"{self.channels} channel{'s' * (self.channels != 1)}"] if self.channels != RGB else []
        others += [named(self.size)] if isinstance(self.size, tuple) else []
        if others:
            raise StudyError(
                f"image prior {self.prior!r}",
                expected="a network of RGB squares, as its weights were learnt on such images",
                found=f"one of images of {' and '.join(others)}",
                remedy="choose a prior without weights: 'fourier' or 'pixels'",
            )
        weights = default if self.weights is None else self.weights
        if weights is None:
            raise StudyError(
                f"image prior {self.prior!r}",
                expected="a file with its weights, or their address",
                found="none",
                remedy="name one, or choose a prior without weights: 'fourier' or 'pixels'",
            )
        return weights

    def extent(self, *, weightless: bool = True) -> Size:
        """The image size, for a prior of images of any size.

        Args:
            weightless: whether the prior has no weights either.

        Raises:
            StudyError: no size is given, or weights are given for a prior that has none.
        """
        where = f"image prior {self.prior!r}"
        if weightless and (self.weights is not None or self.sha256 is not None):
            raise StudyError(
                where,
                expected="no weights, it has no parameters",
                found=str(self.weights or self.sha256),
                remedy="leave the weights out, or choose 'natural', 'maco', 'generator' or 'deepsim'",
            )
        if self.size is None or min(sides(self.size)) < SMALLEST:
            raise StudyError(
                where,
                expected=f"an image size of at least {SMALLEST} px",
                found="none" if self.size is None else named(self.size),
                remedy="give the input size of the network",
            )
        return self.size


def load(
    name: str,
    *,
    weights: str | Path | None = None,
    sha256: str | None = None,
    size: Size | None = None,
    channels: int = RGB,
    device: torch.device | str = "cpu",
) -> ImagePrior:
    """An image prior of the registry.

    Args:
        name: "natural", "generator" and "deepsim" have weights, "fourier" and "pixels" have none, "maco" has
            a spectrum.
        weights: path or address (https, http, file) of the weights or the spectrum of a prior that has some;
            those of "natural" and "maco" come with it, unless others are named.
        sha256: hex digest that the weights must have.
        size: image size of a prior without weights, px, a number or (H, W); the others have their
            own.
        channels: of the images; priors with weights make RGB images alone.
        device: where the prior computes.

    Raises:
        StudyError: no prior has this name; weights or size are missing or do not belong to it; the weights
            cannot be obtained or are not those of this prior.
    """
    return lookup(PRIORS, name, "image prior")(Origin(name, weights, sha256, size, channels, device))


# Imported on demand: a process loads only the code of the prior that it uses.


def _generator(origin: Origin) -> ImagePrior:
    from protoviz.models import download
    from protoviz.models.priors import generator

    return generator.load(download.local(origin.file(), sha256=origin.sha256), origin.device)


def _deepsim(origin: Origin) -> ImagePrior:
    from protoviz.models.priors import deepsim

    return deepsim.load(origin.file(), origin.device, sha256=origin.sha256)


def _natural(origin: Origin) -> ImagePrior:
    from protoviz.models import download
    from protoviz.models.priors import natural

    source = origin.file(natural.SHIPPED)
    if origin.weights is None:
        return natural.load(None, origin.device, sha256=origin.sha256)
    return natural.load(download.local(source, sha256=origin.sha256), origin.device)


def _fourier(origin: Origin) -> ImagePrior:
    from protoviz.models.priors import fourier

    return fourier.Fourier(origin.extent(), origin.channels).to(origin.device).eval()


def _maco(origin: Origin) -> ImagePrior:
    from protoviz.models import download
    from protoviz.models.priors import maco, spectrum

    size = origin.extent(weightless=False)
    weights = origin.weights
    source = None if weights is None else download.local(weights, sha256=origin.sha256)
    found = spectrum.load(source, sha256=origin.sha256)
    prior = maco.Maco(found.at(size, origin.channels), size)
    prior.sha256 = found.sha256
    return prior.to(origin.device).eval()


def _pixels(origin: Origin) -> ImagePrior:
    from protoviz.models.priors import pixels

    return pixels.Pixels(origin.extent(), origin.channels).to(origin.device).eval()


PRIORS: dict[str, Callable[[Origin], ImagePrior]] = {
    "deepsim": _deepsim,
    "fourier": _fourier,
    "generator": _generator,
    "maco": _maco,
    "natural": _natural,
    "pixels": _pixels,
}
