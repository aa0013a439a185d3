"""The constants of the adaptive strategies, each with its equation.

Numbers are those of Hansen, "The CMA evolution strategy: a tutorial" (2016, arXiv:1604.00772), where it
has them. Where its author's library `cma` 4.5 has moved on since, the library's value is taken and the
tutorial's is named beside it. n: dimensions; mu_eff: variance effective selection mass.
"""

import math
from dataclasses import dataclass

from torch import Tensor

from protoviz.synthesis.evolution import weights


@dataclass(frozen=True)
class Constants:
    """What does not change during a search.

    Attributes:
        weights: (lambda,) by rank, best first; the positive ones sum to one.
        mu_eff: variance effective selection mass of the positive weights (Eq. 8).
        c_sigma: learning rate of the path for the step size.
        d_sigma: damping of the step size.
        c_c: learning rate of the path for the covariance.
        c_1: learning rate of the rank-one update.
        c_mu: learning rate of the rank-mu update.
        chi: the length of a standard normal vector, on average.
    """

    weights: Tensor
    mu_eff: float
    c_sigma: float
    d_sigma: float
    c_c: float
    c_1: float
    c_mu: float
    chi: float


def full(mean: Tensor, samples: int, parents: int | None) -> Constants:
    """Constants of CMA-ES with active update, for a start `mean` (B, n)."""
    n = mean.shape[1]
    raw = weights.raw_weights(samples, parents)
    mu_eff, mu_eff_negative = weights.effective(raw.clamp_min(0)), weights.effective(raw.clamp_max(0))
    c_sigma = step_size_rate(n, mu_eff)
    c_1 = rank_one_rate(n, mu_eff, samples)
    c_mu = rank_mu_rate(n, mu_eff, c_1)
    limits = zero_decay(c_1, c_mu), selection_limit(mu_eff, mu_eff_negative), definiteness_limit(n, c_1, c_mu)
    return Constants(
        weights=weights.active(raw, min(limits)).to(mean),
        mu_eff=mu_eff,
        c_sigma=c_sigma,
        d_sigma=step_size_damping(n, mu_eff, c_sigma),
        c_c=path_rate(n, mu_eff),
        c_1=c_1,
        c_mu=c_mu,
        chi=expected_norm(n),
    )


def separable(mean: Tensor, samples: int, parents: int | None) -> Constants:
    """Constants of separable CMA-ES, for a start `mean` (B, n).

    Only n variances are learnt, so the rates are about n times larger. Ros & Hansen (2008) multiply those
    of the full matrix by (n + 2) / 3; these are the library's, which have the same order in n.
    """
    n = mean.shape[1]
    raw = weights.raw_weights(samples, parents)
    mu_eff, mu_eff_negative = weights.effective(raw.clamp_min(0)), weights.effective(raw.clamp_max(0))
    c_sigma = step_size_rate(n, mu_eff)
    c_1 = 1 / (n + 2 * math.sqrt(n) + mu_eff / n)
    c_mu = min(1 - c_1, (0.25 + mu_eff - 2 + 1 / mu_eff) / (n + 4 * math.sqrt(n) + mu_eff / 2))
    # No limit for definiteness (Eq. 52): the variances are multiplied, and stay positive.
    limits = zero_decay(c_1, c_mu), selection_limit(mu_eff, mu_eff_negative)
    return Constants(
        weights=weights.active(raw, min(limits)).to(mean),
        mu_eff=mu_eff,
        c_sigma=c_sigma,
        d_sigma=step_size_damping(n, mu_eff, c_sigma),
        c_c=(1 + 1 / n + mu_eff / n) / (math.sqrt(n) + 1 / n + 2 * mu_eff / n),
        c_1=c_1,
        c_mu=c_mu,
        chi=expected_norm(n),
    )


def vd(mean: Tensor, samples: int, parents: int | None) -> Constants:
    """Constants of VD-CMA (Akimoto, Auger & Hansen 2014), for a start `mean` (B, n): no active update.

    2n numbers are learnt, so the rates of the full matrix are multiplied by (n - 5) / 6.
    """
    n = mean.shape[1]
    raw = weights.raw_weights(samples, parents)
    mu_eff = weights.effective(raw.clamp_min(0))
    c_sigma = step_size_rate(n, mu_eff)
    factor = max((n - 5) / 6, 0.5)
    c_1 = factor * 2 / ((n + 1.3) ** 2 + mu_eff)
    return Constants(
        weights=weights.positive(raw).to(mean),
        mu_eff=mu_eff,
        c_sigma=c_sigma,
        d_sigma=step_size_damping(n, mu_eff, c_sigma),
        c_c=path_rate(n, mu_eff),
        c_1=c_1,
        c_mu=min(1 - c_1, factor * 2 * (mu_eff - 2 + 1 / mu_eff) / ((n + 2) ** 2 + mu_eff)),
        chi=expected_norm(n),
    )


def step_size_rate(n: int, mu_eff: float) -> float:
    """c_sigma: the greater of Eq. 55 and what VD-CMA takes for its many dimensions.

    Eq. 55, where the tutorial has 5 in place of 3 and no upper bound, takes about n / mu_eff generations to
    move sigma: hundreds for a latent of 4096. (Beyond 300 dimensions the library uses another rule.) The rate
    of Akimoto, Auger & Hansen (2014), sqrt(mu_eff) / (2 (sqrt(n) + sqrt(mu_eff))), is the greater from about
    40 dimensions on. On the sphere it saves 9 % of the evaluations at n = 120 with a full covariance, and
    with a restricted one 12 % at n = 200 and 21 % at n = 1000.
    """
    linear = min(0.5, (mu_eff + 2) / (n + mu_eff + 3))
    return max(linear, math.sqrt(mu_eff) / (2 * (math.sqrt(n) + math.sqrt(mu_eff))))


def step_size_damping(n: int, mu_eff: float, c_sigma: float) -> float:
    """d_sigma (Eq. 55). The tutorial has 1 in place of `steeper`: it matters for mu_eff > n / 9 only."""
    steeper = max(1.0, 3 * (1 - 0.5 ** (n / 9)))
    return 1 + 2 * max(0.0, steeper * math.sqrt((mu_eff - 1) / (n + 1)) - 1) + c_sigma


def path_rate(n: int, mu_eff: float) -> float:
    """c_c (Eq. 56)."""
    return (4 + mu_eff / n) / (n + 4 + 2 * mu_eff / n)


def rank_one_rate(n: int, mu_eff: float, samples: int) -> float:
    """c_1 (Eq. 57). The tutorial does not lower it for less than six samples."""
    return min(1.0, samples / 6) * 2 / ((n + 1.3) ** 2 + mu_eff)


def rank_mu_rate(n: int, mu_eff: float, c_1: float) -> float:
    """c_mu (Eq. 58)."""
    return min(1 - c_1, 2 * (0.25 + mu_eff - 2 + 1 / mu_eff) / ((n + 2) ** 2 + mu_eff))


def zero_decay(c_1: float, c_mu: float) -> float:
    """alpha_mu^-: with negative weights of this sum the covariance does not decay (Eq. 50)."""
    return 1 + c_1 / c_mu


def selection_limit(mu_eff: float, mu_eff_negative: float) -> float:
    """alpha_mu_eff^-: as much as the selection supports (Eq. 51)."""
    return 1 + 2 * mu_eff_negative / (mu_eff + 2)


def definiteness_limit(n: int, c_1: float, c_mu: float) -> float:
    """alpha_posdef^-: up to here the covariance stays positive definite (Eq. 52)."""
    return (1 - c_1 - c_mu) / (n * c_mu)


def expected_norm(n: int) -> float:
    """E ||N(0, I)|| = sqrt(2) Gamma((n + 1) / 2) / Gamma(n / 2), exact; the tutorial approximates it."""
    return math.sqrt(2) * math.exp(math.lgamma((n + 1) / 2) - math.lgamma(n / 2))
