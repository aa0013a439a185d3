"""The layers of a network: modules whose channels are units, and the positions at which these are read."""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import gcd, isqrt
from typing import Literal

import torch
from torch import Tensor, nn

from protoviz.errors import StudyError
from protoviz.models.readout.calls import Calls, path_of
from protoviz.models.readout.trace import ACTIVATION_MODULES, PASSING_MODULES

Kind = Literal["map", "vector", "tokens"]

_SQUEEZE_EXCITE = re.compile(r"^(Effective)?SE(Module|Layer|Block)?$|SqueezeExcit")  # timm's, torchvision's
_LAST = (nn.Linear, nn.LayerNorm)  # their channels are the last axis
_ALIKE = (*ACTIVATION_MODULES, *PASSING_MODULES)  # change the values that they are given, or return them
_KINDS: tuple[Kind, ...] = ("vector", "tokens", "map")  # of values with 1, 2, 3 axes besides the batch


@dataclass(frozen=True)
class Layer:
    """A module whose channels are units.

    Attributes:
        name: its path in the network ("layer3.1.conv2"); of a module that is called several times in one
            forward pass, the calls after the first are "relu#2", "relu#3", ...
        type: its class ("Conv2d").
        kind: "map" (B, C, H, W), "tokens" (B, T, C) or "vector" (B, C).
        channels: C.
        shape: (H, W), (T,) or ().
        weighted: whether it is a convolution or linear layer, or made of several modules.
        convolution: whether it is one, of PyTorch's class or a class derived from it (timm's Conv2dSame).
        channels_last: whether its map is (B, H, W, C), as in some transformers.
        gate: whether it lies inside a squeeze-excite block (Hu et al. 2018), whose units answer to the whole
            image and scale the channels of another layer.
    """

    name: str
    type: str
    kind: Kind
    channels: int
    shape: tuple[int, ...]
    weighted: bool
    convolution: bool
    channels_last: bool = False
    gate: bool = False


def layers_of(module: nn.Module, calls: Calls, sides: tuple[int, int]) -> dict[str, Layer]:
    """The layers of a network, in the order of its modules; each call of a module is a layer of its own.

    A non-linearity is a layer, too: its value before the non-linearity is its input.

    Args:
        module: the network.
        calls: of a forward pass.
        sides: height and width of its images.
    """
    inside = gates(module)
    parts = dict(module.named_modules())
    last: dict[str, bool] = {}
    for name, shape in calls.shapes.items():  # in the order in which they end: sources come before
        part = parts[path_of(name)]
        source = calls.sources.get(name)
        if isinstance(part, _ALIKE) and source in last and calls.shapes[source] == shape:
            last[name] = last[source]
        else:
            last[name] = is_channels_last(part, shape, sides)
    found = {}
    made: dict[str, list[str]] = {}
    for name in calls.shapes:
        made.setdefault(path_of(name), []).append(name)
    for path, part in parts.items():
        for name in made.get(path, ()):
            layer = layer_of(name, part, calls.shapes[name], last[name])
            if layer is not None:
                found[name] = replace(layer, gate=path in inside)
    return found


def layer_of(name: str, module: nn.Module, shape: tuple[int, ...], last: bool) -> Layer | None:
    """What a module's output of this shape (without the batch) offers, or None if it has no channels.

    `last`: whether its channels are its last axis.
    """
    if isinstance(module, PASSING_MODULES) or not 1 <= len(shape) <= len(_KINDS):
        return None
    channels, extent = (shape[-1], shape[:-1]) if last else (shape[0], shape[1:])
    weighted = any(True for _ in module.children()) or isinstance(
        module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear
    )
    kind = _KINDS[len(shape) - 1]
    return Layer(
        name,
        type(module).__name__,
        kind,
        channels,
        extent,
        weighted,
        isinstance(module, nn.Conv2d),
        last and kind == "map",
    )


def absent(name: str, layers: Mapping[str, Layer], reason: tuple[str, str] | None) -> StudyError:
    """The error for a name that is not a layer's: a reason with its remedy, or the names that are near."""
    names = [layer.name for layer in layers.values() if layer.weighted]
    near = difflib.get_close_matches(name, layers, n=3) or names[:3]
    found, remedy = reason or (
        "no such name",
        f"did you mean {', '.join(near)}? `protoviz units` lists them all",
    )
    return StudyError(
        f"layer {name!r}",
        expected=f"one of the {len(layers)} layers of the network",
        found=found,
        remedy=remedy,
    )


def gates(module: nn.Module) -> set[str]:
    """The names of the modules in squeeze-excite blocks, which are recognised by their class names."""
    blocks = [name for name, part in module.named_modules() if _SQUEEZE_EXCITE.search(type(part).__name__)]
    return {
        name for name, _ in module.named_modules() if any(name.startswith(f"{block}.") for block in blocks)
    }


def is_channels_last(module: nn.Module, shape: tuple[int, ...], sides: tuple[int, int]) -> bool:
    """Whether the last axis of a module's output (without the batch) is that of the channels.

    `sides`: height and width of the images, whose proportions maps have.
    """
    if len(shape) < 3:
        return len(shape) == 2  # tokens are (T, C)
    if isinstance(module, _LAST):
        return True
    foreign = not any(True for _ in module.children()) and not type(module).__module__.startswith("torch.nn")
    like = _is_like(shape[:2], sides) and not _is_like(shape[1:3], sides)
    made_so = (
        foreign or isinstance(module, _ALIKE) or any(isinstance(part, _LAST) for part in module.modules())
    )
    return like and made_so


def _is_like(extent: tuple[int, ...], sides: tuple[int, int]) -> bool:
    """Whether a map has the proportions of images with these sides, to the px."""
    height, width = extent
    if sides[0] == sides[1]:
        return height == width
    return abs(height * sides[1] - width * sides[0]) < sides[0] + sides[1]


def centre(layer: Layer, sides: tuple[int, int] = (1, 1)) -> tuple[int, ...]:
    """The position that the paper reads (S6): ((H-1)//2, (W-1)//2); the same in a grid of tokens.

    Tokens are a grid of patches with the proportions of the image, whose height and width are `sides`. Other
    tokens (a class token) come before it: as many as there are beyond the largest such grid.
    """
    if layer.kind == "map":
        return (layer.shape[0] - 1) // 2, (layer.shape[1] - 1) // 2
    if layer.kind == "tokens":
        down, across = (side // gcd(*sides) for side in sides)
        times = max(1, isqrt(layer.shape[0] // (down * across)))
        rows, columns = times * down, times * across
        if rows * columns > layer.shape[0]:  # its patches are no squares
            rows = columns = isqrt(layer.shape[0])
        return (layer.shape[0] - rows * columns + (rows - 1) // 2 * columns + (columns - 1) // 2,)
    return ()


def read(values: Tensor, position: tuple[int, ...] | None) -> Tensor:
    """All channels (B, C) of a map (B, C, H, W), tokens (B, T, C) or a vector (B, C).

    `position` is a row and a column, a token, () for a vector, or None for the mean over all positions.
    """
    if values.ndim == 2:
        return values
    if position is None:
        return values.mean((2, 3) if values.ndim == 4 else 1)
    return values[:, position[0]] if values.ndim == 3 else values[:, :, position[0], position[1]]


def own(columns: Tensor, channels: Tensor) -> Tensor:
    """(B,) from (B, C): for each image its own channel (B,).

    It is computed as a sum in which all other terms are zero. The gradient of `gather` adds at indexed
    places, for which deterministic GPUs have to copy from the host, so a step with it cannot be recorded.
    """
    others = channels[:, None] != torch.arange(columns.shape[1], device=columns.device)
    return columns.masked_fill(others, 0).sum(1)


def require_position(layer: Layer, position: tuple[int, ...]) -> tuple[int, ...]:
    """Return a position after checking that it lies in the layer.

    Raises:
        StudyError: it does not.
    """
    inside = len(position) == len(layer.shape) and all(
        0 <= at < extent for at, extent in zip(position, layer.shape, strict=True)
    )
    if not inside:
        raise StudyError(
            f"position {position} in layer {layer.name!r}",
            expected=_positions(layer),
            found=str(position),
            remedy="choose one of these, or 'centre'",
        )
    return position


def _positions(layer: Layer) -> str:
    if layer.kind == "map":
        return f"a row below {layer.shape[0]} and a column below {layer.shape[1]}"
    return f"a token below {layer.shape[0]}" if layer.kind == "tokens" else "none, as it has no map"
