"""The latents of the prior `natural`: whitened features of photographs, which its decoder turns into images.

The latent of an image consists of the principal components of its thumbnail and of two maps of
EfficientNet-Lite0, whitened together: latents of photographs have zero mean and identity covariance, so that
N(0, I) renders to something like photographs. The method follows DeePSim (Dosovitskiy & Brox 2016), whose
generators invert features of AlexNet; the thumbnail says where things are.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from protoviz.learning.whitening import principal_components
from protoviz.models import efficientnet_lite0

THUMBNAIL = 16  # px
MAPS = ((2, 4), (5, 2))  # block of the network, cells along each side of its pooled map
JUDGES = 4  # blocks 0 to 3 judge the decoder's images


class Encoder(nn.Module):
    """The blocks of EfficientNet-Lite0 that the latents and the loss need, frozen."""

    def __init__(self) -> None:
        super().__init__()
        network = efficientnet_lite0.features()
        self.stem = nn.Sequential(network.conv_stem, network.bn1)  # type: ignore[arg-type]
        self.blocks = network.blocks

    def forward(self, images: Tensor, count: int) -> list[Tensor]:
        """The maps of the first `count` blocks of images (B, 3, H, W) in [0, 1]."""
        x = self.stem((2 * images - 1).contiguous(memory_format=torch.channels_last))  # mean, deviation 0.5
        maps = []
        for block in self.blocks[:count]:  # type: ignore[index]
            x = block(x)
            maps.append(x)
        return maps


NEEDED = 1 + max(block for block, _ in MAPS)  # blocks of the encoder


def describe(images: Tensor, maps: Sequence[Tensor]) -> list[Tensor]:
    """What a latent is made from: the thumbnail and the pooled maps of `MAPS`, each float32 (B, D).

    Args:
        images: (B, 3, H, W) in [0, 1].
        maps: what the `Encoder` makes of them, at least `NEEDED` blocks.
    """
    thumbnail = functional.interpolate(
        images.float(), (THUMBNAIL, THUMBNAIL), mode="bilinear", antialias=True, align_corners=False
    )
    pooled = [functional.adaptive_avg_pool2d(maps[block].float(), cells) for block, cells in MAPS]
    return [part.flatten(1) for part in (thumbnail, *pooled)]


@dataclass(frozen=True)
class Whitening:
    """Latent = sum over parts of (part - mean) @ matrix.

    Attributes:
        means: of each part, (D,).
        matrices: of each part, (D, latent size).
    """

    means: list[Tensor]
    matrices: list[Tensor]

    def __call__(self, parts: Sequence[Tensor]) -> Tensor:
        """Latents (B, latent size), float32, of the parts of a description (B, D)."""
        three = zip(parts, self.means, self.matrices, strict=True)
        return torch.stack([(part - mean) @ matrix for part, mean, matrix in three]).sum(0)


def whitening(parts: Sequence[Tensor], components: Sequence[int]) -> Whitening:
    """The map from descriptions to latents with zero mean and identity covariance.

    The first principal components of each part are kept, with unit variance. The correlations between parts
    are then removed from all components alike: of all matrices that whiten, the symmetric one changes them
    least (ZCA, Kessy et al. 2018, https://doi.org/10.1080/00031305.2016.1277159).

    Args:
        parts: of N images, each (N, D).
        components: kept of each part, at most D.
    """
    means = [part.double().mean(0) for part in parts]
    projections, scores = [], []
    for part, mean, kept in zip(parts, means, components, strict=True):
        centred = part.double() - mean
        projections.append(principal_components(centred, kept))
        scores.append(centred @ projections[-1])
    together = torch.cat(scores, 1)
    values, vectors = torch.linalg.eigh(together.T @ together / len(together))
    symmetric = vectors / values.clamp_min(1e-9).sqrt() @ vectors.T
    rows = symmetric.split(list(components))
    matrices = [(projection @ some).float() for projection, some in zip(projections, rows, strict=True)]
    return Whitening([mean.float() for mean in means], matrices)
