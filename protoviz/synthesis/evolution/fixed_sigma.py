"""The (mu/mu_w, lambda)-ES with constant sigma: what the paper's authors really ran (S3).

Each generation is drawn from N(mean, sigma^2 I); the mean moves to the weighted mean of the best. It is not a
CMA-ES: neither the covariance nor the step size is adapted, so it cannot come nearer to an optimum than sigma
lets it, and in n dimensions its steps lead away from the origin at sigma sqrt(n / mu_eff) each.
"""

from dataclasses import dataclass
from typing import Self

from torch import Tensor, nn

from protoviz.synthesis.evolution import selection
from protoviz.synthesis.evolution.weights import log_rank_weights


@dataclass(frozen=True)
class FixedSigma:
    """The state of B searches.

    Attributes:
        mean: (B, n).
        sigma: standard deviation of the samples in every direction.
        weights: (lambda,) by rank, best first; 0 from mu + 1 on.
    """

    mean: Tensor
    sigma: float
    weights: Tensor

    @classmethod
    def start(cls, mean: Tensor, sigma: float, samples: int, parents: int | None = None) -> Self:
        """B searches from `mean` (B, n); half of the samples are parents unless told otherwise.

        Raises:
            StudyError: see `selection.checked_start`.
        """
        mean = selection.checked_start(mean, sigma, samples, parents)
        parents = samples // 2 if parents is None else parents
        weights = log_rank_weights(parents, mean.dtype)
        return cls(mean, sigma, nn.functional.pad(weights, (0, samples - parents)).to(mean.device))

    def ask(self, draws: Tensor) -> Tensor:
        """x_k = mean + sigma z_k, (B, lambda, n), for z (B, lambda, n) from N(0, I)."""
        return self.mean[:, None] + self.sigma * draws

    def tell(self, candidates: Tensor, responses: Tensor) -> Self:
        """The state with mean <- sum_i w_i x_i:lambda, x in order of their responses.

        Args:
            candidates: x, (B, lambda, n).
            responses: (B, lambda).
        """
        weights = selection.by_rank(self.weights, responses)
        return selection.survived(self, responses, mean=selection.weighted_mean(weights, candidates))
