"""One unit at a time (a): the library `cma` and Adam, what was done before units were batched.

The budget is that of the paper's algorithm: 20 generations of 30, sigma 2, then 50 steps of Adam at 0.01.
The library keeps a full covariance matrix up to `FULL` dimensions. Beyond that the matrix and its
eigenvectors cost more than the images (4096: 134 MB, and a minute for each decomposition), so it keeps the
diagonal only (`CMA_diagonal`, Ros & Hansen 2008), which is what it recommends there.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.pipeline import Pipeline
from benchmarks.published import Budget, ascend

FULL = 1000


def synthesize(
    pipeline: Pipeline, layer: str, channel: int, rng: np.random.Generator, budget: Budget
) -> Tensor:
    """The last latent (1, n) of one channel.

    Adam starts from the mean of the last generation or from the best sample of all, whichever drives the
    unit more: one evaluation more than the budget.

    Args:
        pipeline: renders and evaluates.
        layer: name of the layer.
        channel: the unit.
        rng: draws the start and, for the library, the samples.
        budget: as of the paper's algorithm; `parents` and `block` are not used, the library sets its own.
    """
    device = pipeline.subject.device

    def score(rows: list[np.ndarray]) -> np.ndarray:
        latents = torch.from_numpy(np.stack(rows).astype(np.float32)).to(device)
        with torch.no_grad():
            return pipeline.responses(latents, layer, [channel] * len(rows)).cpu().numpy()

    strategy = library(rng, pipeline.subject.prior.latent_size, budget)
    for _ in range(budget.generations):
        population = strategy.ask()
        strategy.tell(population, [-float(response) for response in score(population)])
    mean = strategy.mean
    better = mean if score([mean])[0] >= -strategy.best.f else strategy.best.x
    start = torch.from_numpy(np.asarray(better, dtype=np.float32))[None].to(device)
    return ascend(pipeline, layer, [channel], start, budget)


def library(rng: np.random.Generator, dimensions: int, budget: Budget) -> Any:
    """The library's strategy from a start of N(0, I); all its random numbers come from `rng`."""
    import cma  # here, since it loads much more that would count as the memory of other methods

    options = {
        "popsize": budget.samples,
        "CMA_diagonal": dimensions > FULL,
        "randn": lambda *shape: rng.standard_normal(shape),
        "seed": np.nan,  # it leaves NumPy's global generator alone
        "verbose": -9,
    }
    return cma.CMAEvolutionStrategy(rng.standard_normal(dimensions), budget.sigma, options)
