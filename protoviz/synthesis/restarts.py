"""Units started again and again, to see how many different images drive them: K starts, and one twin.

The starts of a unit are independent of each other and of its repeats: they differ in the address of all their
random numbers. The twin is start 0 once more, from the same latent and with the same evolution, under other
random transforms: it shows how far apart the ascent alone brings two images of one start. Traces of a start
that are left in its image, in directions to which the unit is indifferent, add to the distance between starts
but not to that between twins; starts of a small deviation, as with the prior `fourier`, leave few.

What K starts can show: a mode to which a share q of the starts leads is missed with probability (1 - q)^K;
with 8 starts, a mode to which a quarter leads is missed in 10 % of units, one to which a twentieth leads in
two thirds. The number of modes that were found is a lower bound.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from protoviz.config.synthesis import Synthesis
from protoviz.models.priors.base import ImagePrior
from protoviz.models.readout.network import Network
from protoviz.store.cube import Shard
from protoviz.synthesis.evolution.draws import Address
from protoviz.synthesis.search import prototypes

START, TWIN = "restart", "twin"  # words in addresses that no repeat has


@dataclass(frozen=True)
class Made:
    """The images of K starts of U units and, last, of the twin of start 0.

    Attributes:
        image: uint8 (K + 1, U, H, W, C).
        activation: float32 (K + 1, U), the unit's response to exactly these.
        status: uint8 (K + 1, U), values of `schema.Status`.
    """

    image: NDArray[np.uint8]
    activation: NDArray[np.float32]
    status: NDArray[np.uint8]

    @classmethod
    def of(cls, shards: Sequence[Shard]) -> "Made":
        """All of them together."""
        return cls(
            np.stack([one.image for one in shards]),
            np.stack([one.activation for one in shards]),
            np.stack([one.status for one in shards]),
        )


def restarts(
    network: Network,
    units: Mapping[str, Sequence[int]],
    prior: ImagePrior,
    recipe: Synthesis,
    *,
    count: int,
    address: tuple[str, int, int],
    device: torch.device,
) -> Made:
    """Prototypes of units from `count` independent starts, and the twin of the first.

    Args:
        network: whose units they are.
        units: layer -> channels.
        prior: renders latents.
        recipe: with random transforms (`with_transforms`), or the twin is start 0 to the bit.
        count: K.
        address: (condition, run, epoch), from which all random numbers come.
        device: where to compute.

    Raises:
        StudyError: as `prototypes`.
    """

    def made(place: Address, moved_at: Address | None = None) -> Shard:
        return prototypes(network, units, prior, recipe, address=place, device=device, moved_at=moved_at)

    starts = [made(start(address, k)) for k in range(count)]
    return Made.of([*starts, made(start(address, 0), twin(address))])


def start(address: tuple[str, int, int], number: int) -> Address:
    """The address of the random numbers of a start of a network (condition, run, epoch)."""
    return (*address[:2], START, number, address[2])


def twin(address: tuple[str, int, int]) -> Address:
    """The address of the random numbers of the transforms of start 0's twin."""
    return (*address[:2], TWIN, 0, address[2])


def with_transforms(recipe: Synthesis, jitter: float) -> Synthesis:
    """A recipe under random transforms: its own, or, where it has none, a jitter of so many px.

    It keeps no transparency, for which modes have no use.
    """
    opaque = recipe.model_copy(update={"keep_transparency": False})
    if recipe.transforms.active:
        return opaque
    return opaque.model_copy(update={"transforms": recipe.transforms.model_copy(update={"jitter": jitter})})
