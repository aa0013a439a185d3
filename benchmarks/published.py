"""The paper's batched algorithm (b), as its authors' public code runs it (S1 to S8, preset `paper`).

All channels of a layer go together, in blocks of 256, one image for each. An isotropic evolution with a
constant step size finds a latent that drives the unit, Adam goes on from there:

    z ~ N(0, I)
    20 generations:  30 times z_k = z + 2 N(0, I), rendered and evaluated
                     z = sum_i w_i z_(i), the best 15 of 30, w_i ~ log 16 - log i
                     z evaluated once more, for the record
    50 steps:        Adam, lr 0.01, on the sum of the responses

Noise is drawn on the CPU and copied, in float32. Their code also means to disturb the latents of silent
units between the steps of Adam, but writes to a copy: nothing happens, and nothing does here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.pipeline import Pipeline, blocks


@dataclass(frozen=True)
class Budget:
    """The published numbers."""

    generations: int = 20
    samples: int = 30
    parents: int = 15
    sigma: float = 2.0
    steps: int = 50
    lr: float = 0.01
    block: int = 256


def synthesize(
    pipeline: Pipeline, layer: str, channels: Sequence[int], noise: torch.Generator, budget: Budget
) -> Tensor:
    """The last latent (C, n) of each channel of a layer.

    Args:
        pipeline: renders and evaluates.
        layer: name of the layer.
        channels: its channels, of which each gets its own image.
        noise: on the CPU.
        budget: generations, samples, steps, ...
    """
    done = []
    for some in blocks(channels, budget.block):
        start = evolve(pipeline, layer, some, noise, budget)
        done.append(ascend(pipeline, layer, some, start, budget))
    return torch.cat(done)


def evolve(
    pipeline: Pipeline, layer: str, channels: Sequence[int], noise: torch.Generator, budget: Budget
) -> Tensor:
    """The mean (B, n) of each channel's own evolution after the last generation."""
    subject = pipeline.subject
    shape = (len(channels), subject.prior.latent_size)
    weights = recombination_weights(budget.parents).to(subject.device)
    mean = torch.randn(shape, generator=noise).to(subject.device)
    with torch.no_grad():
        for _ in range(budget.generations):
            offspring, scores = [], []
            for _ in range(budget.samples):
                child = mean + budget.sigma * torch.randn(shape, generator=noise).to(subject.device)
                offspring.append(child)
                scores.append(pipeline.responses(child, layer, channels))
            mean = recombined(torch.stack(offspring, 1), torch.stack(scores, 1), weights)
            pipeline.responses(mean, layer, channels)
    return mean


def recombination_weights(parents: int) -> Tensor:
    """w_i proportional to log(parents + 1) - log(i), i = 1..parents, with sum one."""
    ranks = torch.arange(1, parents + 1, dtype=torch.float64)
    weights = torch.log(torch.tensor(parents + 1.0, dtype=torch.float64)) - torch.log(ranks)
    return (weights / weights.sum()).float()


def recombined(offspring: Tensor, scores: Tensor, weights: Tensor) -> Tensor:
    """The weighted mean (B, n) of the best of (B, samples, n) by their scores (B, samples)."""
    order = scores.argsort(dim=1, descending=True)[:, : len(weights)]
    parents = offspring.gather(1, order[:, :, None].expand(-1, -1, offspring.shape[2]))
    return torch.einsum("p,bpn->bn", weights, parents)


def ascend(pipeline: Pipeline, layer: str, channels: Sequence[int], start: Tensor, budget: Budget) -> Tensor:
    """The latents (B, n) after the last step of Adam; units are independent, so their sum is maximised."""
    latents = start.clone().requires_grad_(True)
    optimizer = torch.optim.Adam([latents], lr=budget.lr)
    for _ in range(budget.steps):
        optimizer.zero_grad()
        loss = -pipeline.responses(latents, layer, channels).sum()
        loss.backward()
        optimizer.step()
    return latents.detach()
