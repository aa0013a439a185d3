"""The operations of a traced network: which can be done on a window, and which inputs they need.

Batch normalisation in evaluation mode is folded into the convolution before it.
"""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from protoviz.models.readout.trace import (
    ACTIVATION_FUNCTIONS,
    ACTIVATION_METHODS,
    ACTIVATION_MODULES,
    PASSING_MODULES,
    SHAPE,
    Traced,
)
from protoviz.models.readout.windows import Axis, Need, Shuffled, Sliding, Transposed, Window, need, whole

_LOCAL_MODULES = (*ACTIVATION_MODULES, *PASSING_MODULES)
_LOCAL_FUNCTIONS: tuple[Callable[..., Any], ...] = (
    *ACTIVATION_FUNCTIONS,
    *(operator.add, operator.sub, operator.mul, operator.truediv, operator.neg, functional.dropout),
    *(torch.add, torch.sub, torch.mul, torch.clamp),
)
_LOCAL_METHODS = (*ACTIVATION_METHODS, "add", "sub", "mul", "clamp", "contiguous")
_FOLDED = "protoviz_folded"  # a name that no network has


@dataclass(frozen=True)
class Graph:
    """A traced network in the precision and on the device of the computation.

    Attributes:
        traced: the network and its graph.
        folded: a batch normalisation that is folded into the convolution before it -> that convolution, and
            the path of the module with the merged weights.
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
        convolution, factor = self.convolution(node), self.shuffles(node)
        if factor:
            return Shuffled(factor), Shuffled(factor)
        if not convolution and node.op != "call_module":
            return None
        module: Any = self.module(convolution[1]) if convolution else self.traced.find(node)
        if convolution or _is_pooling(module):
            dilation = getattr(module, "dilation", 1)
            sizes = map(_pair, (module.kernel_size, module.stride, module.padding, dilation))
            rows, columns = zip(*sizes, strict=True)
            return Sliding(*rows), Sliding(*columns)
        if _is_plain_transposed(module) and len(node.args) + len(node.kwargs) == 1:  # no size is asked for
            rows, columns = zip(module.kernel_size, module.stride, module.padding, strict=True)
            return Transposed(*rows), Transposed(*columns)
        return None

    def shuffles(self, node: fx.Node) -> int | None:
        """The factor by which a node spreads channels over pixels (Shi et al. 2016); None if it does not."""
        if node.op == "call_module":
            module = self.traced.find(node)
            return (
                module.upscale_factor if type(module) is nn.PixelShuffle and not _is_hooked(module) else None
            )
        if node.op != "call_function" or node.target is not functional.pixel_shuffle:
            return None
        factor = node.args[1] if len(node.args) > 1 else node.kwargs["upscale_factor"]
        return factor if isinstance(factor, int) else None

    def is_elementwise(self, node: fx.Node) -> bool:
        """Whether each element of a node's value comes from the same position of its inputs."""
        if normalises(self.traced, node):
            return True
        if node.op == "call_module":
            module = self.traced.find(node)
            return isinstance(module, _LOCAL_MODULES) and not _is_hooked(module)
        if node.op == "call_method":
            return node.target in _LOCAL_METHODS
        if node.op == "call_function" and node.target is torch.cat:
            along = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim")
            return isinstance(along, int) and along == 1
        return node.op == "call_function" and node.target in _LOCAL_FUNCTIONS

    def is_local(self, node: fx.Node) -> bool:
        """Whether a window of a node's value needs the same window of its inputs.

        Each input has to be a map of the same extent, or the same at all positions. Other inputs, such as a
        value for each row, are spread over the map by position.
        """
        same, sources = extent_of(node), node.all_input_nodes
        if normalises(self.traced, node):
            sources = sources[:1]  # the others are a value for each channel, of one axis
        return self.is_elementwise(node) and all(
            extent_of(source) == same or all(length == 1 for length in source.meta.get(SHAPE, ())[-2:])
            for source in sources
        )

    def source(self, node: fx.Node) -> fx.Node:
        """The input of a node with axes."""
        convolution = self.convolution(node)
        return convolution[0] if convolution else node.all_input_nodes[0]

    def needs(self, node: fx.Node, window: Window) -> tuple[Need, Need]:
        """What a window of a node with axes needs from its input."""
        axes, extents = self.axes(node), extent_of(self.source(node))
        assert axes
        assert extents
        rows, columns = (need(axis, out, e.stop) for axis, out, e in zip(axes, window, extents, strict=True))
        return rows, columns


def prepare(traced: Traced, dtype: torch.dtype, device: torch.device) -> Graph:
    """Fold batch normalisation, and convert the network to a precision, channels last, on a device.

    The network of `traced` is changed, so pass a copy.
    """
    folded: dict[fx.Node, tuple[fx.Node, str]] = {}
    modules = nn.ModuleList()
    for node in traced.graph.nodes:
        source = node.all_input_nodes[0] if normalises(traced, node) else node
        convolves = source.op == "call_module" and _is_plain_convolution(traced.find(source))
        if convolves and source is not node:
            folded[node] = source, f"{_FOLDED}.{len(modules)}"
            convolution: Any = traced.find(source)
            modules.append(fuse_conv_bn_eval(convolution, _normalisation(traced, node)))
    traced.module.add_module(_FOLDED, modules)
    moved(traced.module, dtype, device).to(memory_format=torch.channels_last)
    return Graph(traced, folded)


def moved(module: nn.Module, dtype: torch.dtype, device: torch.device) -> nn.Module:
    """Convert a frozen network to a precision and move it to a device, in place.

    This includes the tensors that are neither parameters nor buffers: plain attributes, and the constants of
    its Python, which a trace keeps as such.
    """
    for part in module.modules():
        for name, value in vars(part).items():
            if isinstance(value, Tensor):
                setattr(part, name, value.to(device, dtype if value.is_floating_point() else value.dtype))
    return module.requires_grad_(False).to(device, dtype)


def normalises(traced: Traced, node: fx.Node) -> bool:
    """Whether a node is a batch normalisation with running statistics, a module or a function."""
    if node.op == "call_module":
        module: Any = traced.find(node)
        return type(module) is nn.BatchNorm2d and module.running_mean is not None and not _is_hooked(module)
    if node.op != "call_function" or node.target is not functional.batch_norm:
        return False
    values = _arguments(node)
    tensors = [values[name] for name in ("running_mean", "running_var", "weight", "bias")]
    stored = all(isinstance(value, fx.Node) and value.op == "get_attr" for value in tensors)
    return stored and values["training"] is False


def _normalisation(traced: Traced, node: fx.Node) -> Any:
    """The module that is equivalent to a node that normalises."""
    if node.op == "call_module":
        return traced.find(node)
    values = _arguments(node)
    tensors = {}
    for name in ("running_mean", "running_var", "weight", "bias"):
        path, _, attribute = values[name].target.rpartition(".")
        tensors[name] = getattr(traced.module.get_submodule(path), attribute)
    norm = nn.BatchNorm2d(len(tensors["weight"]), values["eps"])
    norm.load_state_dict(tensors, strict=False)
    return norm.eval()


def _arguments(node: fx.Node) -> dict[str, Any]:
    """The arguments of functional.batch_norm."""
    names = ("input", "running_mean", "running_var", "weight", "bias", "training", "momentum", "eps")
    defaults = {"weight": None, "bias": None, "training": False, "eps": 1e-5}
    return defaults | dict(zip(names, node.args, strict=False)) | dict(node.kwargs)


def extent_of(node: fx.Node) -> Window | None:
    """The window that is all of a node's value, or None if it has no rows and columns."""
    shape = node.meta.get(SHAPE, ())
    return whole(*shape[2:]) if len(shape) == 4 else None


def _is_plain_convolution(module: nn.Module) -> bool:
    zeros = type(module) is nn.Conv2d and module.padding_mode == "zeros"
    return zeros and not isinstance(module.padding, str) and not _is_hooked(module)


def _is_plain_transposed(module: Any) -> bool:
    """Whether each output has an input, as in all transposed convolutions in use."""
    return (
        type(module) is nn.ConvTranspose2d
        and (module.groups, module.dilation, module.output_padding) == (1, (1, 1), (0, 0))
        and all(map(operator.ge, module.kernel_size, module.stride))
        and all(map(operator.gt, module.kernel_size, module.padding))
        and not _is_hooked(module)
    )


def _is_pooling(module: Any) -> bool:
    if _is_hooked(module):
        return False
    if type(module) is nn.MaxPool2d:
        return not module.return_indices
    # At the border it divides by the whole kernel only if padding counts as values.
    return (
        type(module) is nn.AvgPool2d
        and not module.ceil_mode
        and (module.count_include_pad or _pair(module.padding) == (0, 0))
    )


def _is_hooked(module: nn.Module) -> bool:
    """Whether a module may do something other than its class says."""
    return bool(module._forward_hooks or module._forward_pre_hooks)


def _pair(value: int | tuple[int, int]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else value
