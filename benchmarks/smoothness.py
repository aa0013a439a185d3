"""How smooth is what is climbed: does the gradient of a unit last beyond a small move of its latent?

    python -m benchmarks.smoothness [--study default|full|all] [--device cpu|cuda]

A generator with random weights stands in for the trained one at full size. It does so fairly only if a
unit's gradient turns no more under it than under a generator that has been trained, as that of the default
study: here the two can be compared. Latents are as long as those that the paper's algorithm ends with; the
move, of 4 % of their length, is random, or along the gradient.
"""

import argparse
import sys
from collections.abc import Sequence

import torch
from torch import Tensor

from benchmarks import evidence, subjects
from benchmarks.fc6 import LENGTH
from benchmarks.pipeline import Pipeline
from protoviz.errors import StudyError

MOVE = 0.04  # of the length of a latent
UNITS = 16  # of each layer
COLUMNS = [
    "network",
    "layer",
    "cosine after a random move",
    "after one along the gradient",
    "gain / predicted",
]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print the table as Markdown."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.smoothness", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--study", choices=[*subjects.STUDIES, "all"], default="all")
    parser.add_argument("--device", default="cpu", help="cpu (default) or cuda")
    options = parser.parse_args(arguments)
    studies = ["default", "full"] if options.study == "all" else [options.study]
    rows = []
    try:
        for study in studies:
            for name in subjects.STUDIES[study].names():
                pipeline = Pipeline(subjects.load(study, name, torch.device(options.device)))
                for layer in pipeline.subject.network.units:
                    rows.append([name, layer, *(f"{value:.2f}" for value in measured(pipeline, layer))])
    except StudyError as error:
        sys.exit(str(error))
    print(evidence.markdown(COLUMNS, rows))
    print(f"\nMedians of {UNITS} units; moves of {MOVE:.0%} of latents of {LENGTH} times the usual length.")


def measured(pipeline: Pipeline, layer: str) -> tuple[float, float, float]:
    """Medians over units of a layer: how far the gradient lasts.

    Returns:
        cosine between the gradients before and after a random move, the same for a move along the gradient,
        and how much the response then grows, in units of what the gradient predicts.
    """
    subject = pipeline.subject
    draws = torch.Generator().manual_seed(subjects.SEED)
    (channels,) = subjects.spread({layer: range(subject.network.units[layer])}, UNITS).values()
    shape = (len(channels), subject.prior.latent_size)
    latents = LENGTH * torch.randn(shape, generator=draws).to(subject.device)
    response, gradient = _with_gradient(pipeline, layer, channels, latents)
    length = MOVE * latents.norm(dim=1, keepdim=True)
    random = _scaled(torch.randn(shape, generator=draws).to(subject.device), length)
    along = _scaled(gradient, length)
    _, elsewhere = _with_gradient(pipeline, layer, channels, latents + random)
    risen, above = _with_gradient(pipeline, layer, channels, latents + along)
    cosine = torch.nn.functional.cosine_similarity
    gain = (risen - response) / (gradient * along).sum(1)
    found = (cosine(gradient, elsewhere), cosine(gradient, above), gain)
    first, second, third = (float(values.nanmedian()) for values in found)
    return first, second, third


def _with_gradient(
    pipeline: Pipeline, layer: str, channels: Sequence[int], latents: Tensor
) -> tuple[Tensor, Tensor]:
    """Pre-activations (B,) and their gradients (B, n)."""
    latents = latents.clone().requires_grad_(True)
    response = pipeline.pre_activations(pipeline.show(latents), layer, channels)
    (gradient,) = torch.autograd.grad(response.sum(), latents)
    return response.detach(), gradient


def _scaled(vectors: Tensor, length: Tensor) -> Tensor:
    return vectors * (length / vectors.norm(dim=1, keepdim=True).clamp_min(1e-30))


if __name__ == "__main__":
    main()
