"""Counts the modes of all units of a network at an epoch, in the main space, as variables of their store."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from protoviz.analysis import embedders, modes
from protoviz.analysis.embedders import Embedder, Mask, Setting
from protoviz.analysis.masks import Masks
from protoviz.store import schema, zarr_io
from protoviz.store import schema_modes as names


class Images(Protocol):
    """The images of K starts of U units and, last, of the twin of start 0."""

    @property
    def image(self) -> NDArray[np.uint8]:
        """(K + 1, U, H, W, C)."""

    @property
    def activation(self) -> NDArray[np.float32]:
        """(K + 1, U)."""

    @property
    def status(self) -> NDArray[np.uint8]:
        """(K + 1, U), values of `schema.Status`."""


@dataclass(frozen=True)
class Census:
    """Counts the modes of units, epoch by epoch.

    Attributes:
        space: name of the embedder.
        setting: what it is loaded with.
        fields: store of the network's receptive fields, whose masks images are multiplied by.
        rule: when starts count, and when two are of one mode.
        kept: images of modes of each unit.
    """

    space: str
    setting: Setting
    fields: Path
    rule: modes.Rule
    kept: int

    def __call__(self, laid: xr.Dataset, epoch: int, made: Images) -> dict[str, NDArray[Any]]:
        """The variables of an epoch, (units, ...).

        Args:
            laid: the store that is being filled, for its labels.
            epoch: its label.
            made: the images of all its units.
        """
        masks = Masks(laid, zarr_io.open_dataset(self.fields))
        embed = embedders.load([self.space], self.setting)[self.space]
        return of_units(laid, epoch, made, embed, masks, self.rule, self.kept)


def of_units(
    laid: xr.Dataset,
    epoch: int,
    made: Images,
    embed: Embedder,
    masks: Callable[[str, int, str], Mask | None],
    rule: modes.Rule,
    kept: int,
) -> dict[str, NDArray[Any]]:
    """The variables of an epoch, (units, ...), of layer after layer.

    Args:
        laid: a data set with the labels of epochs and units.
        epoch: its label.
        made: the images of all its units.
        embed: the space.
        masks: see `Masks`; or a function that returns None where nothing is masked.
        rule: see `modes.Rule`.
        kept: images of modes of each unit.
    """
    place, found = laid[schema.EPOCH].values.tolist().index(epoch), []
    for layer, at in schema.layer_slices(laid[schema.LAYER].values).items():
        mask = masks(schema.MASKED, place, layer)
        vectors = np.stack([embed(images, mask) for images in made.image[:, at]])
        live = made.status[:, at] == schema.Status.CONVERGED
        counted = modes.count(vectors, made.activation[:, at], live, rule)
        found.append(stored(counted, made.image[:-1, at], made.activation[:-1, at], kept))
    return {name: np.concatenate([one[name] for one in found]) for name in found[0]}


def stored(
    counted: modes.Counted, images: NDArray[np.uint8], activation: NDArray[np.float32], kept: int
) -> dict[str, NDArray[Any]]:
    """The counts, and an image of each mode, as variables of the store.

    Args:
        counted: the modes of U units.
        images: (K, U, H, W, C), of all starts.
        activation: (K, U).
        kept: how many modes of each unit keep their image: those of most starts.
    """
    units = activation.shape[1]
    medoids = np.zeros((units, kept, *images.shape[2:]), np.uint8)
    sizes = np.zeros((units, kept), np.int32)
    for unit, chosen in enumerate(counted.medoids):
        for mode, start in enumerate(chosen[:kept]):
            medoids[unit, mode] = images[start, unit]
            sizes[unit, mode] = (counted.mode_of_start[unit] == mode).sum()
    return {
        names.COUNT: counted.modes,
        names.REACHING: counted.reaching,
        names.MEETING: counted.meeting,
        names.SPREAD: counted.spread,
        names.NOISE: counted.noise,
        names.THRESHOLD: np.full(units, counted.threshold, np.float32),
        names.MODE_OF_START: counted.mode_of_start,
        names.START_ACTIVATION: activation.T.copy(),
        names.MODE_STARTS: sizes,
        names.MODE_IMAGE: medoids,
    }
