"""Where the ascent starts: a shared pool of random latents, scored once for all units.

One forward pass of every latent of the pool gives the response of every unit of the network to it.
For each unit the best few are recombined with the log-rank weights of evolution strategies
(Hansen 2016, arXiv:1604.00772, equation 49, on logarithms). It takes the place of an evolution for
each unit: 2,048 evaluations for a whole network instead of 620 for each of its units.
"""

import torch
from torch import Tensor

from protoviz import backbones, seeding
from protoviz.priors.base import ImagePrior
from protoviz.synthesis.objectives import all_responses, render

_BATCH = 128


def draw(count: int, latent_size: int, *address: str | int) -> Tensor:
    """Latents from the prior N(0, I), float32 (count, latent_size), from the address of a checkpoint."""
    rng = seeding.generator("pool", *address)
    return torch.from_numpy(rng.standard_normal((count, latent_size), dtype="float32"))


def score(network: backbones.Backbone, prior: ImagePrior, pool: Tensor, size: int) -> dict[str, Tensor]:
    """Response of every unit to every latent of a pool.

    Args:
        network: frozen, in evaluation mode.
        prior: renders the latents.
        pool: (P, latent_size).
        size: input size of the network, px.

    Returns:
        layer -> (P, C) pre-activations.
    """
    with torch.no_grad():
        parts = [all_responses(network, render(prior, part, size)) for part in pool.split(_BATCH)]
    return {layer: torch.cat([part[layer] for part in parts]) for layer in parts[0]}


def starts(pool: Tensor, scores: Tensor, top: int) -> Tensor:
    """The start of each unit: its best latents of the pool, recombined.

    A weighted mean of independent latents is shorter than they are; it is scaled back to their mean
    length, so that the start lies where the prior has its mass.

    Args:
        pool: (P, latent_size).
        scores: (P, C) responses of the units of a layer.
        top: latents to recombine, at most P.

    Returns:
        (C, latent_size).
    """
    best = scores.topk(top, dim=0).indices.T
    chosen = pool[best]
    mean = (log_rank_weights(top).to(pool)[:, None] * chosen).sum(1)
    length = chosen.norm(dim=2).mean(1)
    return mean * (length / mean.norm(dim=1).clamp_min(1e-12))[:, None]


def log_rank_weights(count: int) -> Tensor:
    """w_i proportional to log(count + 1) - log(i), i = 1..count, summing to one (S3)."""
    rank = torch.arange(1, count + 1)
    weights = torch.log(torch.tensor(count + 1.0)) - torch.log(rank)
    return weights / weights.sum()
