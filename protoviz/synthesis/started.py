"""Starts the units of one network's checkpoints again, as a task that can be sent to other processes."""

import gc
from collections.abc import Mapping
from dataclasses import dataclass

from protoviz import compute
from protoviz.config.modes import Modes
from protoviz.config.synthesis import Synthesis
from protoviz.models.priors import base
from protoviz.synthesis.analysed import Analysed
from protoviz.synthesis.diversity import diverse
from protoviz.synthesis.restarts import Made, restarts


@dataclass(frozen=True)
class Started:
    """Called with an epoch, it starts the units again.

    Attributes:
        network: condition and run.
        analysed: its checkpoints.
        units: layer -> channels.
        prior: name, weights and digest of the image prior.
        recipe: with random transforms.
        asked: method, number, weight.
        device, threads: as in params.yaml.
    """

    network: tuple[str, int]
    analysed: Analysed
    units: Mapping[str, tuple[int, ...]]
    prior: tuple[str, str | None, str | None]
    recipe: Synthesis
    asked: Modes
    device: str
    threads: int

    def __call__(self, epoch: int) -> Made:
        """The images of all starts, and the twin of the first.

        Raises:
            StudyError: see `restarts` and `diverse`; the checkpoint or the prior cannot be loaded.
        """
        gc.collect()  # a traced network refers to itself, and would stay until Python looks for cycles
        device = compute.prepare(self.device, self.threads)
        network, (name, weights, sha256) = self.analysed.network(epoch), self.prior
        prior = base.load(
            name, weights=weights, sha256=sha256, size=network.size, channels=network.channels, device=device
        )
        address, count = (*self.network, epoch), self.asked.restarts
        if self.asked.method == "restarts":
            return restarts(
                network, self.units, prior, self.recipe, count=count, address=address, device=device
            )
        return diverse(
            network,
            self.units,
            prior,
            self.recipe,
            count=count,
            weight=self.asked.weight,
            address=address,
            device=device,
        )
