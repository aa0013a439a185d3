"""The responses of one network's checkpoints to natural images, as a data set.

The paper's discussion asks how prototypes relate to the images that a unit meets in life: each prototype's
activation is placed among the unit's responses to held-out images of the data set.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

from protoviz.config.analysis import Faithfulness
from protoviz.config.synthesis import Objective
from protoviz.errors import StudyError
from protoviz.models.readout.network import Network
from protoviz.store import schema
from protoviz.store import schema_responses as names
from protoviz.synthesis import memory
from protoviz.synthesis.responses import forward, measures
from protoviz.synthesis.responses.faithfulness import Along, inner_layers
from protoviz.synthesis.responses.kept import Kept, chosen

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
        faithfulness: how prototypes are compared with them; None: they are not.
        kept: how many of them have their responses kept.
        folder: where there is room for these, which are mapped from there; None: they are held in memory.
    """

    images: Image
    rows: NDArray[np.integer]
    top: int
    faithfulness: Faithfulness | None = None
    kept: int = 0
    folder: Path | None = None


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
        self.inner: list[str] = []
        self.extent = {
            schema.CONDITION: 1,
            schema.RUN: 1,
            schema.REPEAT: repeats,
            schema.EPOCH: epochs,
            schema.UNIT: units,
            schema.RANK: natural.top,
            schema.LAYER: len(self.layers),
        }
        self.shown = chosen(len(natural.images), natural.kept)
        self.kept = None
        if len(self.shown):
            self.kept = Kept(natural.folder, epochs, self.shown, units)
        self.arrays = _empty(
            (one for one in names.NATURAL.variables if one.name not in names.OF_FAITHFULNESS), self.extent
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
            if self.natural.faithfulness is not None:
                self._compare(epoch, layer, network, seen[layer][:, channels], batch, device)
            if self.kept is not None:
                self.kept.add(epoch, units, seen[layer][:, channels])

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
        """Place the prototypes of one layer among natural images."""
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

    def _compare(
        self,
        epoch: int,
        layer: str,
        network: Network,
        seen: NDArray[np.float32],
        batch: int,
        device: torch.device,
    ) -> None:
        """The prototypes of one layer and the natural images of its units, along the layers before."""
        store, wanted, units = self.arrays, self.natural.faithfulness, self.layers[layer]
        assert wanted is not None
        if not self.inner:  # the same in all networks of the study
            self.inner = inner_layers(network, list(self.layers))
            extent = {**self.extent, names.INNER: len(self.inner)}
            store |= _empty((names.NATURAL[name] for name in names.OF_FAITHFULNESS), extent)
        top = measures.strongest(seen, wanted.top)[0]
        images, live = self.images[:, epoch, units].values, self.live[:, epoch, units]
        along = Along(self.inner, self.objective, wanted.elements, batch, device)
        found = along.measure(network, layer, images, live, self.natural.images, top)
        store[names.SIMILARITY][0, 0, :, epoch, units] = found.similarity
        store[names.SIMILARITY_OWN][0, 0, epoch, units] = found.own
        store[names.SIMILARITY_UNRELATED][0, 0, epoch, units] = found.unrelated
        store[names.ALONG][0, 0, :, epoch, units] = found.along
        store[names.FAITHFULNESS][0, 0, :, epoch, units] = found.faithfulness
        store[names.COMPARED_LAYERS][0, 0, epoch, list(self.layers).index(layer)] = found.compared

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
        if self.inner:
            coordinates[names.INNER] = (names.INNER, np.array(self.inner, dtype=schema.TEXT))
        variables = {name: (names.NATURAL[name].dims, array) for name, array in self.arrays.items()}
        said = {"images": len(self.natural.images), **self._absent()}
        found = xr.Dataset(variables, coordinates, said)
        if self.kept is None:
            return found
        rows = self.natural.rows[self.shown].tolist()
        response = xr.Variable(names.NATURAL[names.RESPONSE].dims, self.kept.array)
        return found.assign({names.RESPONSE: response}).assign_attrs(shown_images=rows)

    def _absent(self) -> dict[str, str]:
        """Why there is no faithfulness where it was asked for, in words."""
        wanted = self.natural.faithfulness
        if wanted is None or np.isfinite(self.arrays[names.FAITHFULNESS]).any():
            return {}
        why = "no prototype has converged, or no layer tells images of different units apart"
        if min(wanted.top, len(self.natural.images)) < 2:
            why = "one natural image for each unit, which can be compared with no other of the unit"
        return {"faithfulness_absent": why}


def _empty(variables: Iterable[schema.Variable], extent: Mapping[str, int]) -> Arrays:
    return {
        variable.name: np.full([extent[dim] for dim in variable.dims], variable.fill, variable.dtype)
        for variable in variables
        if not variable.by
    }
