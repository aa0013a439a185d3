"""The prototypes of one network as tasks: one for each (epoch, repeat), which alone writes its shard."""

import functools
import itertools
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from protoviz import compute
from protoviz.config.image_size import Size
from protoviz.config.synthesis import Synthesis
from protoviz.errors import StudyError
from protoviz.models.priors import base
from protoviz.models.readout.network import Network
from protoviz.models.resnet import IMAGENET_MEAN, IMAGENET_STD
from protoviz.store import cube, schema
from protoviz.synthesis.search import prototypes

Item = tuple[int, int]  # epoch, repeat


@dataclass(frozen=True)
class Machine:
    """How the workers compute.

    Args:
        device: "cpu", "cuda" or "auto", as in params.yaml.
        threads: of each worker.
        precision: of the search, as in params.yaml.
    """

    device: str
    threads: int
    precision: str

    def outcome(self) -> dict[str, Any]:
        """What the result owes to this machine: the precision in use, and versions."""
        device = _prepared(self.device, self.threads)
        precision = str(compute.precision(self.precision, device)).removeprefix("torch.")
        return {"precision": precision, "versions": compute.versions()}


@dataclass(frozen=True)
class Shards:
    """All tasks of one network; called with an item, it makes the shard.

    Args:
        store: an empty cube of one condition and run, at an absolute path that every worker has.
        template: its extent.
        load: a module-level function that reads a checkpoint: the network first, then what it is.
        sources: epoch -> checkpoint, absolute.
        prior: name, weights and digest of the image prior.
        recipe: of the synthesis.
        machine: how to compute.
        outcome: the outcome that every worker's machine must have.
        layers_at_once: as in `prototypes`.
        colours: mean and deviation of the RGB values that the network was trained with.
    """

    store: Path
    template: cube.Template
    load: Callable[[Path], tuple[nn.Module, Any]]
    sources: Mapping[int, Path]
    prior: tuple[str, str | None, str | None]
    recipe: Synthesis
    machine: Machine
    outcome: Mapping[str, Any]
    layers_at_once: int = 1
    colours: tuple[Sequence[float], Sequence[float]] = (IMAGENET_MEAN, IMAGENET_STD)

    @property
    def items(self) -> list[Item]:
        """(epoch, repeat) of every shard."""
        return list(itertools.product(self.template.epochs, self.template.repeats))

    def done(self, item: Item) -> bool:
        """Whether all files of a shard are there; each appears only when it is whole."""
        epoch, repeat = item
        position = (0, 0, self.template.repeats.index(repeat), self.template.epochs.index(epoch))
        return all(
            cube.shard_file(self.store, variable, position).is_file() for variable in self.template.variables
        )

    def __call__(self, item: Item) -> None:
        """Make one shard and write it.

        Raises:
            StudyError: this machine has another outcome than the one that the stage records.
        """
        epoch, repeat = item
        ours = self.machine.outcome()
        if ours != self.outcome:
            raise StudyError(
                f"worker on {socket.gethostname()}",
                expected=f"what the store's attributes say: {dict(self.outcome)}",
                found=str(ours),
                remedy="give all workers the same environment; if hardware differs, set synthesis.precision",
            )
        device = _prepared(self.machine.device, self.machine.threads)
        template = self.template
        address = cube.Address(template.conditions[0], template.runs[0], repeat, epoch)
        layers, channels = schema.unit_labels(template.layers)
        units = {layer: channels[at].tolist() for layer, at in schema.layer_slices(layers).items()}
        network = Network(self.load(self.sources[epoch])[0], template.size, *self.colours)
        prior = _prior(*self.prior, template.size, template.channels, device)
        shard = prototypes(
            network,
            units,
            prior,
            self.recipe,
            address=address,
            device=device,
            layers_at_once=self.layers_at_once,
        )
        cube.write_shard(self.store, address, shard)


@functools.cache
def _prepared(device: str, threads: int) -> torch.device:
    """The device, prepared once for each worker."""
    return compute.prepare(device, threads)


@functools.lru_cache(maxsize=1)
def _prior(
    name: str, weights: str | None, sha256: str | None, size: Size, channels: int, device: torch.device
) -> base.ImagePrior:
    return base.load(name, weights=weights, sha256=sha256, size=size, channels=channels, device=device)
