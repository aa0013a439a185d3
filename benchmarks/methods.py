"""The methods that are compared, by name. Each makes one image for every unit it is asked for.

To add one, write a function of a `Job` that returns `Made`, and give it a name in `METHODS`.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks import lucent_style, one_at_a_time, ours, published
from benchmarks.jobs import Job, Made
from benchmarks.pipeline import Pipeline, quantized
from protoviz import seeding

WARM = published.Budget(generations=1, samples=2, parents=1, steps=1)


@dataclass(frozen=True)
class Method:
    """A method.

    Attributes:
        title: as in the table.
        run: what it does.
        ours: whether it is this project's engine.
        few: whether fewer units are measured, since it takes one at a time, or what it is compared with does.
    """

    title: str
    run: Callable[[Job], Made]
    few: bool = False
    ours: bool = False


def _published(job: Job) -> Made:
    budget = WARM if job.extent == "warm" else published.Budget()

    def make(pipeline: Pipeline, layer: str, channels: list[int]) -> Tensor:
        noise = torch.Generator().manual_seed(seeding.seed("published", *job.address(layer)))
        return published.synthesize(pipeline, layer, channels, noise, budget)

    return _from_latents(job, make)


def _one_at_a_time(job: Job) -> Made:
    budget = WARM if job.extent == "warm" else published.Budget()

    def make(pipeline: Pipeline, layer: str, channels: list[int]) -> Tensor:
        latents = []
        for channel in channels:
            rng = seeding.generator("one at a time", *job.address(layer, channel))
            latents.append(one_at_a_time.synthesize(pipeline, layer, channel, rng, budget))
        return torch.cat(latents)

    return _from_latents(job, make)


def _from_latents(job: Job, make: Callable[[Pipeline, str, list[int]], Tensor]) -> Made:
    """The images of the latents that `make` gives for each layer."""
    pipeline = Pipeline(job.subject)
    latents: list[NDArray[np.float32]] = []
    images: list[NDArray[np.uint8]] = []
    for layer, channels in job.units.items():
        found = make(pipeline, layer, channels)
        with torch.no_grad():
            images.extend(quantized(pipeline.show(some)) for some in found.split(64))
        latents.append(found.cpu().numpy())
    counts = (pipeline.forward, pipeline.gradient, Counter[str]())
    return Made(np.concatenate(images), np.concatenate(latents), *counts)


def _lucent(job: Job) -> Made:
    pipeline = Pipeline(job.subject)
    images = []
    for layer, channels in job.units.items():
        for channel in channels:
            rng = seeding.generator("lucent", *job.address(layer, channel))
            steps = 1 if job.extent == "warm" else job.steps
            images.append(quantized(lucent_style.synthesize(pipeline, layer, channel, rng, steps)))
    return Made(np.concatenate(images), None, pipeline.forward, pipeline.gradient, Counter())


# In the order in which they run on each network: `longer` needs the times of `published` and `fast`.
METHODS = {
    "published": Method("(b) the paper's algorithm as published", _published),
    "one_at_a_time": Method("(a) one unit at a time, cma + Adam", _one_at_a_time, few=True),
    "paper": Method("(b') ours, preset paper", ours.preset("paper"), ours=True),
    "fast": Method("(c) ours, preset fast", ours.preset("fast"), ours=True),
    "natural": Method("(c') ours, preset natural", ours.preset("natural"), ours=True),
    "unpooled": Method("(c0) ours, fast without the pool", ours.unpooled, ours=True),
    "longer": Method("(c+) ours, fast, about the time of (b)", ours.longer, ours=True),
    "lucent": Method("lucent style, one unit per call", _lucent, few=True),
    "fourier": Method("ours, prior fourier, the same units at once", ours.fourier, few=True, ours=True),
}
