"""How near images are to photographs, in the features of a network that did not take part."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from protoviz.errors import StudyError
from protoviz.models import importer, zoo
from protoviz.models.resnet import IMAGENET_MEAN, IMAGENET_STD

Images = NDArray[np.uint8]
Features = NDArray[np.float64]

DIMENSIONS = 16  # principal components of photographs' features: few images have no covariance in more
_BATCH = 100


def judge(name: str, state: str | None, size: int) -> Callable[[Images], Features]:
    """What maps images (N, H, W, 3) to the input of a network's last linear layer, (N, D).

    Args:
        name: of the network, as for `protoviz units`.
        state: file with its weights.
        size: px, to which images are brought (bilinear, antialiased).

    Raises:
        StudyError: no such network or weights, or it has no linear layer.
    """
    found = zoo.load(name)
    module = found.module.eval().requires_grad_(False)
    if state is not None:
        importer.load(module, state, name)
    last = next((part for part in reversed(list(module.modules())) if isinstance(part, nn.Linear)), None)
    if last is None:
        raise StudyError(name, expected="a linear layer", found="none", remedy="choose another judge")
    mean, std = (
        torch.tensor(values or usual)[:, None, None]
        for values, usual in ((found.mean, IMAGENET_MEAN), (found.std, IMAGENET_STD))
    )

    def features(images: Images) -> Features:
        kept: list[Tensor] = []
        hook = last.register_forward_pre_hook(lambda _, inputs: kept.append(inputs[0].flatten(1)))
        with torch.inference_mode():
            for start in range(0, len(images), _BATCH):
                block = torch.from_numpy(images[start : start + _BATCH]).permute(0, 3, 1, 2) / 255
                small = functional.interpolate(block, (size, size), mode="bilinear", antialias=True)
                module((small - mean) / std)
        hook.remove()
        return torch.cat(kept).double().numpy()

    return features


class Nearness:
    """Distances of images from photographs, by their features.

    Args:
        photographs: (N, D).
    """

    def __init__(self, photographs: Features) -> None:
        self.photographs = photographs
        self.mean = photographs.mean(0)
        _, spread, axes = np.linalg.svd(photographs - self.mean, full_matrices=False)
        self.axes = axes[: min(DIMENSIONS, len(axes), int((spread > 1e-9 * spread[0]).sum()))]
        self.unit = float(nearest(photographs, photographs, apart=True).mean())

    def frechet(self, features: Features, others: Features | None = None) -> float:
        """The Frechet distance (Heusel et al. 2017, arXiv:1706.08500, equation 6) of (n, D) from photographs.

        In the first principal components of these. It falls with n; compare equal numbers.
        """
        pair = [
            (one - self.mean) @ self.axes.T
            for one in (features, self.photographs if others is None else others)
        ]
        means, covariances = [one.mean(0) for one in pair], [np.atleast_2d(np.cov(one.T)) for one in pair]
        root = square_root(covariances[1])
        cross = square_root(root @ covariances[0] @ root)
        apart = float(np.square(means[0] - means[1]).sum())
        return apart + float(np.trace(covariances[0]) + np.trace(covariances[1]) - 2 * np.trace(cross))

    def neighbour(self, features: Features) -> float:
        """Mean distance to the nearest photograph, 1: as far as photographs are from each other."""
        return float(nearest(features, self.photographs).mean()) / self.unit

    def floor(self, count: int, draws: int = 20) -> tuple[float, float]:
        """The same of so many photographs, held against the others: means of draws."""
        rng, found = np.random.default_rng(0), []
        for _ in range(draws):
            order = rng.permutation(len(self.photographs))
            some, others = self.photographs[order[:count]], self.photographs[order[count:]]
            found.append((self.frechet(some, others), float(nearest(some, others).mean()) / self.unit))
        first, second = np.mean(found, axis=0)
        return float(first), float(second)


def nearest(points: Features, others: Features, *, apart: bool = False) -> Features:
    """Euclidean distance of each point to the nearest of the others; `apart`: but for that in its place."""
    squared = np.square(points).sum(1)[:, None] + np.square(others).sum(1) - 2 * points @ others.T
    if apart:
        np.fill_diagonal(squared, np.inf)
    found: Features = np.sqrt(np.maximum(squared.min(1), 0))
    return found


def square_root(matrix: Features) -> Features:
    """Of a symmetric matrix without negative eigenvalues."""
    values, vectors = np.linalg.eigh(matrix)
    found: Features = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    return found
