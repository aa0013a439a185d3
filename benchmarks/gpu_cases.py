"""The networks and priors with which prototypes are made on a GPU."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import torch

from benchmarks import subjects
from benchmarks.fc6 import PublishedFc6
from benchmarks.parts import Setting
from benchmarks.subjects import Subject
from protoviz.config import synthesis
from protoviz.config.synthesis import Synthesis
from protoviz.models.priors import base
from protoviz.models.readout.network import Network
from protoviz.store.cube import Shard
from protoviz.synthesis.search import prototypes

Units = Mapping[str, Sequence[int]]

CASES = {"fc6": "deepsim", "natural": "natural", "fourier": "fourier"}  # as in the table -> in the registry
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Case:
    """A network with a prior.

    Attributes:
        subject: with the prior as others run it.
        prior: as this project runs it.
        preset: name of the recipe.
        recipe: the recipe.
    """

    subject: Subject
    prior: base.ImagePrior
    preset: str
    recipe: Synthesis

    @property
    def units(self) -> dict[str, range]:
        """Layer -> all of its channels."""
        return {layer: range(count) for layer, count in self.subject.network.units.items()}

    def network(self) -> Network:
        """The network prepared for read-out, as a stage of the pipeline does it for every checkpoint."""
        return Network(self.subject.network, self.subject.size)

    def made(self, units: Units, recipe: Synthesis, device: torch.device, network: Network) -> Shard:
        """The prototypes of some units."""
        condition, run, epoch = self.subject.address
        return prototypes(
            network, units, self.prior, recipe, address=(condition, run, 0, epoch), device=device
        )


@cache
def case(name: str, setting: Setting) -> Case:
    """One of `CASES`; the network has random weights, and so has fc6."""
    registered = CASES[name]
    preset = synthesis.suited(registered)
    if name == "fc6" and not setting.small:
        subject = subjects.load("full", "ResNet18, fc6", CPU)
    elif name == "fc6":
        subject = subjects.load("tiny", "tiny", CPU)
    else:
        prior = base.load(registered, size=setting.size if registered == "fourier" else None)
        subject = subjects.untrained(f"ResNet18, {name}", prior, setting.width, setting.size)
    own = subject.prior.ours() if isinstance(subject.prior, PublishedFc6) else subject.prior
    recipe = synthesis.PRESETS[preset]
    if setting.small:
        recipe = smaller(recipe, pool=8, steps=2)
    return Case(subjects.on(subject, setting.device), own, preset, recipe)


def smaller(recipe: Synthesis, pool: int, steps: int) -> Synthesis:
    """The recipe with at most so many latents in the pool, and steps."""
    start = recipe.start.model_copy(update={"pool": min(recipe.start.pool, pool)})
    ascent = recipe.ascent.model_copy(update={"steps": min(recipe.ascent.steps, steps)})
    return recipe.model_copy(update={"start": start, "ascent": ascent})
