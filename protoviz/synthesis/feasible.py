"""Checks that prototypes can be made as requested."""

from collections.abc import Mapping, Sequence

import torch

from protoviz.config.synthesis import Synthesis
from protoviz.models.priors.base import ImagePrior, require_channels
from protoviz.models.readout.network import Network
from protoviz.synthesis.evolution.base import STRATEGIES


def require_feasible(
    network: Network, units: Mapping[str, Sequence[int]], prior: ImagePrior, recipe: Synthesis
) -> None:
    """Refuse what would fail later, before any time is spent.

    Raises:
        StudyError: the network lacks a layer, channel or position, the prior's images have other channels, or
            the evolution strategy cannot take latents of this size.
    """
    for layer, channels in units.items():
        network.require_channels(layer, channels)
        network.position(layer, recipe.objective)
    require_channels(prior, network.channels)
    evolution = recipe.evolution
    if evolution.strategy != "none":
        origin = torch.zeros(1, prior.latent_size)
        STRATEGIES[evolution.strategy](origin, evolution.sigma, evolution.samples, evolution.parents)
