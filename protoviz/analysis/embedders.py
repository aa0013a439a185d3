"""The spaces in which prototypes are compared: each maps images to vectors (D1, D2).

To add one, write a function that takes a `Setting` and returns an `Embedder`, and give it a name in
`EMBEDDERS`. The function itself imports what it needs, so that this module stays light: pixels need no torch.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from protoviz.config.analysis import IMAGENET, UNTRAINED
from protoviz.errors import StudyError
from protoviz.registry import lookup

if TYPE_CHECKING:
    import torch

Images = NDArray[np.uint8] | NDArray[np.float32]
Mask = NDArray[np.float32]
Vectors = NDArray[np.float32]


class Embedder(Protocol):
    """Maps images (N, H, W, C) as uint8 or as float32 in [0, 1], to vectors (N, D), float32.

    For pixels, images may have any number of channels; networks take RGB, or one channel as grey.

    A mask (H, W), or (N, H, W) with one for each image, multiplies the images first. Rows do not depend on
    each other.
    """

    def __call__(self, images: Images, mask: Mask | None = None) -> Vectors:
        """The vectors of these images."""


@dataclass(frozen=True)
class Setting:
    """What embedders are loaded with.

    Attributes:
        encoder: checkpoint of the reference encoder.
        device: where networks run: "cpu", "cuda", "cuda:1" or "auto".
        threads: threads for torch and for BLAS.
        batch_size: images that go through a network at once.
        precision: of the networks: "float32", "bfloat16" or "auto".
        weights: folder with torchvision's weight files; None: torch.hub's, where missing files are fetched.
    """

    encoder: Path
    device: str
    threads: int
    batch_size: int
    precision: Literal["float32", "bfloat16", "auto"] = "float32"
    weights: Path | None = None


Maker = Callable[[Setting], Embedder]


def load(names: Iterable[str], setting: Setting) -> dict[str, Embedder]:
    """The embedders of these names, in this order, with their networks loaded.

    Raises:
        StudyError: the registry has no such name, or the network's file is missing or damaged.
    """
    makers = {name: lookup(EMBEDDERS, name, "embedder") for name in names}
    return {name: make(setting) for name, make in makers.items()}


def is_cheap(name: str) -> bool:
    """Whether vectors are cheaper to make again than to keep: those of pixels are as large as the images."""
    return name == "pixels"


def pixels(setting: Setting) -> Embedder:
    """The values of all channels in [0, 1], row by row: D = H x W x C."""
    del setting  # nothing to load

    def embed(images: Images, mask: Mask | None = None) -> Vectors:
        shown = _between_0_and_1(images)
        if mask is not None:
            shown = shown * mask[..., np.newaxis]
        vectors: Vectors = shown.reshape(len(images), -1)
        return vectors

    return embed


def reference(setting: Setting) -> Embedder:
    """Average-pooled last-layer features of the reference encoder, on images at their own size.

    The encoder is trained in the pipeline on images and a seed that no analysed network uses.
    """
    from protoviz.models import checkpoints, resnet

    model, _ = checkpoints.load(setting.encoder)
    normal = resnet.IMAGENET_MEAN, resnet.IMAGENET_STD
    return _network(resnet.fold_batch_norm(model), _Input(*normal, None), setting)


def efficientnet_lite0(setting: Setting) -> Embedder:
    """Average-pooled features of EfficientNet-Lite0, trained on ImageNet, which is installed as a package.

    Images are resized whole to 96 px, or to 128 px if they are larger than 112 px (bilinear, antialiased);
    see models/efficientnet_lite0.py.
    """
    from protoviz.models import efficientnet_lite0 as lite0

    return _network(lite0.features(), _Input(lite0.MEAN, lite0.STD, lite0.embedding_size), setting)


def imagenet(name: str, setting: Setting) -> Embedder:
    """The last layer before the classifier of a network trained on ImageNet; see models/imagenet.py."""
    from protoviz.models import imagenet as networks

    space = networks.NETWORKS[name.removesuffix(UNTRAINED)]
    network = networks.load(name, setting.weights)
    return _network(network, _Input(space.mean, space.std, lambda *_: space.size), setting)


@dataclass(frozen=True)
class _Input:
    """What a network takes: the mean and deviation of RGB in [0, 1], and the size of square images.

    `size`: height and width of images, px -> the side to which they are resized; None: they keep their size.
    """

    mean: Sequence[float]
    std: Sequence[float]
    size: Callable[[int, int], int] | None


def _network(model: "torch.nn.Module", takes: _Input, setting: Setting) -> Embedder:
    """An embedder that passes images through a network, batch by batch.

    Only the stored bytes are sent to the network's device. Scale, mask and normalisation are one product and
    one sum for each value; resizing, a weighted mean, gives the same result after them.

    Args:
        model: normalised images (B, 3, h, w) -> vectors (B, D).
        takes: see `_Input`.
        setting: device, precision, batch size.
    """
    import torch
    from torch.nn import functional

    from protoviz import compute

    device = compute.prepare(setting.device, setting.threads)
    dtype = compute.precision(setting.precision, device)
    model = model.to(device, dtype).to(memory_format=torch.channels_last)
    mean, std = torch.tensor(takes.mean, device=device), torch.tensor(takes.std, device=device)

    def sent(array: NDArray[np.generic]) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(device)

    def shown(images: Images, scale: torch.Tensor, offset: torch.Tensor) -> torch.Tensor:
        values = sent(images).flatten(1).float()
        normal = torch.addcmul(offset, values, scale).view(images.shape).permute(0, 3, 1, 2)
        sides = images.shape[1:3]
        wanted = sides if takes.size is None else (takes.size(*sides),) * 2
        if sides != wanted:
            normal = functional.interpolate(normal, wanted, mode="bilinear", antialias=True)
        return normal.to(dtype, memory_format=torch.channels_last)

    def embed(images: Images, mask: Mask | None = None) -> Vectors:
        images = _as_rgb(images)
        unit = 1 / (255 * std) if images.dtype == np.uint8 else 1 / std  # (3,)
        offset = (-mean / std).expand(*images.shape[1:]).flatten()
        scale = unit.expand(*images.shape[1:]).flatten()
        if mask is not None and mask.ndim == 2:
            scale = (sent(mask)[..., None] * unit).flatten()
        rows = []
        with torch.inference_mode():
            for start in range(0, len(images), setting.batch_size):
                some = slice(start, start + setting.batch_size)
                if mask is not None and mask.ndim == 3:
                    scale = (sent(mask[some])[..., None] * unit).flatten(1)
                rows.append(model(shown(images[some], scale, offset)).float())
        vectors: Vectors = torch.cat(rows).cpu().numpy()
        return vectors

    return embed


def _as_rgb(images: Images) -> Images:
    """Images (N, H, W, 3): one channel is repeated.

    Raises:
        StudyError: there are neither one nor three channels.
    """
    count = images.shape[-1]
    if count not in (1, 3):
        raise StudyError(
            f"images of {count} channels",
            expected="one or three, which networks of photographs can take",
            found=str(count),
            remedy="compare them by the embedder 'pixels' alone",
        )
    return np.concatenate([images] * 3, axis=-1) if count == 1 else images


def _between_0_and_1(images: Images) -> NDArray[np.float32]:
    """A copy in float32."""
    scaled: NDArray[np.float32] = images.astype(np.float32)
    if images.dtype == np.uint8:
        scaled /= np.float32(255)
    return scaled


EMBEDDERS: dict[str, Maker] = {
    "efficientnet_lite0": efficientnet_lite0,
    "pixels": pixels,
    "reference": reference,
    **{name: partial(imagenet, name) for name in (*IMAGENET, *(name + UNTRAINED for name in IMAGENET))},
}
