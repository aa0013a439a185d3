"""The registry of the networks that are studied, and where their units are read out.

ResNet18 is written out here although torchvision has it: importing torchvision takes twice as much
time as importing torch, in each of some twenty stage processes, and its width cannot be reduced.
Parameter names and arithmetic are torchvision's, so weights can be exchanged at width 64; a test
compares the two.
"""

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from protoviz.registry import lookup

# Mean and deviation of ImageNet's RGB values in [0, 1], the normalisation of every network here.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Backbone(Protocol):
    """A network whose units can be read out layer by layer."""

    @property
    def units(self) -> dict[str, int]:
        """Layer name -> number of channels, in the order of the forward pass."""

    def pre_activation(self, images: Tensor, layer: str) -> Tensor:
        """The map (B, C, H, W) before the last ReLU of a layer; nothing after it is run."""

    def pre_activations(self, images: Tensor) -> Iterator[tuple[str, Tensor]]:
        """The same for every layer in turn, in one forward pass."""

    def features(self, images: Tensor) -> Tensor:
        """The average-pooled features (B, D) that a linear probe reads."""


def build(name: str, width: int) -> "ResNet18":
    """A network of the registry with freshly drawn weights.

    The weights come from torch's global generator: seed it just before, in a forked state.

    Raises:
        StudyError: the registry has no such name.
    """
    return lookup(BACKBONES, name, "backbone")(width)


def normalise(
    images: Tensor, mean: Sequence[float] = IMAGENET_MEAN, std: Sequence[float] = IMAGENET_STD
) -> Tensor:
    """Normalise RGB images (B, 3, H, W) in [0, 1] as networks were trained, by default ours."""
    scale = 1 / images.new_tensor(std)[:, None, None]
    return (images - images.new_tensor(mean)[:, None, None]) * scale


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut (He et al. 2016, figure 2)."""

    def __init__(self, inplanes: int, planes: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inplanes, planes, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or inplanes != planes:
            self.downsample = nn.Sequential(
                nn.Conv2d(inplanes, planes, 1, stride, bias=False), nn.BatchNorm2d(planes)
            )

    def pre_activation(self, x: Tensor) -> Tensor:
        """The block's sum before its last ReLU."""
        out = functional.relu(self.bn1(self.conv1(x)), inplace=True)
        total: Tensor = self.bn2(self.conv2(out)) + self.downsample(x)
        return total

    def forward(self, x: Tensor) -> Tensor:
        """The block's output."""
        return functional.relu(self.pre_activation(x))


class ResNet18(nn.Module):
    """ResNet18 in torchvision's layout (7x7 stem, max-pool) with a free width (T2).

    Args:
        width: channels of layer1 (64 in the paper); layer2..4 have 2, 4 and 8 times as many.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.units = {f"layer{k}": width << (k - 1) for k in (1, 2, 3, 4)}
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        inplanes = width
        for layer, planes in self.units.items():
            stride = 1 if layer == "layer1" else 2
            blocks = nn.Sequential(BasicBlock(inplanes, planes, stride), BasicBlock(planes, planes, 1))
            self.add_module(layer, blocks)
            inplanes = planes
        for module in self.modules():
            if isinstance(module, nn.Conv2d):  # He et al. 2015, as torchvision does
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def pre_activation(self, images: Tensor, layer: str) -> Tensor:
        """See `Backbone.pre_activation`.

        Raises:
            StudyError: the network has no such layer.
        """
        lookup(self.units, layer, "layer")
        return next(total for name, total in self.pre_activations(images) if name == layer)

    def pre_activations(self, images: Tensor) -> Iterator[tuple[str, Tensor]]:
        """See `Backbone.pre_activations`; it is a generator, so that layers nobody asks for are not run."""
        x: Tensor = self.maxpool(functional.relu(self.bn1(self.conv1(images))))
        for layer in self.units:
            first, last = cast(Iterable[BasicBlock], self.get_submodule(layer))
            x = last.pre_activation(first(x))
            yield layer, x
            x = functional.relu(x)

    def features(self, images: Tensor) -> Tensor:
        """See `Backbone.features`; D = 8 x width."""
        return functional.relu(self.pre_activation(images, "layer4")).mean((2, 3))

    def forward(self, images: Tensor) -> Tensor:
        """The pooled features: a network without its classifier."""
        x: Tensor = self.maxpool(functional.relu(self.bn1(self.conv1(images))))
        for layer in self.units:
            x = self.get_submodule(layer)(x)
        return x.mean((2, 3))


BACKBONES: dict[str, Callable[[int], ResNet18]] = {"resnet18": ResNet18}


def initial(name: str, width: int, seed: int) -> ResNet18:
    """A network with the weights that this seed always gives, whatever else was drawn before."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build(name, width)


def fold_batch_norm(network: ResNet18) -> ResNet18:
    """The same function as a frozen network in evaluation mode, which takes a quarter less time per image.

    Each batch normalisation is folded into the convolution before it, and weights are stored channels
    last: outputs agree to rounding.
    """
    folded = copy.deepcopy(network).eval().requires_grad_(False)
    _fold(folded, "conv1", "bn1")
    for block in folded.modules():
        if isinstance(block, BasicBlock):
            _fold(block, "conv1", "bn1")
            _fold(block, "conv2", "bn2")
            if isinstance(block.downsample, nn.Sequential):
                _fold(block.downsample, "0", "1")
    return folded.requires_grad_(False).to(memory_format=torch.channels_last)


def _fold(parent: nn.Module, convolution: str, normalisation: str) -> None:
    conv, norm = parent.get_submodule(convolution), parent.get_submodule(normalisation)
    assert isinstance(conv, nn.Conv2d)
    assert isinstance(norm, nn.BatchNorm2d)
    setattr(parent, convolution, fuse_conv_bn_eval(conv, norm))
    setattr(parent, normalisation, nn.Identity())
