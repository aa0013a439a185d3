"""What an image prior is, and the registry of those there are.

To add one: write a sibling module with a class that satisfies `ImagePrior`, add its loader to
`PRIORS`, and every test that runs over the registry holds for it.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from torch import Tensor, device

from protoviz.registry import lookup


class ImagePrior(Protocol):
    """A differentiable map from latents to images, and the distribution that latents come from.

    Attributes:
        latent_size: dimensions of a latent.
        image_size: height and width of an image, in px.
    """

    latent_size: int
    image_size: int

    def render(self, latents: Tensor) -> Tensor:
        """Images (B, 3, H, W) in [0, 1] of latents (B, latent_size) whose prior is N(0, I)."""


def load(name: str, path: str | Path, on: device) -> ImagePrior:
    """An image prior of the registry, with its weights read from `path`.

    Raises:
        StudyError: no prior has this name, or the file is not one of its weights.
    """
    return lookup(PRIORS, name, "image prior")(path, on)


def _generator(path: str | Path, on: device) -> ImagePrior:
    from protoviz.priors import generator

    return generator.load(path, on)


PRIORS: dict[str, Callable[[str | Path, device], ImagePrior]] = {"generator": _generator}
