"""VD-CMA: CMA-ES with the covariance D (I + v v^T) D, D diagonal, linear in time and memory.

Akimoto, Auger & Hansen, "Comparison-based natural gradient optimization in high dimension", GECCO 2014.
It learns a scale for every coordinate, as separable CMA-ES does, and one long axis in any direction. A
restricted covariance cannot take the additive update of CMA-ES (Eq. 47 of Hansen 2016, arXiv:1604.00772):
instead, (v, D) move along the natural gradient of the weighted log likelihood of the steps, of which Eq. 47
is the case of a full covariance. Equation numbers are those of Hansen 2016. (v, D) need even more generations
than separable CMA-ES: until then only the mean and the step size move.
"""

from dataclasses import dataclass
from typing import NamedTuple, Self

import torch
from torch import Tensor

from protoviz import seeding
from protoviz.synthesis.evolution import constants, cumulation, selection
from protoviz.synthesis.evolution.constants import Constants

LARGEST_CHANGE = 0.7  # of the length of v and of each element of D in a generation; so D stays positive


@dataclass(frozen=True)
class VDCMAES:
    """The state of B searches.

    Attributes:
        constants: what does not change.
        generation: (B,) generations that each unit learnt from.
        mean: m, (B, n).
        sigma: (B,).
        scales: the diagonal of D, (B, n).
        long_axis: v, (B, n).
        p_sigma: path for the step size, (B, n).
        p_c: path for the covariance, (B, n).
    """

    constants: Constants
    generation: Tensor
    mean: Tensor
    sigma: Tensor
    scales: Tensor
    long_axis: Tensor
    p_sigma: Tensor
    p_c: Tensor

    @classmethod
    def start(cls, mean: Tensor, sigma: float, samples: int, parents: int | None = None) -> Self:
        """B searches from `mean` (B, n) with D = I and v from N(0, I / n), the same for all units.

        Raises:
            StudyError: see `selection.checked_start`.
        """
        mean = selection.checked_start(mean, sigma, samples, parents)
        zero = torch.zeros_like(mean)
        n = mean.shape[1]
        v = torch.from_numpy(seeding.generator("vd_cma", n).standard_normal(n)) / n**0.5
        return cls(
            constants=constants.vd(mean, samples, parents),
            generation=zero[:, 0],
            mean=mean,
            sigma=torch.full_like(zero[:, 0], sigma),
            scales=torch.ones_like(mean),
            long_axis=v.to(mean).expand_as(mean),
            p_sigma=zero,
            p_c=zero,
        )

    def ask(self, draws: Tensor) -> Tensor:
        """x_k = m + sigma D (I + v v^T)^1/2 z_k, (B, lambda, n), for z (B, lambda, n) from N(0, I)."""
        stretched = stretch(draws, self.long_axis, 0.5)
        return self.mean[:, None] + self.sigma[:, None, None] * self.scales[:, None] * stretched

    def tell(self, candidates: Tensor, responses: Tensor) -> Self:
        """The state after a generation of candidates (B, lambda, n) with responses (B, lambda)."""
        k = self.constants
        scaled = (candidates - self.mean[:, None]) / (self.sigma[:, None] * self.scales)[:, None]  # D^-1 y
        weights = selection.by_rank(k.weights, responses)
        step = selection.weighted_mean(weights, scaled)  # D^-1 <y>_w, Eq. 41
        mean = self.mean + self.sigma[:, None] * self.scales * step  # Eq. 42
        whitened = stretch(step[:, None], self.long_axis, -0.5)[:, 0]
        p_sigma = cumulation.step_size_path(self.p_sigma, whitened, k)  # Eq. 43
        sigma = cumulation.step_size(self.sigma, p_sigma, k)  # Eq. 44
        moving = cumulation.heaviside(p_sigma, self.generation + 1, k)
        p_c = cumulation.covariance_path(self.p_c, self.scales * step, moving, k)  # Eq. 45
        v, path = self.long_axis, (p_c / self.scales)[:, None]
        p = scale_gradient(scaled, k.c_mu * weights, v) + scale_gradient(path, k.c_1 * moving, v)
        q = axis_gradient(scaled, k.c_mu * weights, v) + axis_gradient(path, k.c_1 * moving, v)
        change = natural_gradient(p, q, v)
        share = truncation(change, v)
        return selection.survived(
            self,
            responses,
            generation=self.generation + 1,
            mean=mean,
            sigma=sigma,
            scales=self.scales * (1 + share * change.log_scales),
            long_axis=v + share * change.long_axis,
            p_sigma=p_sigma,
            p_c=p_c,
        )


class Change(NamedTuple):
    """A step of the covariance: of ln D, (B, n), and of v, (B, n)."""

    log_scales: Tensor
    long_axis: Tensor


def stretch(vectors: Tensor, v: Tensor, power: float) -> Tensor:
    """(I + v v^T)^power x = x + ((1 + ||v||^2)^power - 1) (u x) u with u = v / ||v||.

    Args:
        vectors: x, (B, K, n).
        v: (B, n).
        power: 1/2 to colour, -1/2 to whiten.
    """
    u, squared = _direction(v)
    longer = ((1 + squared) ** power - 1)[:, None]
    return vectors + longer * (vectors @ u[:, :, None]) * u[:, None]


def scale_gradient(scaled: Tensor, weights: Tensor, v: Tensor) -> Tensor:
    """Gradient of the log likelihood by ln D, (B, n).

    p = sum_i w_i (x_i^2 - s / (1 + s) (u x_i) u x_i - 1) by element, with s = ||v||^2 and u = v / ||v||.

    Args:
        scaled: x = D^-1 y, (B, K, n).
        weights: w, (B, K).
        v: (B, n).
    """
    u, s = _direction(v)
    along = weights * (scaled @ u[:, :, None])[..., 0]
    squares = (weights[:, None] @ scaled.square())[:, 0]
    return squares - s / (1 + s) * u * (along[:, None] @ scaled)[:, 0] - weights.sum(1, keepdim=True)


def axis_gradient(scaled: Tensor, weights: Tensor, v: Tensor) -> Tensor:
    """||v|| times the natural gradient of the log likelihood by v where D stays, (B, n).

    q = sum_i w_i ((u x_i) x_i - ((u x_i)^2 + 1 + s) u / 2), with s = ||v||^2 and u = v / ||v||.

    Args:
        scaled: x = D^-1 y, (B, K, n).
        weights: w, (B, K).
        v: (B, n).
    """
    u, s = _direction(v)
    projected = (scaled @ u[:, :, None])[..., 0]
    moved = ((weights * projected)[:, None] @ scaled)[:, 0]
    return moved - (weights * (projected.square() + 1 + s)).sum(1, keepdim=True) / 2 * u


def natural_gradient(p: Tensor, q: Tensor, v: Tensor) -> Change:
    """F^-1 times the gradient by (ln D, v), with the Fisher matrix F of `coupling`.

    With s = ||v||^2, u = v / ||v|| and F's block of v eliminated, ln D takes the step t of
    (A + b u^2 (u^2)^T) t = r, solved by Sherman & Morrison, where, by element,
        c = (alpha^2 (2 + s)^2 - s^2) / (1 + s),  A = 2 - c u^2,  b = c - 2 alpha^2,
        r = p - alpha / (1 + s) ((2 + s) u q - s (u q) u^2),
    and v takes (q - alpha ((2 + s) u t - (u^2 t) u)) / ||v||.

    Args:
        p: of `scale_gradient`, (B, n).
        q: of `axis_gradient`, (B, n).
        v: (B, n).
    """
    u, s = _direction(v)
    u2, alpha = u.square(), coupling(v)
    c = ((alpha * (2 + s)).square() - s.square()) / (1 + s)
    inverse = 1 / (2 - c * u2)
    b = c - 2 * alpha.square()
    r = p - alpha / (1 + s) * ((2 + s) * u * q - s * _dot(u, q) * u2)
    t = inverse * (r - b * _dot(r, inverse * u2) / (1 + b * _dot(u2, inverse * u2)) * u2)
    return Change(t, (q - alpha * ((2 + s) * u * t - _dot(u2, t) * u)) / s.sqrt())


def coupling(v: Tensor) -> Tensor:
    """alpha, (B, 1): the factor to F's blocks that tie v to D.

    alpha = min(1, sqrt(s^2 + (1 + s) (2 - 1 / sqrt(1 + s)) / max u^2) / (2 + s)): one where v has many
    long elements; less where it has few, since F would be nearly singular: v along an axis does what D can
    do. With it no element of A in `natural_gradient` is below 1 / sqrt(1 + s).
    """
    u, s = _direction(v)
    steepest = u.square().amax(1, keepdim=True)
    root = (s.square() + (1 + s) * (2 - (1 + s).rsqrt()) / steepest).sqrt()
    return (root / (2 + s)).clamp(max=1)


def truncation(change: Change, v: Tensor) -> Tensor:
    """The share of a step that is taken, (B, 1): such that v and D change by at most 70 %."""
    least = torch.finfo(v.dtype).tiny
    of_v = v.norm(dim=1, keepdim=True) / change.long_axis.norm(dim=1, keepdim=True).clamp_min(least)
    of_scales = 1 / change.log_scales.abs().amax(1, keepdim=True).clamp_min(least)
    return (LARGEST_CHANGE * of_v.minimum(of_scales)).clamp(max=1)


def _direction(v: Tensor) -> tuple[Tensor, Tensor]:
    """The direction u = v / ||v||, (B, n), and ||v||^2, (B, 1)."""
    squared = v.square().sum(1, keepdim=True)
    return v / squared.sqrt(), squared


def _dot(left: Tensor, right: Tensor) -> Tensor:
    return (left * right).sum(1, keepdim=True)
