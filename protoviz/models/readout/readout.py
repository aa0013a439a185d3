"""The response of units, cut out of a network: one number per image, or all channels of many layers.

The last operation of a layer is done for one channel and one position of each image: a convolution
is reduced to a dot product with the unit's own kernel.
"""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn

from protoviz.models.readout import layers
from protoviz.models.readout.crop import Crop, Emission
from protoviz.models.readout.operations import Graph, extent_of
from protoviz.models.readout.trace import SHAPE
from protoviz.models.readout.windows import Window, at

_Emit = Callable[[Emission, fx.Node], fx.Node]


@dataclass(frozen=True)
class Readout:
    """Responses of single units of one layer.

    Attributes:
        compute: (normalised images (B, 3, h, w) of the window, channels (B,)) -> responses (B,).
        window: the part of the image that the units see.
    """

    compute: nn.Module
    window: Window

    def __call__(self, images: Tensor, channels: Tensor) -> Tensor:
        """Responses (B,), float32; the i-th unit's to the i-th image."""
        return self.compute(images, channels)


def unit_readout(graph: Graph, node: fx.Node, position: tuple[int, ...] | None) -> Readout:
    """Build what computes the response of one channel of a node to each image.

    Args:
        graph: the prepared network.
        node: the value that is read.
        position: row and column, token, () for a vector, or None for the mean over all positions.
    """
    crop = Crop(graph)
    emit = _unit(crop, node, position)
    crop.spread()
    return Readout(crop.emit(lambda emission: emit(emission, _channels(emission))), crop.image_window())


def columns(
    graph: Graph, nodes: Mapping[str, tuple[fx.Node, tuple[int, ...] | None]]
) -> tuple[nn.Module, Window]:
    """Build what computes the responses of all channels of several layers to each image, in one forward pass.

    Args:
        graph: the prepared network.
        nodes: layer -> the value that is read, and its position.

    Returns:
        A module, normalised images (B, 3, h, w) -> layer -> (B, C), and the image window that it takes.
    """
    crop = Crop(graph)
    emits = {layer: all_channels(crop, node, position) for layer, (node, position) in nodes.items()}
    crop.spread()
    # A graph's output may be a mapping of nodes.
    module = crop.emit(lambda emission: {layer: emit(emission) for layer, emit in emits.items()})
    return module, crop.image_window()


def _channels(emission: Emission) -> fx.Node:
    image = next(node for node in emission.new.nodes if node.op == "placeholder")
    with emission.new.inserting_after(image):
        return emission.new.placeholder("channels")


def _unit(crop: Crop, node: fx.Node, position: tuple[int, ...] | None) -> _Emit:
    """Ask for what one channel at one position needs, and return what builds it: (B,)."""
    graph = crop.graph
    convolution = graph.convolution(node)
    if convolution and position:
        return _kernel(crop, node, *position)
    if position == () and node.op == "call_module" and type(graph.traced.find(node)) is nn.Linear:
        return _row(crop, node)
    if position is not None and _is_sum(node):
        left, right = (_unit(crop, term, position) for term in node.all_input_nodes)
        return lambda emission, channels: emission.new.call_function(
            operator.add, (left(emission, channels), right(emission, channels))
        )
    alone = len(node.all_input_nodes) == 1 and not _has_weights(graph, node)
    if position is not None and graph.traced.is_activation(node) and alone:
        inner = _unit(crop, node.all_input_nodes[0], position)
        return lambda emission, channels: emission.new.node_copy(node, lambda _: inner(emission, channels))
    column = all_channels(crop, node, position)
    return lambda emission, channels: emission.new.call_function(layers.own, (column(emission), channels))


def _is_sum(node: fx.Node) -> bool:
    """Whether a node adds two values of its own shape."""
    terms = node.all_input_nodes
    return (
        node.op == "call_function"
        and node.target in (operator.add, torch.add)
        and len(node.args) == len(terms) == 2
        and not node.kwargs
        and all(term.meta.get(SHAPE) == node.meta.get(SHAPE) for term in terms)
    )


def _has_weights(graph: Graph, node: fx.Node) -> bool:
    return node.op == "call_module" and any(True for _ in graph.traced.find(node).parameters())


def _kernel(crop: Crop, node: fx.Node, row: int, column: int) -> _Emit:
    """One output of a convolution: the dot product of a patch and the unit's kernel."""
    convolution = crop.graph.convolution(node)
    assert convolution
    source, path = convolution
    module = crop.graph.module(path)
    needs = crop.graph.needs(node, at(row, column))
    crop.ask(source, Window(needs[0].span, needs[1].span))

    def emit(emission: Emission, channels: fx.Node) -> fx.Node:
        patch = emission.padded(source, needs)
        how = (channels, module.dilation, module.groups)
        return emission.new.call_function(_kernel_response, (patch, *emission.parameters(path), *how))

    return emit


def _kernel_response(
    patch: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    channels: Tensor,
    dilation: tuple[int, int],
    groups: int,
) -> Tensor:
    """Sum over (c, i, j) of patch[b, c, i, j] weight[channel b, c, i, j], and the bias; summed in float32.

    Args:
        patch: (B, groups * C, h, w), the inputs under the kernel.
        weight: (K, C, kh, kw).
        bias: (K,) or None.
        channels: (B,).
        dilation: of the kernel.
        groups: of the convolution.
    """
    patch = patch[:, :, :: dilation[0], :: dilation[1]]
    if groups > 1:
        group = channels // (len(weight) // groups)
        patch = patch.unflatten(1, (groups, -1))[torch.arange(len(patch), device=patch.device), group]
    response = (patch.float() * weight[channels].float()).sum((1, 2, 3))
    return response if bias is None else response + bias[channels].float()


def _row(crop: Crop, node: fx.Node) -> _Emit:
    """One output of a linear layer."""
    (source,) = node.all_input_nodes
    crop.ask(source)

    def emit(emission: Emission, channels: fx.Node) -> fx.Node:
        parameters = emission.parameters(str(node.target))
        return emission.new.call_function(_row_response, (emission.take(source), *parameters, channels))

    return emit


def _row_response(features: Tensor, weight: Tensor, bias: Tensor | None, channels: Tensor) -> Tensor:
    """(B,) from features (B, D), weight (K, D), bias (K,) or None, channels (B,); summed in float32."""
    response = (features.float() * weight[channels].float()).sum(1)
    return response if bias is None else response + bias[channels].float()


def all_channels(
    crop: Crop, node: fx.Node, position: tuple[int, ...] | None
) -> Callable[[Emission], fx.Node]:
    """All channels of a value at one position, or their mean over all positions: (B, C) float32."""
    extent = extent_of(node)
    window = at(*position) if position and extent else extent
    crop.ask(node, window)
    return lambda emission: emission.new.call_function(
        _read, (emission.take(node, window), None if extent is not None else position, position is None)
    )


def _read(values: Tensor, position: tuple[int, ...] | None, mean: bool) -> Tensor:
    """(B, C) from a map (B, C, H, W) cut to what is read, tokens (B, T, C) or a vector (B, C)."""
    if values.ndim == 4:
        return values.float().mean((2, 3))
    if values.ndim == 3:
        return values.float().mean(1) if mean else values[:, position[0]].float()  # type: ignore[index]
    return values.float()
