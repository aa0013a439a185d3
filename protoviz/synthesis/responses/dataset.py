"""What one network's checkpoints answer to natural images and to each other's prototypes, as two data sets.

The paper's discussion asks how prototypes relate to the images that a unit meets in life: each prototype's
activation is placed among the unit's responses to held-out images of the data set. The ageing matrix shows
the prototypes of epoch e to the network of epoch e': how long they stay what the unit responds to.
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


def response_datasets(
    networks: Iterable[Network],
    prototypes: xr.Dataset,
    natural: Shown,
    objective: Objective,
    *,
    batch: int | Literal["auto"],
    device: torch.device,
) -> tuple[xr.Dataset, xr.Dataset]:
    """Ask each network for its units' responses to natural images and to the prototypes of all epochs.

    Args:
        networks: those of the prototypes' epochs, in their order.
        prototypes: the cube with condition and run of extent one, complete.
        natural: images that are not prototypes.
        objective: of the prototypes.
        batch: images at once, or "auto".
        device: where to compute.

    Returns:
        Data sets as `schema_responses.NATURAL` and `schema_responses.AGEING` describe.
    """
    study = _Study(prototypes, natural, objective)
    for epoch, network in enumerate(networks):
        block = memory.size(batch, network.elements, torch.float32, device)
        study.add(epoch, network, block, device)
    return study.natural_store(), study.ageing_store()


class _Study:
    """The arrays of both stores, filled network by network."""

    def __init__(self, prototypes: xr.Dataset, natural: Shown, objective: Objective) -> None:
        self.prototypes, self.natural, self.objective = prototypes, natural, objective
        cube = prototypes.isel(condition=0, run=0)
        order = (schema.REPEAT, schema.EPOCH, schema.UNIT)
        self.images = cube[schema.IMAGE].transpose(*order, schema.Y, schema.X, schema.RGB)
        self.live = (cube[schema.STATUS] == schema.Status.CONVERGED).transpose(*order).values
        self.activation: NDArray[np.float32] = cube[schema.ACTIVATION].transpose(*order).values
        self.layers = schema.layer_slices(prototypes[schema.LAYER].values)
        repeats, epochs, units = self.live.shape
        self.of_natural = _empty(
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
        self.of_ageing = _empty(
            names.AGEING,
            {
                schema.CONDITION: 1,
                schema.RUN: 1,
                schema.REPEAT: repeats,
                schema.LAYER: len(self.layers),
                schema.PROTOTYPE_EPOCH: epochs,
                schema.NETWORK_EPOCH: epochs,
            },
        )

    def add(self, epoch: int, network: Network, batch: int, device: torch.device) -> None:
        """The answers of the network at one epoch."""
        seen = forward.all_responses(
            network, list(self.layers), self.objective, self.natural.images, batch=batch, device=device
        )
        for number, (layer, units) in enumerate(self.layers.items()):
            answer = forward.OwnResponses(network, layer, self.objective, batch=batch, device=device)
            answered = np.array(
                [[answer(shown.values) for shown in repeat] for repeat in self.images[:, :, units]]
            )
            self._require_own(epoch, layer, answered[:, epoch])
            self._ground(epoch, number, units, seen[layer])
            self._age(epoch, number, units, answered, seen[layer])

    def _require_own(self, epoch: int, layer: str, answered: NDArray[np.float32]) -> None:
        """The network must answer its own prototypes as the cube says."""
        units = self.layers[layer]
        live, stored = self.live[:, epoch, units], self.activation[:, epoch, units]
        apart = np.abs(answered - stored)[live].max(initial=0)
        if not apart <= _APART * np.abs(stored)[live].max(initial=0):
            raise StudyError(
                f"{schema.checkpoint_name(int(self.prototypes[schema.EPOCH][epoch]))}, {layer}",
                expected="the network of the stored prototypes",
                found=f"responses to them that differ by {apart:.3g} from the stored activations",
                remedy="run the stage `synthesize` of this condition and run again",
            )

    def _ground(self, epoch: int, number: int, units: slice, seen: NDArray[np.float32]) -> None:
        """One layer among natural images."""
        store = self.of_natural
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

    def _age(
        self,
        epoch: int,
        number: int,
        units: slice,
        answered: NDArray[np.float32],
        seen: NDArray[np.float32],
    ) -> None:
        """One layer shown the prototypes (repeats, epochs, units) of all epochs."""
        both = self.live[:, :, units] & self.live[:, epoch, np.newaxis, units]
        own = self.activation[:, epoch, np.newaxis, units]
        relative = np.divide(answered, own, out=np.zeros_like(answered), where=both)
        percentiles = measures.percentile(answered, seen)
        for repeat, shown in np.ndindex(both.shape[:2]):
            kept = both[repeat, shown]
            here = (0, 0, repeat, shown, epoch, number)
            self.of_ageing[names.UNITS][here] = kept.sum()
            if kept.any():
                self.of_ageing[names.RESPONSE][here] = answered[repeat, shown, kept].mean(dtype=np.float64)
                self.of_ageing[names.RELATIVE_RESPONSE][here] = np.median(relative[repeat, shown, kept])
                self.of_ageing[names.PERCENTILE][here] = percentiles[repeat, shown, kept].mean()

    def natural_store(self) -> xr.Dataset:
        """What the units respond to."""
        kept = (schema.CONDITION, schema.RUN, schema.REPEAT, schema.EPOCH)
        coordinates = {
            **{name: (name, self.prototypes[name].values) for name in kept},
            schema.UNIT_LAYER: (schema.UNIT, self.prototypes[schema.LAYER].values),
            schema.CHANNEL: (schema.UNIT, self.prototypes[schema.CHANNEL].values),
            schema.RANK: (schema.RANK, np.arange(self.natural.top)),
            schema.LAYER: (schema.LAYER, np.array(list(self.layers), dtype=schema.TEXT)),
        }
        return _dataset(names.NATURAL, self.of_natural, coordinates, len(self.natural.images))

    def ageing_store(self) -> xr.Dataset:
        """What the networks make of each other's prototypes."""
        kept = (schema.CONDITION, schema.RUN, schema.REPEAT)
        epochs = self.prototypes[schema.EPOCH].values
        coordinates = {
            **{name: (name, self.prototypes[name].values) for name in kept},
            schema.PROTOTYPE_EPOCH: (schema.PROTOTYPE_EPOCH, epochs),
            schema.NETWORK_EPOCH: (schema.NETWORK_EPOCH, epochs),
            schema.LAYER: (schema.LAYER, np.array(list(self.layers), dtype=schema.TEXT)),
        }
        return _dataset(names.AGEING, self.of_ageing, coordinates, len(self.natural.images))


def _empty(store: schema.Store, extent: Mapping[str, int]) -> Arrays:
    return {
        variable.name: np.full([extent[dim] for dim in variable.dims], variable.fill, variable.dtype)
        for variable in store.variables
    }


def _dataset(store: schema.Store, arrays: Arrays, coordinates: Mapping[str, Any], images: int) -> xr.Dataset:
    variables = {name: (store[name].dims, array) for name, array in arrays.items()}
    return xr.Dataset(variables, coordinates, {"images": images})
