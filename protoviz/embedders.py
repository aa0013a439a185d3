"""The spaces in which prototypes are compared: each maps images to vectors (D1, D2).

To add one, write a function that takes a `Setting` and returns an `Embedder`, and give it a name in
`EMBEDDERS`. It imports what it needs inside, so that this module stays light: pixels need no torch.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from protoviz.registry import lookup

Images = NDArray[np.float32]
Vectors = NDArray[np.float32]


class Embedder(Protocol):
    """Maps images (N, H, W, 3), RGB in [0, 1], to vectors (N, D). Rows do not depend on each other."""

    def __call__(self, images: Images) -> Vectors:
        """The vectors of these images."""


@dataclass(frozen=True)
class Setting:
    """What embedders are loaded with.

    Attributes:
        encoder: checkpoint of the reference encoder.
        device: where networks run: "cpu", "cuda", "cuda:1" or "auto".
        threads: threads for torch and for BLAS.
        batch_size: images that go through a network at once.
    """

    encoder: Path
    device: str
    threads: int
    batch_size: int


def load(names: Iterable[str], setting: Setting) -> dict[str, Embedder]:
    """The embedders of these names, in this order, with their networks loaded.

    Raises:
        StudyError: the registry has no such name, or the network's file is missing or damaged.
    """
    makers = {name: lookup(EMBEDDERS, name, "embedder") for name in names}
    return {name: make(setting) for name, make in makers.items()}


def pixels(setting: Setting) -> Embedder:
    """RGB values in [0, 1], row by row: D = H x W x 3."""
    del setting  # nothing to load

    def embed(images: Images) -> Vectors:
        return images.reshape(len(images), -1).astype(np.float32)

    return embed


def reference(setting: Setting) -> Embedder:
    """Average-pooled last-layer features of the reference encoder, on images at the size they have.

    The encoder is trained in the pipeline on images and a seed that no analysed network uses.
    """
    import torch

    from protoviz import backbones, checkpoints, compute

    device = compute.prepare(setting.device, setting.threads)
    model, _ = checkpoints.load(setting.encoder, device)

    def embed(images: Images) -> Vectors:
        batches = []
        for start in range(0, len(images), setting.batch_size):
            batch = np.ascontiguousarray(images[start : start + setting.batch_size].transpose(0, 3, 1, 2))
            with torch.inference_mode():
                features = model.features(backbones.normalise(torch.from_numpy(batch).to(device)))
            batches.append(features.cpu().numpy())
        return np.concatenate(batches)

    return embed


EMBEDDERS: dict[str, Callable[[Setting], Embedder]] = {"pixels": pixels, "reference": reference}
