"""What the operations of a traced network are: which can be done on a window, and which inputs it needs.

Batch normalisation in evaluation mode is folded into the convolution before it.
"""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from protoviz.synthesis.trace import (
    ACTIVATION_FUNCTIONS,
    ACTIVATION_METHODS,
    ACTIVATION_MODULES,
    PASSING_MODULES,
    SHAPE,
    Traced,
)
from protoviz.synthesis.windows import Axis, Need, Shuffled, Sliding, Transposed, Window, need, whole

_LOCAL_MODULES = (*ACTIVATION_MODULES, *PASSING_MODULES, nn.BatchNorm2d)
_LOCAL_FUNCTIONS: tuple[Callable[..., Any], ...] = (
    *ACTIVATION_FUNCTIONS,
    *(operator.add, operator.sub, operator.mul, operator.truediv, operator.neg, functional.dropout),
    *(torch.add, torch.sub, torch.mul, torch.clamp),
)
_LOCAL_METHODS = (*ACTIVATION_METHODS, "add", "sub", "mul", "clamp", "contiguous")
_FOLDED = "folded"


@dataclass(frozen=True)
class Graph:
    """A traced network in the precision and on the device of the computation.

    Attributes:
        traced: the network and its graph.
        folded: a batch normalisation that is part of the convolution before it -> that convolution, and
            the path of the module with the common weights.
    """

    traced: Traced
    folded: Mapping[fx.Node, tuple[fx.Node, str]]

    def module(self, path: str) -> Any:
        """The module at a path."""
        return self.traced.module.get_submodule(path)

    def convolution(self, node: fx.Node) -> tuple[fx.Node, str] | None:
        """The input of a node that is a convolution, and the path of its module; None for other nodes."""
        if node in self.folded:
            convolution, path = self.folded[node]
            return convolution.all_input_nodes[0], path
        if node.op == "call_module" and _is_plain_convolution(self.traced.find(node)):
            return node.all_input_nodes[0], str(node.target)
        return None

    def axes(self, node: fx.Node) -> tuple[Axis, Axis] | None:
        """How rows and columns of a node that moves windows depend on those of its input."""
        if node.op == "call_function" and node.target is functional.pixel_shuffle:
            return Shuffled(int(node.args[1])), Shuffled(int(node.args[1]))  # type: ignore[arg-type]
        convolution = self.convolution(node)
        if node.op != "call_module":
            return None
        module: Any = self.module(convolution[1]) if convolution else self.traced.find(node)
        if not convolution and not isinstance(module, nn.MaxPool2d | nn.ConvTranspose2d):
            return None
        sizes = map(_pair, (module.kernel_size, module.stride, module.padding, module.dilation))
        rows, columns = zip(*sizes, strict=True)
        pools = type(module) is nn.MaxPool2d and not module.ceil_mode and not module.return_indices
        if convolution or pools:
            return Sliding(*rows), Sliding(*columns)
        if type(module) is nn.ConvTranspose2d and module.groups == 1 and module.output_padding == (0, 0):
            return (Transposed(*rows[:3]), Transposed(*columns[:3])) if module.dilation == (1, 1) else None
        return None

    def is_local(self, node: fx.Node) -> bool:
        """Whether each position of a node's value comes from the same position of its inputs."""
        if node.op == "call_module":
            return isinstance(self.traced.find(node), _LOCAL_MODULES)
        if node.op == "call_method":
            return node.target in _LOCAL_METHODS
        if node.op == "call_function" and node.target is torch.cat:
            along = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim")
            return along == 1
        return node.op == "call_function" and node.target in _LOCAL_FUNCTIONS

    def source(self, node: fx.Node) -> fx.Node:
        """The input of a node with axes."""
        convolution = self.convolution(node)
        return convolution[0] if convolution else node.all_input_nodes[0]

    def needs(self, node: fx.Node, window: Window) -> tuple[Need, Need]:
        """What a window of a node with axes needs of its input."""
        axes, extents = self.axes(node), extent_of(self.source(node))
        assert axes
        assert extents
        rows, columns = (need(axis, out, e.stop) for axis, out, e in zip(axes, window, extents, strict=True))
        return rows, columns


def prepare(traced: Traced, dtype: torch.dtype, device: torch.device) -> Graph:
    """Fold batch normalisation and bring the network into a precision, channels last, on a device.

    The network of `traced` is changed: give it one of its own.
    """
    folded: dict[fx.Node, tuple[fx.Node, str]] = {}
    modules = nn.ModuleList()
    for node in traced.graph.nodes:
        if node.op != "call_module" or type(traced.find(node)) is not nn.BatchNorm2d:
            continue
        (source,) = node.all_input_nodes
        plain = source.op == "call_module" and _is_plain_convolution(traced.find(source))
        norm: Any = traced.find(node)
        if plain and len(source.users) == 1 and norm.running_mean is not None:
            folded[node] = source, f"{_FOLDED}.{len(modules)}"
            convolution: Any = traced.find(source)
            modules.append(fuse_conv_bn_eval(convolution, norm))
    traced.module.add_module(_FOLDED, modules)
    traced.module.requires_grad_(False).to(device, dtype).to(memory_format=torch.channels_last)
    return Graph(traced, folded)


def extent_of(node: fx.Node) -> Window | None:
    """The window that is all of a node's value, or None if it has no rows and columns."""
    shape = node.meta.get(SHAPE, ())
    return whole(*shape[1:]) if len(shape) == 3 else None


def _is_plain_convolution(module: nn.Module) -> bool:
    return (
        type(module) is nn.Conv2d and module.padding_mode == "zeros" and not isinstance(module.padding, str)
    )


def _pair(value: int | tuple[int, int]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else value
