"""The responses of one network's checkpoints to natural images, as a data set.

The paper's discussion asks how prototypes relate to the images that a unit meets in life: each prototype's
activation is placed among the unit's responses to held-out images of the data set.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

from protoviz.config.synthesis import Objective
from protoviz.errors import StudyError
from protoviz.models.readout.network import Network
from protoviz.store import schema
from protoviz.store import schema_responses as names
from protoviz.synthesis import memory
from protoviz.synthesis.responses import forward, measures

Image = NDArray[np.uint8]
_APART = 0.01  # of the layer's greatest activation: more than rounding, less than another network

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Shown:
    """The natural images.

    Attributes:
        images: (N, H, W, 3).
        rows: (N,), where they stand in their split.
        top: how many are kept for each unit.
    """

    images: Image
    rows: NDArray[np.integer]
    top: int


def natural_responses(
    networks: Iterable[Network],
    prototypes: xr.Dataset,
    natural: Shown,
    objective: Objective,
    *,
    batch: int | Literal["auto"],
    device: torch.device,
) -> xr.Dataset:
    """Ask each network for its units' responses to natural images and to its own prototypes.

    Args:
        networks: those of the prototypes' epochs, in their order.
        prototypes: the cube with condition and run of extent one, complete.
        natural: images that are not prototypes.
        objective: of the prototypes.
        batch: images at once, or "auto".
        device: where to compute.

    Returns:
        A data set as `schema_responses.NATURAL` describes.

    Raises:
        StudyError: a network does not respond to its prototypes as the cube says.
    """
    study = _Study(prototypes, natural, objective)
    for epoch, network in enumerate(networks):
        block = memory.size(batch, network.elements, torch.float32, device)
        study.add(epoch, network, block, device)
    return study.dataset()


class _Study:
    """The arrays of the store, filled network by network."""

    def __init__(self, prototypes: xr.Dataset, natural: Shown, objective: Objective) -> None:
        self.prototypes, self.natural, self.objective = prototypes, natural, objective
        cube = prototypes.isel(condition=0, run=0)
        order = (schema.REPEAT, schema.EPOCH, schema.UNIT)
        self.images = cube[schema.IMAGE].transpose(*order, schema.Y, schema.X, schema.RGB)
        self.live = (cube[schema.STATUS] == schema.Status.CONVERGED).transpose(*order).values
        self.activation: NDArray[np.float32] = cube[schema.ACTIVATION].transpose(*order).values
        self.layers = schema.layer_slices(prototypes[schema.LAYER].values)
        repeats, epochs, units = self.live.shape
        self.arrays = _empty(
            names.NATURAL,
            {
                schema.CONDITION: 1,
                schema.RUN: 1,
                schema.REPEAT: repeats,
                schema.EPOCH: epochs,
                schema.UNIT: units,
                schema.RANK: natural.top,
                schema.LAYER: len(self.layers),
            },
        )

    def add(self, epoch: int, network: Network, batch: int, device: torch.device) -> None:
        """The responses of the network at one epoch."""
        seen = forward.all_responses(
            network, list(self.layers), self.objective, self.natural.images, batch=batch, device=device
        )
        for number, (layer, units) in enumerate(self.layers.items()):
            answer = forward.OwnResponses(network, layer, self.objective, batch=batch, device=device)
            channels = self.prototypes[schema.CHANNEL].values[units]
            answered = np.array([answer(shown.values, channels) for shown in self.images[:, epoch, units]])
            self._require_own(epoch, layer, answered)
            self._ground(epoch, number, units, seen[layer][:, channels])

    def _require_own(self, epoch: int, layer: str, answered: NDArray[np.float32]) -> None:
        """The network must answer its own prototypes as the cube says."""
        units = self.layers[layer]
        live, stored = self.live[:, epoch, units], self.activation[:, epoch, units]
        apart = np.abs(answered - stored)[live].max(initial=0)
        if not apart <= _APART * np.abs(stored)[live].max(initial=0):
            raise StudyError(
                f"epoch {int(self.prototypes[schema.EPOCH][epoch])}, {layer}",
                expected="the network of the stored prototypes",
                found=f"responses to them that differ by {apart:.3g} from the stored activations",
                remedy="run the stage `synthesize` of this condition and run again",
            )

    def _ground(self, epoch: int, number: int, units: slice, seen: NDArray[np.float32]) -> None:
        """One layer among natural images."""
        store = self.arrays
        rows, responses = measures.strongest(seen, self.natural.top)
        store[names.TOP_IMAGE][0, 0, epoch, units] = self.natural.rows[rows]
        store[names.TOP_RESPONSE][0, 0, epoch, units] = responses
        own = np.where(self.live[:, epoch, units], self.activation[:, epoch, units], np.nan)
        store[names.PERCENTILE][0, 0, :, epoch, units] = measures.percentile(own, seen)
        store[names.RATIO_TO_MAXIMUM][0, 0, :, epoch, units] = measures.ratio_to_maximum(own, seen)
        here = (0, 0, epoch, number)
        store[names.PARTICIPATION_RATIO][here] = measures.participation_ratio(seen)
        store[names.MEAN_CORRELATION][here] = measures.mean_correlation(seen)
        store[names.VARYING_UNITS][here] = measures.varying(seen).sum()

    def dataset(self) -> xr.Dataset:
        """What the units respond to."""
        kept = (schema.CONDITION, schema.RUN, schema.REPEAT, schema.EPOCH)
        coordinates = {
            **{name: (name, self.prototypes[name].values) for name in kept},
            schema.UNIT_LAYER: (schema.UNIT, self.prototypes[schema.LAYER].values),
            schema.CHANNEL: (schema.UNIT, self.prototypes[schema.CHANNEL].values),
            schema.RANK: (schema.RANK, np.arange(self.natural.top)),
            schema.LAYER: (schema.LAYER, np.array(list(self.layers), dtype=schema.TEXT)),
        }
        variables = {name: (names.NATURAL[name].dims, array) for name, array in self.arrays.items()}
        return xr.Dataset(variables, coordinates, {"images": len(self.natural.images)})


def _empty(store: schema.Store, extent: Mapping[str, int]) -> Arrays:
    return {
        variable.name: np.full([extent[dim] for dim in variable.dims], variable.fill, variable.dtype)
        for variable in store.variables
    }
