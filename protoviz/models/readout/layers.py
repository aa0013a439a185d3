"""The layers of a network: modules whose channels are units, and the positions at which these are read."""

import re
from dataclasses import dataclass
from math import isqrt
from typing import Literal

from torch import Tensor, nn

from protoviz.errors import StudyError
from protoviz.models.readout.trace import ACTIVATION_MODULES, PASSING_MODULES

Kind = Literal["map", "vector", "tokens"]

_SQUEEZE_EXCITE = re.compile(r"^(Effective)?SE(Module|Layer|Block)?$|SqueezeExcit")  # timm's, torchvision's
_LAST = (nn.Linear, nn.LayerNorm)  # take the last axis for that of the channels
_KINDS: tuple[Kind, ...] = ("vector", "tokens", "map")  # of values with so many axes beside the batch


@dataclass(frozen=True)
class Layer:
    """A module whose channels are units.

    Attributes:
        name: its path in the network ("layer3.1.conv2").
        type: its class ("Conv2d").
        kind: "map" (B, C, H, W), "tokens" (B, T, C) or "vector" (B, C).
        channels: C.
        shape: (H, W), (T,) or ().
        weighted: whether it is a convolution or linear layer, or made of several modules.
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
    channels_last: bool = False
    gate: bool = False


def layer_of(name: str, module: nn.Module, shape: tuple[int, ...]) -> Layer | None:
    """What a module's output of this shape (without the batch) offers, or None if it has no channels."""
    silent = isinstance(module, (*ACTIVATION_MODULES, *PASSING_MODULES))
    if silent or not 1 <= len(shape) <= len(_KINDS):
        return None
    last = _is_channels_last(module, shape)
    channels, extent = (shape[-1], shape[:-1]) if last else (shape[0], shape[1:])
    weighted = any(True for _ in module.children()) or isinstance(
        module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear
    )
    kind = _KINDS[len(shape) - 1]
    return Layer(name, type(module).__name__, kind, channels, extent, weighted, last and kind == "map")


def gates(module: nn.Module) -> set[str]:
    """The names of the modules inside squeeze-excite blocks, which are told by the names of their classes."""
    blocks = [name for name, part in module.named_modules() if _SQUEEZE_EXCITE.search(type(part).__name__)]
    return {
        name for name, _ in module.named_modules() if any(name.startswith(f"{block}.") for block in blocks)
    }


def _is_channels_last(module: nn.Module, shape: tuple[int, ...]) -> bool:
    if len(shape) < 3:
        return len(shape) == 2  # tokens are (T, C)
    if isinstance(module, _LAST):
        return True
    foreign = not any(True for _ in module.children()) and not type(module).__module__.startswith("torch.nn")
    square = shape[0] == shape[1] != shape[2]  # as the maps of square images are
    return square and (foreign or any(isinstance(part, _LAST) for part in module.modules()))


def centre(layer: Layer) -> tuple[int, ...]:
    """The position that the paper reads (S6): ((H-1)//2, (W-1)//2); the same of a square of tokens.

    Tokens are a square of patches after those that are none (a class token): their number beyond the
    largest square.
    """
    if layer.kind == "map":
        return (layer.shape[0] - 1) // 2, (layer.shape[1] - 1) // 2
    if layer.kind == "tokens":
        side = isqrt(layer.shape[0])
        return (layer.shape[0] - side**2 + (side - 1) // 2 * side + (side - 1) // 2,)
    return ()


def read(values: Tensor, position: tuple[int, ...] | None) -> Tensor:
    """All channels (B, C) of a map (B, C, H, W), tokens (B, T, C) or a vector (B, C).

    `position` is a row and a column, a token, () of a vector, or None for the mean over all positions.
    """
    if values.ndim == 2:
        return values
    if position is None:
        return values.mean((2, 3) if values.ndim == 4 else 1)
    return values[:, position[0]] if values.ndim == 3 else values[:, :, position[0], position[1]]


def require_position(layer: Layer, position: tuple[int, ...]) -> tuple[int, ...]:
    """A position that lies in the layer.

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
