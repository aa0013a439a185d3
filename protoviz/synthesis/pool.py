"""Where a search starts: a shared pool of random latents, scored once for all units.

One forward pass of every latent of the pool gives the response of every unit of the network to it.
For each unit the best few are recombined with the log-rank weights of evolution strategies. The pool replaces
an evolution for each unit: 2,048 evaluations for a whole network instead of 620 for each of its units.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from protoviz import seeding
from protoviz.config.synthesis import Objective
from protoviz.models.readout.network import Network
from protoviz.synthesis.evolution.weights import log_rank_weights
from protoviz.synthesis.memory import in_blocks
from protoviz.synthesis.rendering import Renderer


def draw(count: int, latent_size: int, *address: str | int) -> Tensor:
    """Latents of N(0, I), float32 (count, latent_size), from the address of a checkpoint."""
    rng = seeding.generator("pool", *address)
    return torch.from_numpy(rng.standard_normal((count, latent_size), dtype="float32"))


def own(latent_size: int, *address: str | int) -> Tensor:
    """The latent of N(0, I), float32 (latent_size,), from which one unit begins, from its address."""
    rng = seeding.generator("start", *address)
    return torch.from_numpy(rng.standard_normal(latent_size, dtype="float32"))


def score(
    network: Network,
    renderer: Renderer,
    layers: Sequence[str],
    objective: Objective,
    pool: Tensor,
    dtype: torch.dtype,
    batch: int,
) -> dict[str, Tensor]:
    """Response of every unit of some layers to every latent of a pool.

    Args:
        network: whose units respond.
        renderer: renders the latents.
        layers: names.
        objective: where in the map, and before or after the non-linearity.
        pool: (P, latent_size).
        dtype: of the computation.
        batch: latents at once.

    Returns:
        layer -> (P, C), float32.
    """
    columns, window = network.columns(layers, objective, dtype, pool.device)
    render = renderer.within(window)

    def respond(some: range) -> dict[str, Tensor]:
        images = network.normalise(render(pool[some.start : some.stop]))
        return dict(columns(images.to(dtype, memory_format=torch.channels_last)))

    with torch.no_grad():
        parts = in_blocks(len(pool), batch, respond)
    return {layer: torch.cat([part[layer] for part in parts]) for layer in layers}


def starts(pool: Tensor, scores: Tensor, top: int) -> Tensor:
    """The start of each unit: its best latents of the pool, recombined.

    A weighted mean of independent latents is shorter than they are; it is scaled back to their mean
    length, so that the start lies where the prior has its mass.

    Args:
        pool: (P, latent_size).
        scores: (P, U) responses of units; one that is not finite is the worst.
        top: latents to recombine, at most P.

    Returns:
        (U, latent_size).
    """
    best = scores.where(scores.isfinite(), -torch.inf).topk(top, dim=0).indices.T
    chosen = pool[best]
    mean = (log_rank_weights(top).to(pool)[:, None] * chosen).sum(1)
    length = chosen.norm(dim=2).mean(1)
    return mean * (length / mean.norm(dim=1).clamp_min(1e-12))[:, None]
