"""CMA-ES with a full covariance and active update (Hansen 2016, arXiv:1604.00772; equations are its).

The (mu/mu_w, lambda) strategy that learns the shape of the response: samples come from N(m, sigma^2 C),
and C becomes the inverse Hessian up to a factor. It needs n^2 numbers for each unit, and 10 to 30 n^2
evaluations to learn them, so it suits latents of up to a few hundred dimensions.
"""

from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from protoviz.errors import StudyError
from protoviz.synthesis.evolution import constants, cumulation, selection
from protoviz.synthesis.evolution.constants import Constants

MOST_DIMENSIONS = 512


@dataclass(frozen=True)
class CMAES:
    """The state of B searches.

    Attributes:
        constants: what does not change.
        told: generations so far, including those that a unit lost.
        generation: (B,) generations that each unit learnt from.
        mean: m, (B, n).
        sigma: (B,).
        p_sigma: path for the step size, (B, n).
        p_c: path for the covariance, (B, n).
        covariance: C, (B, n, n).
        root: C^1/2, symmetric, (B, n, n); up to `patience` generations old.
        inverse_root: C^-1/2, (B, n, n), of the same age.
    """

    constants: Constants
    told: int
    generation: Tensor
    mean: Tensor
    sigma: Tensor
    p_sigma: Tensor
    p_c: Tensor
    covariance: Tensor
    root: Tensor
    inverse_root: Tensor

    @classmethod
    def start(cls, mean: Tensor, sigma: float, samples: int, parents: int | None = None) -> Self:
        """B searches from `mean` (B, n) with C = I.

        Raises:
            StudyError: more than 512 dimensions, or see `selection.checked_start`.
        """
        mean = selection.checked_start(mean, sigma, samples, parents)
        units, n = mean.shape
        if n > MOST_DIMENSIONS:
            raise StudyError(
                "evolution strategy 'cma'",
                expected=f"at most {MOST_DIMENSIONS} latent dimensions, as it keeps their whole covariance",
                found=str(n),
                remedy="choose sep_cma or vd_cma, whose memory is linear",
            )
        identity = torch.eye(n, dtype=mean.dtype, device=mean.device).expand(units, n, n)
        zero = torch.zeros_like(mean)
        return cls(
            constants=constants.full(mean, samples, parents),
            told=0,
            generation=zero[:, 0],
            mean=mean,
            sigma=torch.full_like(zero[:, 0], sigma),
            p_sigma=zero,
            p_c=zero,
            covariance=identity,
            root=identity,
            inverse_root=identity,
        )

    def ask(self, draws: Tensor) -> Tensor:
        """x_k = m + sigma C^1/2 z_k, (B, lambda, n), for z (B, lambda, n) from N(0, I) (Eq. 38 to 40).

        The tutorial draws B D z, which has the same distribution. The symmetric root does not depend on
        the order and the signs of eigenvectors, which differ from one solver or batch size to another.
        """
        return self.mean[:, None] + self.sigma[:, None, None] * (draws @ self.root)

    def tell(self, candidates: Tensor, responses: Tensor) -> Self:
        """The state after a generation of candidates (B, lambda, n) with responses (B, lambda)."""
        k = self.constants
        steps = (candidates - self.mean[:, None]) / self.sigma[:, None, None]
        weights = selection.by_rank(k.weights, responses)
        step = selection.weighted_mean(weights, steps)  # Eq. 41
        mean = self.mean + self.sigma[:, None] * step  # Eq. 42
        whitened = (step[:, None] @ self.inverse_root)[:, 0]
        p_sigma = cumulation.step_size_path(self.p_sigma, whitened, k)  # Eq. 43
        sigma = cumulation.step_size(self.sigma, p_sigma, k)  # Eq. 44
        moving = cumulation.heaviside(p_sigma, self.generation + 1, k)
        p_c = cumulation.covariance_path(self.p_c, step, moving, k)  # Eq. 45
        shortened = shortened_weights(weights, steps, self.inverse_root)  # Eq. 46
        covariance = adapted(self.covariance, p_c, steps, shortened, moving, k)  # Eq. 47
        after = selection.survived(
            self,
            responses,
            generation=self.generation + 1,
            mean=mean,
            sigma=sigma,
            p_sigma=p_sigma,
            p_c=p_c,
            covariance=covariance,
        )
        told = self.told + 1
        if told % patience(k, mean.shape[1]):
            return replace(after, told=told)
        root, inverse_root = roots(after.covariance)
        return replace(after, told=told, root=root, inverse_root=inverse_root)


def shortened_weights(weights: Tensor, steps: Tensor, inverse_root: Tensor) -> Tensor:
    """w_i° = w_i, or w_i n / ||C^-1/2 y_i||^2 if w_i < 0, (B, lambda) (Eq. 46).

    A step of negative weight counts as if it had the length sqrt(n), so that no long step removes more
    variance than there is.
    """
    squared = (steps @ inverse_root).square().sum(2).clamp_min(torch.finfo(steps.dtype).eps)
    return torch.where(weights < 0, weights * steps.shape[2] / squared, weights)


def adapted(
    covariance: Tensor, p_c: Tensor, steps: Tensor, shortened: Tensor, moving: Tensor, k: Constants
) -> Tensor:
    """C <- (1 + c_1 delta(h) - c_1 - c_mu sum w) C + c_1 p_c p_c^T + c_mu sum w_i° y_i y_i^T (Eq. 47).

    Args:
        covariance: C, (B, n, n).
        p_c: (B, n).
        steps: y, (B, lambda, n).
        shortened: w°, (B, lambda).
        moving: h_sigma, (B, 1).
        k: constants of the strategy.
    """
    kept = 1 - cumulation.stalled_rank_one_rate(moving, k) - k.c_mu * k.weights.sum()
    rank_one = p_c[:, :, None] * p_c[:, None]
    rank_mu = (shortened[:, :, None] * steps).mT @ steps
    return kept[:, :, None] * covariance + k.c_1 * rank_one + k.c_mu * rank_mu


def roots(covariance: Tensor) -> tuple[Tensor, Tensor]:
    """C^1/2 and C^-1/2, each (B, n, n), from the axes and their lengths: C = B D^2 B^T.

    Axes too short for the number format to tell from zero beside the longest are lengthened to that limit.
    """
    variances, axes = torch.linalg.eigh(covariance)
    shortest = variances[:, -1:] * torch.finfo(variances.dtype).eps
    lengths = variances.maximum(shortest).sqrt()[:, None]
    return axes * lengths @ axes.mT, axes / lengths @ axes.mT


def patience(k: Constants, n: int) -> int:
    """Generations from one decomposition to the next: max(1, floor(1 / (10 n (c_1 + c_mu)))) (App. B.2)."""
    return max(1, int(1 / (10 * n * (k.c_1 + k.c_mu))))
