"""Gradient ascent on latents, a batch of independent units at once (S4, S5)."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Best:
    """The best step of each unit's ascent, all from one and the same step.

    Attributes:
        latent: (B, latent_size).
        trace: (B, steps + 1) responses at the start and after every step.
        finite: (B,) whether every response was finite.
    """

    latent: Tensor
    trace: Tensor
    finite: Tensor


def adam(start: Tensor, respond: Callable[[Tensor], Tensor], steps: int, lr: float) -> Best:
    """Climb from each start by Adam (Kingma & Ba 2015) and keep the best latent on the way.

    Units do not touch each other: Adam works element by element, and a response that is not finite
    stops its own unit only.

    Args:
        start: (B, latent_size); not changed.
        respond: latents (B, latent_size) -> responses (B,), differentiable, the i-th of the i-th.
        steps: steps of ascent.
        lr: learning rate.
    """
    latent = start.clone().requires_grad_(True)
    optimizer = torch.optim.Adam([latent], lr=lr, maximize=True)
    best, best_response = start.clone(), torch.full((len(start),), -torch.inf, device=start.device)
    finite = torch.ones(len(start), dtype=torch.bool, device=start.device)
    trace = []
    for step in range(steps + 1):
        response = respond(latent)
        trace.append(response.detach())
        finite &= response.detach().isfinite()
        better = response.detach() > best_response
        best[better] = latent.detach()[better]
        best_response[better] = response.detach()[better]
        if step < steps:
            (gradient,) = torch.autograd.grad(response.sum(), latent)
            latent.grad = torch.nan_to_num(gradient, 0.0, 0.0, 0.0)
            optimizer.step()
    return Best(best, torch.stack(trace, 1), finite)
