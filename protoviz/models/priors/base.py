"""What an image prior is, and the registry of those there are.

To add one: write a sibling module with a class that satisfies `ImagePrior`, add its loader to
`PRIORS`, and every test that runs over the registry holds for it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from protoviz.errors import StudyError
from protoviz.registry import lookup

SMALLEST = 2  # px


class ImagePrior(Protocol):
    """A differentiable map from latents to images, and the distribution that latents come from.

    Those of the registry are frozen modules in evaluation mode. `render` is plain tensor code without
    control flow on values or on the batch size, so that torch.fx can trace it.

    Attributes:
        latent_size: dimensions of a latent.
        image_size: height and width of an image, in px.
    """

    latent_size: int
    image_size: int

    def render(self, latents: Tensor) -> Tensor:
        """Images (B, 3, H, W) in [0, 1] of latents (B, latent_size) whose prior is N(0, I)."""


@dataclass(frozen=True)
class Origin:
    """What a prior is made of: a weight file or an image size, as its kind asks.

    Attributes:
        prior: its name, for errors.
        weights: path or address of the weights.
        sha256: what the digest of the weights should be.
        size: height and width of the images, px.
        device: where the prior computes.
    """

    prior: str
    weights: str | Path | None
    sha256: str | None
    size: int | None
    device: torch.device | str

    def file(self) -> str | Path:
        """The weights, for a prior that has some; it brings its own image size.

        Raises:
            StudyError: none are named.
        """
        if self.weights is None:
            raise StudyError(
                f"image prior {self.prior!r}",
                expected="a file with its weights, or their address",
                found="none",
                remedy="name one, or choose a prior without weights: 'fourier' or 'pixels'",
            )
        return self.weights

    def side(self) -> int:
        """The image size, for a prior without weights.

        Raises:
            StudyError: none is given, or weights are.
        """
        where = f"image prior {self.prior!r}"
        if self.weights is not None or self.sha256 is not None:
            raise StudyError(
                where,
                expected="no weights, it has no parameters",
                found=str(self.weights or self.sha256),
                remedy="leave the weights out, or choose 'generator' or 'deepsim'",
            )
        if self.size is None or self.size < SMALLEST:
            raise StudyError(
                where,
                expected=f"an image size of at least {SMALLEST} px",
                found="none" if self.size is None else f"{self.size} px",
                remedy="give the input size of the network",
            )
        return self.size


def load(
    name: str,
    *,
    weights: str | Path | None = None,
    sha256: str | None = None,
    size: int | None = None,
    device: torch.device | str = "cpu",
) -> ImagePrior:
    """An image prior of the registry.

    Args:
        name: "generator" and "deepsim" have weights, "fourier" and "pixels" have none.
        weights: path or address (https, http, file) of the weights of a prior that has some.
        sha256: hex digest that the weights must have.
        size: image size of a prior without weights, px; the others make images of their own size.
        device: where the prior computes.

    Raises:
        StudyError: no prior has this name; weights or size are missing or do not belong to it; the weights
            cannot be had or are not those of this prior.
    """
    return lookup(PRIORS, name, "image prior")(Origin(name, weights, sha256, size, device))


# Imported when asked for: a process loads the code of the one prior that it uses.


def _generator(origin: Origin) -> ImagePrior:
    from protoviz.models import download
    from protoviz.models.priors import generator

    return generator.load(download.local(origin.file(), sha256=origin.sha256), origin.device)


def _deepsim(origin: Origin) -> ImagePrior:
    from protoviz.models.priors import deepsim

    return deepsim.load(origin.file(), origin.device, sha256=origin.sha256)


def _fourier(origin: Origin) -> ImagePrior:
    from protoviz.models.priors import fourier

    return fourier.Fourier(origin.side()).to(origin.device).eval()


def _pixels(origin: Origin) -> ImagePrior:
    from protoviz.models.priors import pixels

    return pixels.Pixels(origin.side()).to(origin.device).eval()


PRIORS: dict[str, Callable[[Origin], ImagePrior]] = {
    "deepsim": _deepsim,
    "fourier": _fourier,
    "generator": _generator,
    "pixels": _pixels,
}
