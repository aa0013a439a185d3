"""All prototypes of one network: a start from the pool, an ascent, one consistent snapshot (S2, S5).

A start is anything that gives each unit a latent, an ascent anything that improves it; this module
puts them together and measures, once and at the end, what is stored.
"""

import numpy as np
import torch
from torch import Tensor

from protoviz import backbones, schema
from protoviz.cube import Shard
from protoviz.params import Synthesis
from protoviz.priors.base import ImagePrior
from protoviz.synthesis import ascent, pool
from protoviz.synthesis.objectives import Units, render


def prototypes(
    network: backbones.ResNet18,
    prior: ImagePrior,
    settings: Synthesis,
    *,
    size: int,
    address: tuple[str, int, int, int],
    device: torch.device,
) -> Shard:
    """A prototype for every unit of every layer.

    Args:
        network: frozen, in evaluation mode.
        prior: renders latents.
        settings: pool, steps, learning rate, batch size.
        size: input size of the network and of the stored images, px.
        address: (condition, run, repeat, epoch), from which all random numbers come.
        device: where to compute.

    Returns:
        Prototypes in the order of `network.units`, layer after layer.
    """
    folded = backbones.fold_batch_norm(network)
    latents = pool.draw(settings.pool, prior.latent_size, *address).to(device)
    scores = pool.score(folded, prior, latents, size)
    parts = []
    for layer, count in network.units.items():
        start = pool.starts(latents, scores[layer], settings.top)
        for first in range(0, count, settings.batch_size):
            channels = range(first, min(first + settings.batch_size, count))
            units = Units(folded, layer, channels)
            parts.append(_climb(units, prior, start[channels.start : channels.stop], settings, size))
    return Shard(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def _climb(
    units: Units, prior: ImagePrior, start: Tensor, settings: Synthesis, size: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The snapshots of a batch of units, in the order of the fields of `Shard`."""
    best = ascent.adam(
        start,
        lambda latent: units(render(prior, latent, size)),
        steps=settings.steps,
        lr=settings.lr,
        longest=settings.longest,
    )
    # Stored as float16 and rendered from what is stored, so that the latent regenerates the image.
    latent = best.latent.half()
    with torch.no_grad():
        pixels = render(prior, latent.float(), size).mul(255).round().to(torch.uint8)
        activation = units(pixels.float().div(255))
    return (
        pixels.permute(0, 2, 3, 1).cpu().numpy(),
        latent.cpu().numpy(),
        activation.cpu().numpy(),
        best.trace.cpu().numpy(),
        _status(activation, best.finite).cpu().numpy(),
    )


def _status(activation: Tensor, finite: Tensor) -> Tensor:
    """Named states: diverged if any response was not finite, dead if the best image leaves it silent."""
    status = torch.full(
        activation.shape, schema.Status.CONVERGED, dtype=torch.uint8, device=activation.device
    )
    status[activation <= 0] = schema.Status.DEAD
    status[~(finite & activation.isfinite())] = schema.Status.DIVERGED
    return status
