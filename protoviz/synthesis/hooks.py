"""Reading a network whose Python cannot be traced: hooks on its layers, and a stop after the last.

Slower than a graph: all channels are computed, at all positions, without folding. What a layer's last
non-linearity was given is found by watching the calls of non-linearities.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from protoviz.synthesis.trace import ACTIVATION_FUNCTIONS


class _Stop(Exception):  # noqa: N818 (it is no error: everything that was asked for has been computed)
    """All layers have been read."""


class _Watch(TorchFunctionMode):
    """Remembers what each non-linearity was given; runs it out of place, so that this stays."""

    def __init__(self) -> None:
        super().__init__()
        self.given: list[tuple[Tensor, Tensor]] = []

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if func not in ACTIVATION_FUNCTIONS:
            return func(*args, **kwargs)
        if "inplace" in kwargs:
            kwargs["inplace"] = False
        result = func(*args, **kwargs)
        self.given.append((result, args[0]))
        return result


class Hooked(nn.Module):
    """Values of layers of a network; nothing past the last of them is run.

    Args:
        module: frozen.
        layers: names of modules.
        before: whether to read what enters the layer's last non-linearity, if it ends in one.
    """

    def __init__(self, module: nn.Module, layers: Sequence[str], before: bool) -> None:
        super().__init__()
        self.module, self.layers, self.before = module, tuple(layers), before

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Layer -> its value, for normalised images (B, 3, H, W)."""
        values: dict[str, Tensor] = {}
        watch = _Watch()

        def keep(layer: str) -> Callable[..., None]:
            def hook(_module: nn.Module, _given: Any, output: Any) -> None:
                if isinstance(output, Tensor):
                    values[layer] = next(
                        (given for result, given in watch.given if self.before and result is output), output
                    )
                if len(values) == len(self.layers):
                    raise _Stop

            return hook

        handles = [self.module.get_submodule(name).register_forward_hook(keep(name)) for name in self.layers]
        try:
            with watch:
                self.module(images)
        except _Stop:
            pass
        finally:
            for handle in handles:
                handle.remove()
        return values


class Columns(nn.Module):
    """Responses (B, C) of all channels of layers, at one position each, or their mean (None)."""

    def __init__(self, values: Hooked, positions: Mapping[str, tuple[int, ...] | None]) -> None:
        super().__init__()
        self.values, self.positions = values, dict(positions)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Layer -> (B, C) float32, for normalised images (B, 3, H, W)."""
        values = self.values(images)
        return {layer: _read(values[layer], position) for layer, position in self.positions.items()}


class Unit(nn.Module):
    """The response of one channel of a layer to each image."""

    def __init__(self, values: Hooked, layer: str, position: tuple[int, ...] | None) -> None:
        super().__init__()
        self.columns, self.layer = Columns(values, {layer: position}), layer

    def forward(self, images: Tensor, channels: Tensor) -> Tensor:
        """Responses (B,) to normalised images (B, 3, H, W) of channels (B,)."""
        return self.columns(images)[self.layer].gather(1, channels[:, None])[:, 0]


def _read(values: Tensor, position: tuple[int, ...] | None) -> Tensor:
    """(B, C) from a map (B, C, H, W), tokens (B, T, C) or a vector (B, C)."""
    if values.ndim == 2:
        return values.float()
    places = values.flatten(2) if values.ndim == 4 else values.transpose(1, 2)
    if position is None:
        return places.float().mean(2)
    index = position[0] if len(position) == 1 else position[0] * values.shape[3] + position[1]
    return places[:, :, index].float()


def shapes(module: nn.Module, images: Tensor) -> dict[str, tuple[int, ...]]:
    """Module -> shape of its output without the batch, of every module that returns one tensor, once."""
    found: dict[str, tuple[int, ...] | None] = {}

    def keep(name: str) -> Callable[..., None]:
        def hook(_module: nn.Module, _given: Any, output: Any) -> None:
            once = name not in found and isinstance(output, Tensor)
            found[name] = tuple(output.shape[1:]) if once else None

        return hook

    handles = [part.register_forward_hook(keep(name)) for name, part in module.named_modules() if name]
    try:
        module(images)
    finally:
        for handle in handles:
            handle.remove()
    return {name: shape for name, shape in found.items() if shape is not None}
