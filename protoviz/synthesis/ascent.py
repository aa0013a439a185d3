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


def adam(
    start: Tensor, respond: Callable[[Tensor], Tensor], *, steps: int, lr: float, longest: float
) -> Best:
    """Climb from each start by Adam (Kingma & Ba 2015) and keep the best latent on the way.

    Far out, a latent drives its unit by contrast alone, in images that the prior never makes. So
    latents stay within a ball: after every step a longer one is scaled back to its surface.

    Units do not touch each other: Adam works element by element, and a response that is not finite
    stops its own unit only.

    Args:
        start: (B, latent_size), within the ball; not changed.
        respond: latents (B, latent_size) -> responses (B,), differentiable, the i-th of the i-th.
        steps: steps of ascent.
        lr: learning rate.
        longest: radius of the ball, in units of sqrt(latent_size), near which latents of N(0, I) lie.
    """
    latent = start.clone().requires_grad_(True)
    optimizer = torch.optim.Adam([latent], lr=lr, maximize=True)
    best, best_response = start.clone(), torch.full((len(start),), -torch.inf, device=start.device)
    finite = torch.ones(len(start), dtype=torch.bool, device=start.device)
    radius = longest * start.shape[1] ** 0.5
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
            with torch.no_grad():
                latent *= (radius / latent.norm(dim=1, keepdim=True)).clamp(max=1)
    return Best(best, torch.stack(trace, 1), finite)
