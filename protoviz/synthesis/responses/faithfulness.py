"""Whether networks treat prototypes as they treat the natural images that drive the same units.

The sanity check along the layers of Geirhos et al. 2023 (arXiv:2306.04719), for every unit, epoch and repeat
of a cube; `similarity` holds the measure. In every layer on the way to a unit, the values that the unit sees
count (models/readout/along.py): at most so many of them, drawn at random, the same for all images, epochs and
networks. In the unit's own layer, the responses of all channels count, where the unit is read.

Natural images are taken block by block and kept as sums: memory holds one epoch and one layer of units.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from protoviz import compute, seeding
from protoviz.config.synthesis import Objective
from protoviz.models.readout.network import Network
from protoviz.models.readout.windows import Window
from protoviz.synthesis.responses import forward, similarity

FEW = 6  # layers of a study; with fewer, all weighted layers are looked at, too

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class OfLayer:
    """The results for the units of a layer at one epoch; L counts all layers that may lie on the way.

    Attributes:
        similarity: (repeats, U, L), between a prototype and the unit's natural images.
        own: (U, L), between two of these.
        unrelated: (U, L), between one of these and one that drives another unit most.
        along: (repeats, U, L), `similarity` on a scale from `unrelated` (0) to `own` (1); NaN in layers that
            do not tell images of different units apart.
        faithfulness: (repeats, U), `along` as one number.
    """

    similarity: Floats
    own: Floats
    unrelated: Floats
    along: Floats
    faithfulness: Floats

    @property
    def compared(self) -> int:
        """The number of layers whose scale is known."""
        return int(np.isfinite(self.along).any((0, 1)).sum())


@dataclass(frozen=True)
class Along:
    """How networks are compared.

    Attributes:
        inner: the layers that may lie on the way, in the network's order.
        objective: of the prototypes.
        elements: values of each layer that count, at most.
        batch: images at once.
        device: where to compute.
    """

    inner: Sequence[str]
    objective: Objective
    elements: int
    batch: int
    device: torch.device

    def measure(
        self,
        network: Network,
        layer: str,
        prototypes: NDArray[np.uint8],
        live: NDArray[np.bool_],
        natural: NDArray[np.uint8],
        top: NDArray[np.int64],
    ) -> OfLayer:
        """Compare the prototypes of the units of a layer with their natural images.

        Args:
            network: of the epoch.
            layer: of the units.
            prototypes: (repeats, U, H, W, 3).
            live: (repeats, U), which of them exist.
            natural: (N, H, W, 3).
            top: (U, K), places of each unit's images.

        Raises:
            StudyError: there is no such layer, or no such position in it.
        """
        compute, window = network.along(layer, self.inner, self.objective, torch.float32, self.device)
        ranked = _Ranked(compute, window, network, layer, self)
        repeats, units = live.shape
        shape = (units, len(self.inner))
        own, unrelated = np.full(shape, np.nan), np.full(shape, np.nan)
        alike = np.full((repeats, *shape), np.nan)
        shown, place = np.unique(top, return_inverse=True)
        owners = np.zeros((units, len(shown)), bool)
        owners[np.arange(units)[:, None], place.reshape(top.shape)] = True
        references: dict[str, similarity.References] = {}
        for some, found in ranked(natural[shown]):
            for name, of in found.items():
                references.setdefault(name, similarity.References(units)).add(of, owners[:, some])
        for name, reference in references.items():
            at = self.inner.index(name)
            own[:, at], unrelated[:, at] = reference.own, reference.unrelated
        for repeat in range(repeats):
            for some, found in ranked(prototypes[repeat]):
                for name, of in found.items():
                    alike[repeat, some, self.inner.index(name)] = references[name].similarity(of, some)
        alike[~live] = np.nan
        scales = np.array([similarity.scale(own[:, at], unrelated[:, at]) for at in range(shape[1])])
        along = (alike - unrelated) / scales
        return OfLayer(alike, own, unrelated, along, similarity.faithfulness(alike, unrelated, scales))


@dataclass(frozen=True)
class _Ranked:
    """The ranks of images in all layers on the way, block by block."""

    compute: Callable[[Tensor], Mapping[str, Tensor]]
    window: Window
    network: Network
    layer: str
    how: Along

    def __call__(self, images: NDArray[np.uint8]) -> Iterator[tuple[slice, dict[str, NDArray[np.float32]]]]:
        """Where a block lies, and layer -> (B, D)."""
        for first in range(0, len(images), self.how.batch):
            some = slice(first, min(first + self.how.batch, len(images)))
            with torch.inference_mode(), compute.whole_float32():
                shown = forward.seen(self.network, images[some], self.window, self.how.device)
                values = {name: self._chosen(name, of) for name, of in self.compute(shown).items()}
            yield some, {name: similarity.ranks(of) for name, of in values.items()}

    def _chosen(self, name: str, values: Tensor) -> NDArray[np.float32]:
        flat = values.flatten(1)
        count = flat.shape[1]
        if count > self.how.elements:
            rng = seeding.generator("elements of a layer", self.layer, name)
            kept = np.sort(rng.permutation(count)[: self.how.elements])
            flat = flat[:, torch.from_numpy(kept).to(flat.device)]
        found: NDArray[np.float32] = flat.float().cpu().numpy()
        return found


def inner_layers(network: Network, layers: Sequence[str]) -> list[str]:
    """The layers along which units are compared: those of the study, in the network's order.

    If these are fewer than six, all convolutions and matrices before the last of them are added;
    squeeze-excite gates, which are not a step on the way, are left out.

    Args:
        network: any of the study.
        layers: of its units.
    """
    wanted = set(layers)
    if len(layers) < FEW:
        weighted = [name for name, layer in network.layers.items() if layer.weighted and not layer.gate]
        parents = {name.rpartition(".")[0] for name in weighted}
        composed = {part for name in parents for part in _ancestors(name)}
        wanted |= {name for name in weighted if name not in composed}
    last = max(network.order.index(name) for name in layers)
    return [name for name in network.order[: last + 1] if name in wanted]


def _ancestors(name: str) -> Iterator[str]:
    while name:
        yield name
        name = name.rpartition(".")[0]
