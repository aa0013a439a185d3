"""The networks of one condition and run that a study analyses: one for each epoch, and their units."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from protoviz.config.image_size import Size
from protoviz.models import checkpoints
from protoviz.models.readout.network import Network
from protoviz.models.resnet import IMAGENET_MEAN, IMAGENET_STD, ResNet18
from protoviz.synthesis import sampling

_SEED = 0  # of the choice of channels


@dataclass(frozen=True)
class Analysed:
    """A series of checkpoints of one network.

    Attributes:
        sources: epoch -> file of the checkpoint, absolute.
        size: of the images, px.
        mean, std: of the RGB values in [0, 1].
        asked: layers, and how many channels of each; None: those that the network names itself.
    """

    sources: Mapping[int, Path]
    size: Size
    mean: Sequence[float]
    std: Sequence[float]
    asked: tuple[Sequence[str], int | None] | None

    @classmethod
    def of(
        cls,
        folder: Path,
        epochs: Sequence[int],
        size: Size,
        colours: tuple[Sequence[float], Sequence[float]] | None,
        asked: tuple[Sequence[str], int | None] | None,
    ) -> "Analysed":
        """Those whose checkpoints lie in a folder; the rest as in `config.study.Study`."""
        mean, std = colours or (IMAGENET_MEAN, IMAGENET_STD)
        sources = {epoch: checkpoints.path(folder.absolute(), epoch) for epoch in epochs}
        return cls(sources, size, mean, std, asked)

    def network(self, epoch: int, *, finite: bool = True) -> Network:
        """The network of an epoch; see `Network`.

        Raises:
            StudyError: its checkpoint is missing or damaged, or the network cannot be read.
        """
        module, _ = checkpoints.network(self.sources[epoch])
        return Network(module, self.size, self.mean, self.std, finite=finite)

    def units(self) -> dict[str, int | Sequence[int]]:
        """Layer -> number of its channels, or those that are units, the same at all epochs."""
        first = next(iter(self.sources))
        module, _ = checkpoints.network(self.sources[first])
        if self.asked is None:
            assert isinstance(module, ResNet18)  # which a study without `checkpoints` has trained
            return dict(module.units)
        return chosen(self.network(first, finite=False), *self.asked)


def chosen(network: Network, layers: Sequence[str], channels: int | None) -> dict[str, int | Sequence[int]]:
    """Layer -> those of its channels that are units.

    Raises:
        StudyError: the network does not have a layer.
    """
    counts = {layer: network.layer(layer).channels for layer in layers}
    return dict(sampling.sample(counts, channels, _SEED))


def blocks(network: Network, module: nn.Module) -> list[str]:
    """The default layers: the outputs of the network's blocks, in its order.

    A block is a module of a class that occurs several times and holds convolutions or matrices. The layers
    are the parts that hold blocks, such as the four of a ResNet; where one part holds all of them, such as
    the row of blocks of a transformer, the layers are its parts. A network without blocks gives its composed
    parts, or else its layers with weights.

    Args:
        network: prepared for read-out.
        module: the same, as its code made it.
    """
    kinds = Counter(type(part) for part in module.modules() if _is_block(part))
    repeated = {kind for kind, count in kinds.items() if count > 1}
    path, parts = "", dict(module.named_children())
    while len(holding := {name: part for name, part in parts.items() if _holds(part, repeated)}) == 1:
        ((name, part),) = holding.items()
        path, parts = f"{path}{name}.", dict(part.named_children())
    composed = {name: part for name, part in parts.items() if any(True for _ in part.children())}
    for found in (composed if path else holding, composed, parts):
        names = [name for part in found if _is_shown(network, name := f"{path}{part}")]
        if len(names) > 1:
            return names
    return [layer.name for layer in network.layers.values() if layer.weighted]


def _is_block(part: nn.Module) -> bool:
    """Whether a module is composed, of a class of its own, and holds convolutions or matrices."""
    own = not isinstance(part, nn.Sequential | nn.ModuleList | nn.ModuleDict)
    inner = (weight for one in part.modules() if one is not part for weight in one.parameters(recurse=False))
    return own and any(weight.dim() > 1 for weight in inner)


def _holds(part: nn.Module, kinds: set[type[nn.Module]]) -> bool:
    return any(type(one) in kinds for one in part.modules())


def _is_shown(network: Network, name: str) -> bool:
    """Whether a layer has weights of its own or of its parts, and gives a map or tokens."""
    layer = network.layers.get(name)
    return layer is not None and layer.weighted and layer.kind != "vector"
