"""What all strategies share: a checked start, the weights of ranked samples, and whose state changes."""

import math
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor

from protoviz.errors import StudyError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Search = TypeVar("Search", bound="DataclassInstance")


def checked_start(mean: Tensor, sigma: float, samples: int, parents: int | None) -> Tensor:
    """The start as a strategy keeps it: the caller's `mean` (B, n), copied.

    Raises:
        StudyError: `mean` is no batch of real vectors, `sigma` is not positive, there are fewer than two
            samples, no parents, or more parents than samples.
    """
    if mean.dim() != 2 or not mean.is_floating_point():
        raise StudyError(
            "start of the evolution",
            expected="one latent of real numbers for each unit, (B, n)",
            found=f"{mean.dtype} of shape {tuple(mean.shape)}",
            remedy="pass latents (B, n)",
        )
    if not 0 < sigma < math.inf:
        raise _unfit("sigma", "a positive number", sigma, "start with about the scale of a latent")
    if samples < 2:
        raise _unfit("samples", "at least 2, or there is nothing to choose", samples, "ask for more samples")
    if parents is not None and not 1 <= parents <= samples:
        expected = f"between 1 and the {samples} samples of a generation"
        raise _unfit("parents", expected, parents, "choose fewer parents or more samples")
    return mean.detach().clone()


def by_rank(weights: Tensor, responses: Tensor) -> Tensor:
    """The weight of each sample, (B, lambda): the best response of a search gets the first.

    A response that is not finite ranks last; of equal ones the first in the batch ranks first.

    Args:
        weights: (lambda,) by rank, best first.
        responses: (B, lambda), greater is better.
    """
    comparable = responses.where(responses.isfinite(), -torch.inf)
    rank = comparable.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
    return weights[rank]


def weighted_mean(weights: Tensor, vectors: Tensor) -> Tensor:
    """The sum of vectors (B, lambda, n) weighted by the positive ones of weights (B, lambda): (B, n)."""
    return (weights.clamp_min(0)[:, None] @ vectors)[:, 0]


def survived(search: Search, responses: Tensor, **proposed: Tensor) -> Search:
    """The search with the proposed state, unit by unit.

    A unit with no finite response, or whose proposed state is not finite, keeps the state that it has.

    Args:
        search: the state before.
        responses: (B, lambda).
        proposed: new values of the fields of `search`, each (B, ...).
    """
    alive = responses.isfinite().any(1)
    for value in proposed.values():
        alive = alive & value.reshape(len(value), -1).isfinite().all(1)
    chosen = {
        name: torch.where(alive.view(-1, *[1] * (value.dim() - 1)), value, getattr(search, name))
        for name, value in proposed.items()
    }
    return replace(search, **chosen)


def _unfit(name: str, expected: str, found: float, remedy: str) -> StudyError:
    return StudyError(f"{name} of the evolution", expected=expected, found=str(found), remedy=remedy)
