"""Recombination weights: what each sample of a generation counts for, by its rank."""

import math

import torch
from torch import Tensor


def log_rank_weights(count: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """w_i proportional to log(count + 1) - log(i), i = 1..count, summing to one (S3).

    >>> [round(weight, 3) for weight in log_rank_weights(3).tolist()]
    [0.586, 0.293, 0.122]
    """
    weights = math.log(count + 1) - torch.arange(1, count + 1, dtype=torch.float64).log()
    return (weights / weights.sum()).to(dtype)


def raw_weights(samples: int, parents: int | None) -> Tensor:
    """w'_i = ln((lambda + 1) / 2) - ln(i), i = 1..lambda, float64 (Hansen 2016, Eq. 49).

    The better half has positive weights, the worse half negative ones. With `parents` the sign changes after
    that many instead: w'_i = ln(mu + 1/2) - ln(i), which is the same for an even lambda and mu = lambda / 2.
    """
    middle = (samples + 1) / 2 if parents is None else parents + 0.5
    return math.log(middle) - torch.arange(1, samples + 1, dtype=torch.float64).log()


def effective(weights: Tensor) -> float:
    """The variance effective selection mass (sum w)^2 / sum w^2 (Eq. 8); 0 of no weights.

    >>> effective(torch.full((4,), 0.25))
    4.0
    """
    mass = float(weights.square().sum())
    return float(weights.sum()) ** 2 / mass if mass else 0.0


def positive(raw: Tensor) -> Tensor:
    """The positive weights sum to one, the others are 0."""
    kept = raw.clamp_min(0)
    return kept / kept.sum()


def active(raw: Tensor, negative_sum: float) -> Tensor:
    """The positive weights sum to one, the negative ones to -`negative_sum` (Eq. 53)."""
    against = (-raw).clamp_min(0)
    return positive(raw) - negative_sum * against / against.sum().clamp_min(torch.finfo(raw.dtype).tiny)
