"""Cut a computation down to what its result needs: nothing past the layer, and only a window of every map.

For a unit at the centre of a layer's map, the last convolution needs one position, the one before it
nine, and so on down to the unit's receptive field in the image. The values are those of the whole
network; only operations whose results are not used are removed.
"""

import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional

from protoviz.models.readout.operations import Graph, extent_of
from protoviz.models.readout.windows import Need, Window, at


@dataclass
class Crop:
    """What is needed of each node of a graph. Ask for values, then `spread`, then `emit`.

    Attributes:
        graph: the graph that is cut.
        needs: node -> the window of it that is needed; None: all of a value without rows and columns.
    """

    graph: Graph
    needs: dict[fx.Node, Window | None] = field(default_factory=dict)

    def ask(self, node: fx.Node, window: Window | None = None) -> None:
        """Ask for a window of a node's value, or for all of it."""
        wanted = window or extent_of(node)
        before = self.needs.get(node)
        self.needs[node] = before.hull(wanted) if before and wanted else wanted

    def spread(self) -> None:
        """Ask for everything that the values asked for depend on."""
        for node in reversed(self.graph.traced.graph.nodes):
            if node in self.needs:
                self._spread_from(node, self.needs[node])

    def _spread_from(self, node: fx.Node, window: Window | None) -> None:
        if window and self.graph.axes(node):
            rows, columns = self.graph.needs(node, window)
            self.ask(self.graph.source(node), Window(rows.span, columns.span))
        elif window and self.graph.is_local(node):
            for source in node.all_input_nodes:
                self.ask(source, window if extent_of(source) == extent_of(node) else None)
        elif node.op != "placeholder":  # not understood: all of it is computed, from all of its inputs
            self.needs[node] = extent_of(node)
            for source in node.all_input_nodes:
                self.ask(source)

    def image_window(self) -> Window:
        """The part of the network's input that is needed."""
        image = next(node for node in self.graph.traced.graph.nodes if node.op == "placeholder")
        window = self.needs.get(image) or extent_of(image)
        assert window is not None
        return window

    def emit(self, result: Callable[["Emission"], Any]) -> fx.GraphModule:
        """Build the computation; `result` makes its output from what was asked for."""
        emission = Emission(self, fx.Graph())
        for node in self.graph.traced.graph.nodes:
            if node in self.needs:
                emission.add(node)
        emission.new.output(result(emission))
        return fx.GraphModule(self.graph.traced.module, emission.new)


@dataclass
class Emission:
    """A graph under construction.

    Attributes:
        crop: what it is made from.
        new: the graph.
        made: node -> its node in the new graph, whose value is the window `crop.needs[node]`.
    """

    crop: Crop
    new: fx.Graph
    made: dict[fx.Node, fx.Node] = field(default_factory=dict)

    def add(self, node: fx.Node) -> None:
        """Add an operation on the window that is needed of it."""
        graph, window = self.crop.graph, self.crop.needs[node]
        if window and graph.axes(node):
            self.made[node] = self._move(node, window)
        elif window and graph.is_local(node):
            same = extent_of(node)
            self.made[node] = self.new.node_copy(
                node, lambda source: self.take(source, window if extent_of(source) == same else None)
            )
        else:
            self.made[node] = self.new.node_copy(node, self.take)

    def take(self, node: fx.Node, window: Window | None = None) -> fx.Node:
        """A window of a value that was asked for; all of it without a window."""
        have = self.crop.needs[node]
        if not window or not have or window == have:
            return self.made[node]
        return self._cut(self.made[node], window, (have.rows.start, have.columns.start), have.size)

    def padded(self, node: fx.Node, needs: tuple[Need, Need], value: float = 0.0) -> fx.Node:
        """A window of a value with the padding that it needs."""
        rows, columns = needs
        taken = self.take(node, Window(rows.span, columns.span))
        edges = (columns.before, columns.after, rows.before, rows.after)
        if any(edges):
            wide = tuple(max(edge, 0) for edge in edges)
            taken = self.new.call_function(functional.pad, (taken, wide, "constant", value))
        if min(edges) < 0:
            cuts = (slice(max(-axis.before, 0), min(axis.after, 0) or None) for axis in needs)
            taken = self.new.call_function(operator.getitem, (taken, (slice(None), slice(None), *cuts)))
        return taken

    def parameters(self, path: str) -> tuple[fx.Node, fx.Node | None]:
        """Weight and bias of a module."""
        weight = self.new.get_attr(f"{path}.weight")
        without = self.crop.graph.module(path).bias is None
        return weight, None if without else self.new.get_attr(f"{path}.bias")

    def _move(self, node: fx.Node, window: Window) -> fx.Node:
        """A convolution, pooling, transposed convolution or pixel shuffle that gives a window."""
        graph = self.crop.graph
        source, needs = graph.source(node), graph.needs(node, window)
        inside = Window(needs[0].span, needs[1].span)
        how: tuple[Any, ...]
        own = (needs[0].before, needs[1].before)  # an operation pads both ends alike by itself
        alike = own == (needs[0].after, needs[1].after)
        convolution = graph.convolution(node)
        if convolution:
            path = convolution[1]
            module = graph.module(path)
            images = self.take(source, inside) if alike else self.padded(source, needs)
            how = (module.stride, own if alike else 0, module.dilation, module.groups)
            return self.new.call_function(functional.conv2d, (images, *self.parameters(path), *how))
        pool: Any = graph.traced.find(node) if node.op == "call_module" else None
        if isinstance(pool, nn.MaxPool2d):
            images = self.take(source, inside) if alike else self.padded(source, needs, -torch.inf)
            how = (pool.kernel_size, pool.stride, own if alike else 0, pool.dilation)
            return self.new.call_function(functional.max_pool2d, (images, *how))
        if isinstance(pool, nn.AvgPool2d):
            how = (pool.kernel_size, pool.stride, 0, False, True, pool.divisor_override)
            return self.new.call_function(functional.avg_pool2d, (self.padded(source, needs), *how))
        if window == extent_of(node):
            return self.new.node_copy(node, self.take)
        images = self.take(source, inside)
        factor = graph.shuffles(node)
        if factor:
            made = self.new.call_function(functional.pixel_shuffle, (images, factor))
        else:
            path = str(node.target)
            how = (*self.parameters(path), graph.module(path).stride)
            made = self.new.call_function(functional.conv_transpose2d, (images, *how))
        axes: Any = graph.axes(node)
        first = axes[0].first(inside.rows), axes[1].first(inside.columns)
        return self._cut(made, window, first)

    def _cut(
        self, made: fx.Node, window: Window, first: tuple[int, int], size: tuple[int, int] | None = None
    ) -> fx.Node:
        """A window of a value whose rows and columns begin at `first`."""
        cuts = [
            slice(span.start - begin, span.stop - begin) for span, begin in zip(window, first, strict=True)
        ]
        if size:
            cuts = [
                slice(None) if cut == slice(0, extent) else cut
                for cut, extent in zip(cuts, size, strict=True)
            ]
        return self.new.call_function(operator.getitem, (made, (slice(None), slice(None), *cuts)))


def receptive_field(graph: Graph, node: fx.Node, row: int, column: int) -> Window | None:
    """The window of the image that a unit sees through its convolutions; it may extend beyond the border.

    What a unit learns about the whole map (by a squeeze-and-excitation gate) is left out. None if no path
    leads to the image by windows alone.
    """
    seen: dict[fx.Node, Window] = {node: at(row, column)}
    for current in reversed(graph.traced.graph.nodes):
        window = seen.get(current)
        if window is None:
            continue
        if current.op == "placeholder":
            return window
        axes = graph.axes(current)
        if axes:
            source = graph.source(current)
            moved = Window(axes[0].seen(window.rows), axes[1].seen(window.columns))
            seen[source] = moved.hull(seen[source]) if source in seen else moved
        elif graph.is_elementwise(current):
            for source in current.all_input_nodes:
                if extent_of(source) == extent_of(current):
                    seen[source] = window.hull(seen[source]) if source in seen else window
    return None


def nearest_to_middle(graph: Graph, node: fx.Node, sides: tuple[int, int]) -> tuple[int, int] | None:
    """The position of a map whose receptive field lies nearest to the middle of the image.

    Args:
        graph: of the network.
        node: the map.
        sides: height and width of the image.

    Returns:
        Row and column; None if its units see no windows of the image.
    """
    found = []
    extent = extent_of(node)
    assert extent is not None
    for axis, length in enumerate(extent.size):
        boxes = [receptive_field(graph, node, *((at, 0) if axis == 0 else (0, at))) for at in range(length)]
        away = [abs(sum(box[axis]) - sides[axis]) / 2 for box in boxes if box]
        if not away:
            return None
        found.append(away.index(min(away)))
    return found[0], found[1]
