"""Read a network whose Python cannot be traced, by hooks on its layers and a stop after the last.

This is slower than a graph: all channels are computed, at all positions, without folding. The input and the
output of a layer's last non-linearity are found by watching the calls of functions.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from protoviz.models.readout import layers
from protoviz.models.readout.calls import Counted, heard, path_of
from protoviz.models.readout.trace import ACTIVATION_FUNCTIONS, is_in_place

_ACTIVATIONS = {function.__name__ for function in ACTIVATION_FUNCTIONS}


class _Stop(Exception):  # noqa: N818 (it is no error: everything that was asked for has been computed)
    """All layers have been read."""


@dataclass(frozen=True)
class _Call:
    """A call of a function that makes a tensor from tensors.

    Attributes:
        name: of the function.
        inputs: the tensors among its arguments.
        given: the first of them; for a non-linearity, as it was before the call.
        result: what it returned.
        overwrites: whether the result is its first input, changed in place.
    """

    name: str
    inputs: Sequence[Tensor]
    given: Tensor
    result: Tensor
    overwrites: bool

    @property
    def is_activation(self) -> bool:
        """Whether it is an element-wise non-linearity."""
        return self.name.removesuffix("_") in _ACTIVATIONS

    def reads(self, value: Tensor) -> bool:
        """Whether it uses a value."""
        passes = self.result is value and (
            not self.overwrites or "dropout" in self.name
        )  # in evaluation mode
        return not passes and any(given is value for given in self.inputs)


class _Watch(TorchFunctionMode):
    """Reports calls as they are made."""

    def __init__(self, tell: Callable[[_Call], None]) -> None:
        super().__init__()
        self.tell = tell

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        inputs = list(_tensors((*args, *kwargs.values())))
        name = getattr(func, "__name__", "")
        overwrites = bool(kwargs.get("inplace")) or is_in_place(name)
        given = inputs[:1]
        if overwrites and name.removesuffix("_") in _ACTIVATIONS:
            given = [value.clone() for value in given]
        result = func(*args, **kwargs)
        if given and isinstance(result, Tensor):
            self.tell(_Call(name, inputs, given[0], result, overwrites))
        return result


def _tensors(values: Sequence[Any]) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, tuple | list):
            yield from _tensors(value)


class Hooked(nn.Module):
    """Values of layers of a network; nothing is run past the last of them.

    Args:
        module: frozen.
        layers: names of calls of modules.
        following: layer -> number of calls from its value to its non-linearity (`following`), to read the
            output of this; None to read the input of the layer's last non-linearity, if it ends in one.
        channels_last: the layers whose maps are (B, H, W, C).
    """

    def __init__(
        self,
        module: nn.Module,
        layers: Sequence[str],
        following: Mapping[str, int] | None,
        channels_last: Collection[str] = (),
    ) -> None:
        super().__init__()
        self.module, self.layers, self.following = module, tuple(layers), following
        self.channels_last = set(channels_last)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Layer -> its value, channels first, for normalised images (B, 3, H, W)."""
        reading = _Reading(len(self.layers), self.following)
        handles = [
            self.module.get_submodule(path).register_forward_hook(reading.hook(path, self.layers))
            for path in dict.fromkeys(map(path_of, self.layers))
        ]
        try:
            with _Watch(reading.tell):
                self.module(images.clone())  # it may overwrite them
        except _Stop:
            pass
        finally:
            for handle in handles:
                handle.remove()
        # If the network took another path than for the example, a non-linearity may not have followed.
        values = {name: value for name, (value, _) in reading.waiting.items()} | reading.values
        return {
            name: value.permute(0, 3, 1, 2) if name in self.channels_last else value
            for name, value in values.items()
        }


class _Reading:
    """What has been read of the layers in one forward pass."""

    def __init__(self, count: int, following: Mapping[str, int] | None) -> None:
        self.count, self.following = count, following
        self.values: dict[str, Tensor] = {}
        self.waiting: dict[str, tuple[Tensor, int]] = {}  # value, calls that have to read it
        self.activations: list[_Call] = []

    def hook(self, path: str, layers: Collection[str]) -> Callable[..., None]:
        """A hook that takes the output of a module, in those of its calls that are layers to be read."""
        counted = Counted()

        def take(_module: nn.Module, _given: Any, output: Any) -> None:
            layer = counted(path)
            if layer not in layers or not isinstance(output, Tensor):
                return
            if self.following is None:
                ends = (call.given for call in reversed(self.activations) if call.result is output)
                self._keep(layer, next(ends, output))
            elif self.following[layer]:
                self.waiting[layer] = output, self.following[layer]
            else:
                self._keep(layer, output)

        return take

    def tell(self, call: _Call) -> None:
        """Follow the values that wait for their non-linearity."""
        if self.following is None and call.is_activation:
            self.activations.append(call)
        for layer, (value, calls) in list(self.waiting.items()):
            if call.reads(value) and calls > 1:
                self.waiting[layer] = call.result, calls - 1
            elif call.reads(value):
                del self.waiting[layer]
                self._keep(layer, call.result)

    def _keep(self, layer: str, value: Tensor) -> None:
        self.values[layer] = value.clone()  # the network may overwrite it
        if len(self.values) == self.count:
            raise _Stop


def following(module: nn.Module, images: Tensor) -> dict[str, int]:
    """Layer -> number of calls from its value to the non-linearity that follows it; 0 if none does.

    As in a graph, a batch normalisation may come between, and nothing else may use the values on the way.
    """
    calls: list[_Call] = []
    outputs: dict[str, tuple[Tensor, int]] = {}

    def keep(name: str, _module: nn.Module, _given: Any, output: Any) -> None:
        if isinstance(output, Tensor):
            outputs[name] = output, len(calls)

    with heard(module, keep), _Watch(calls.append):
        module(images.clone())
    return {name: _calls_to_activation(calls, *found) for name, found in outputs.items()}


def _calls_to_activation(calls: Sequence[_Call], value: Tensor, since: int) -> int:
    if any(call.result is value and call.is_activation for call in calls[:since]):
        return 0
    count = 0
    while True:
        readers = [i for i in range(since, len(calls)) if calls[i].reads(value)]
        if not readers or (len(readers) > 1 and not calls[readers[0]].overwrites):
            return 0
        count, first = count + 1, calls[readers[0]]
        if first.is_activation:
            return count
        if first.name != "batch_norm":
            return 0
        value, since = first.result, readers[0] + 1


class Columns(nn.Module):
    """Responses (B, C) of all channels of layers, at one position each, or their mean (None)."""

    def __init__(self, values: Hooked, positions: Mapping[str, tuple[int, ...] | None]) -> None:
        super().__init__()
        self.values, self.positions = values, dict(positions)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Layer -> (B, C) float32, for normalised images (B, 3, H, W)."""
        values = self.values(images)
        return {
            layer: layers.read(values[layer].float(), position) for layer, position in self.positions.items()
        }


class Unit(nn.Module):
    """The response of one channel of a layer to each image."""

    def __init__(self, values: Hooked, layer: str, position: tuple[int, ...] | None) -> None:
        super().__init__()
        self.columns, self.layer = Columns(values, {layer: position}), layer

    def forward(self, images: Tensor, channels: Tensor) -> Tensor:
        """Responses (B,) to normalised images (B, 3, H, W) of channels (B,)."""
        return layers.own(self.columns(images)[self.layer], channels)


class One(nn.Module):
    """What one layer gives for normalised images (B, C, H, W)."""

    def __init__(self, values: Hooked, layer: str) -> None:
        super().__init__()
        self.values, self.layer = values, layer

    def forward(self, images: Tensor) -> Tensor:
        """A map (B, C, H, W), tokens (B, T, C) or a vector (B, C)."""
        return self.values(images)[self.layer]
