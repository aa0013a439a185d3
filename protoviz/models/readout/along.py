"""The values of layers on the way to a unit, as far as the unit sees them.

The part of the image that a unit of an early layer does not see cannot matter to it, and neither can what
other layers make of that part: only the window that the unit depends on is given of every map.
"""

from collections.abc import Mapping

from torch import Tensor, fx, nn

from protoviz.models.readout import hooks, layers
from protoviz.models.readout.crop import Crop
from protoviz.models.readout.operations import Graph
from protoviz.models.readout.readout import all_channels
from protoviz.models.readout.windows import Window


def traced_along(
    graph: Graph, layer: str, position: tuple[int, ...] | None, nodes: Mapping[str, fx.Node]
) -> tuple[nn.Module, Window]:
    """Build what computes the values of layers on the way for each image, from the network's graph.

    Args:
        graph: the prepared network.
        layer: of the units.
        position: where it is read.
        nodes: layer -> its value, including that of the units; what these do not depend on is left out.

    Returns:
        A module, normalised images (B, C, h, w) -> layer -> values (B, ...), that of the units last; and the
        window of the image that it takes.
    """
    crop, own = Crop(graph), nodes[layer]
    emit = all_channels(crop, own, position)
    crop.spread()
    # A normalisation is folded into its convolution: the sum before it is no longer computed.
    folded = {convolution: normal for normal, (convolution, _) in graph.folded.items()}
    read: dict[fx.Node, str] = {own: layer}
    for name, node in nodes.items():
        value = folded.get(node, node)
        if value in crop.needs:
            read.setdefault(value, name)  # the first of two names of one value
    ways = {name: node for node, name in read.items() if name != layer}
    module = crop.emit(
        lambda emission: {**{name: emission.take(node) for name, node in ways.items()}, layer: emit(emission)}
    )
    return module, crop.image_window()


class HookedAlong(nn.Module):
    """The same for a network without a graph: all of every map.

    Args:
        values: those of the layers before, and of the layer of the units.
        layer: of the units.
        position: where it is read.
    """

    def __init__(self, values: hooks.Hooked, layer: str, position: tuple[int, ...] | None) -> None:
        super().__init__()
        self.values, self.layer, self.position = values, layer, position

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Layer -> values (B, ...) for normalised images (B, C, H, W)."""
        found = self.values(images)
        return {**found, self.layer: layers.read(found[self.layer].float(), self.position)}
