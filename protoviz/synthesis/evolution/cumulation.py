"""Evolution paths and the step size, as all CMA strategies share them (Hansen 2016, arXiv:1604.00772)."""

import math

from torch import Tensor

from protoviz.synthesis.evolution.constants import Constants


def step_size_path(path: Tensor, whitened: Tensor, constants: Constants) -> Tensor:
    """p_sigma <- (1 - c_sigma) p_sigma + sqrt(c_sigma (2 - c_sigma) mu_eff) C^-1/2 <y>_w (Eq. 43).

    Args:
        path: (B, n).
        whitened: C^-1/2 <y>_w, the mean's step in units in which the samples are standard normal, (B, n).
        constants: of the strategy.
    """
    return _cumulated(path, whitened, constants.c_sigma, constants.mu_eff)


def covariance_path(path: Tensor, step: Tensor, moving: Tensor, constants: Constants) -> Tensor:
    """p_c <- (1 - c_c) p_c + h_sigma sqrt(c_c (2 - c_c) mu_eff) <y>_w (Eq. 45).

    Args:
        path: (B, n).
        step: <y>_w, (B, n).
        moving: h_sigma, (B, 1).
        constants: of the strategy.
    """
    return _cumulated(path, moving * step, constants.c_c, constants.mu_eff)


def step_size(sigma: Tensor, path: Tensor, constants: Constants) -> Tensor:
    """The step size: sigma <- sigma exp(c_sigma / d_sigma (||p_sigma|| / E||N(0, I)|| - 1)), (Eq. 44).

    Of shape (B,). As in the library `cma` it grows at most e-fold in a generation.
    """
    surplus = path.norm(dim=1) / constants.chi - 1
    return sigma * (constants.c_sigma / constants.d_sigma * surplus).clamp(max=1).exp()


def heaviside(path: Tensor, generation: Tensor, constants: Constants) -> Tensor:
    """h_sigma, (B, 1): 0 where the path is so long that the step size must grow first, else 1 (App. A).

    Args:
        path: p_sigma, (B, n).
        generation: how often it was updated, (B,).
        constants: of the strategy.
    """
    unbiased = path.norm(dim=1) / (1 - (1 - constants.c_sigma) ** (2 * generation)).sqrt()
    short = unbiased < (1.4 + 2 / (path.shape[1] + 1)) * constants.chi
    return short.to(path.dtype)[:, None]


def stalled_rank_one_rate(moving: Tensor, constants: Constants) -> Tensor:
    """c_1 (1 - delta(h_sigma)), (B, 1): what a stalled path takes off the covariance (before Eq. 47).

    delta(h_sigma) = (1 - h_sigma) c_c (2 - c_c) makes up for the variance that the path lacks.
    """
    return constants.c_1 * (1 - (1 - moving) * constants.c_c * (2 - constants.c_c))


def _cumulated(path: Tensor, step: Tensor, rate: float, mu_eff: float) -> Tensor:
    return (1 - rate) * path + math.sqrt(rate * (2 - rate) * mu_eff) * step
