"""Gradient ascent on latents, a batch of independent units at once (S4, S5)."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from protoviz.synthesis.cuda_graph import captured

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8  # Kingma & Ba 2015, algorithm 1
CHECK_EVERY = 8  # steps between measurements without transforms
_SMALLEST = 1e-200  # of a greatest gradient that is not zero
_ROUNDING = 1e-4  # relative, of a squared length in float32

Respond = Callable[[Tensor, Tensor | None], Tensor]


@dataclass(frozen=True)
class Best:
    """The best step of each unit's ascent, all from one and the same step.

    Attributes:
        latent: (B, latent_size).
        trace: (B, steps + 1) responses at the start and after every step, as the ascent saw them.
        finite: (B,) whether every response was finite.
        astray: (B,) whether steps were made and none led to anything better than the start.
        worked: (B, C, H, W) the gradients with respect to what latents become, in absolute value, summed over
            all steps, where that was asked for.
    """

    latent: Tensor
    trace: Tensor
    finite: Tensor
    astray: Tensor
    worked: Tensor | None = None


def adam(
    start: Tensor,
    respond: Respond,
    *,
    steps: int,
    lr: float | Tensor,
    longest: float | None,
    damping: float = 0.0,
    draws: Tensor | None = None,
    through: Callable[[Tensor], Tensor] | None = None,
    recorded: bool = True,
) -> Best:
    """Climb from each start by Adam (Kingma & Ba 2015) and keep the best latent on the way.

    Far out, a latent drives its unit by contrast alone, in images that the prior never makes. So latents stay
    within a ball: after every step a longer one is scaled back to its surface. There, Adam is given only the
    part of the gradient along the surface: with the whole gradient it would make steps of the same size in
    every dimension, and end where the signs are right but not the sizes, at 0.8 of what a linear unit can
    give.

    Units do not affect each other: Adam works element by element, and a response that is not finite
    stops its own unit only. Under random transforms a response depends on luck, so the best is chosen among
    every eighth step and the last, measured without transforms.

    Args:
        start: (B, latent_size); one outside of the ball begins on its surface. Not changed.
        respond: latents (B, latent_size) and transforms (B, 4) or None -> responses (B,),
            differentiable, the i-th response to the i-th latent.
        steps: steps of ascent.
        lr: learning rate, or one for each unit, (B, 1).
        longest: radius of the ball, in units of sqrt(latent_size), near which latents of N(0, I) lie;
            None for no ball.
        damping: 0 for Adam's own steps, of about `lr` in every component. Above 0, this share of the unit's
            greatest divisor is added to each, so that components with small gradients, such as the high
            frequencies of an image, move less and no longer as noise.
        draws: (steps, B, 4) random transforms, or None.
        through: what latents become, such as images (B, C, H, W); `respond` then takes these.
        recorded: whether a step on a GPU may be recorded and replayed (`cuda_graph`); not where `respond`
            runs Python that looks at values.
    """
    radius = None if longest is None else longest * start.shape[1] ** 0.5
    start = start if radius is None else _within(start, radius)
    climb = _Climb(start, steps, None if draws is None else draws[0].clone(), through)

    def advance() -> None:
        climb.step(respond, lr, radius, damping)

    if steps and recorded:
        advance = captured(advance, climb.state, start.device)
    for step in range(steps):
        if draws is not None and climb.draws is not None:
            climb.draws.copy_(draws[step])
            if step % CHECK_EVERY == 0:
                climb.keep(climb.measured(respond))
        advance()
    last = climb.measured(respond)
    climb.keep(last)
    climb.record(last)
    astray = (climb.latent != start).any(1) & (climb.best == start).all(1)
    return Best(climb.best, climb.trace, climb.finite, astray, climb.worked)


def _within(latent: Tensor, radius: float) -> Tensor:
    """Latents (B, n), those outside of a ball scaled back to its surface."""
    return latent * (radius / latent.norm(dim=1, keepdim=True)).clamp(max=1)


def _inwards(gradient: Tensor, latent: Tensor, radius: float) -> Tensor:
    """Gradients (B, n) without the part that points out of the ball, where the latent is on its surface."""
    squared = latent.square().sum(1, keepdim=True)
    outwards = (gradient * latent).sum(1, keepdim=True).clamp_min(0) / squared
    on_surface = squared >= (1 - _ROUNDING) * radius**2
    return gradient - torch.where(on_surface, outwards, 0) * latent


class _Climb:
    """The state of a batch of ascents: tensors that a step changes in place."""

    def __init__(
        self,
        start: Tensor,
        steps: int,
        draws: Tensor | None,
        through: Callable[[Tensor], Tensor] | None,
    ) -> None:
        count = len(start)
        self.latent, self.draws, self.through = start.clone(), draws, through
        self.worked = None
        if through is not None:
            with torch.no_grad():
                self.worked = torch.zeros_like(through(start))
        self.first, self.second = (torch.zeros_like(start, dtype=torch.float64) for _ in range(2))  # moments
        self.best, self.best_response = start.clone(), start.new_full((count,), -torch.inf)
        self.finite = torch.ones(count, dtype=torch.bool, device=start.device)
        self.trace = start.new_full((count, steps + 1), torch.nan)
        self.places = torch.arange(steps + 1, device=start.device)
        self.done = torch.zeros(1, dtype=torch.long, device=start.device)

    @property
    def state(self) -> list[Tensor]:
        """What a step changes."""
        moving = [self.latent, self.first, self.second, self.best, self.best_response]
        worked = [] if self.worked is None else [self.worked]
        return [*moving, *worked, self.finite, self.trace, self.done]

    def measured(self, respond: Respond) -> Tensor:
        """The responses to the latents as they are, without transforms, (B,)."""
        with torch.no_grad():
            return respond(self.latent if self.through is None else self.through(self.latent), None)

    def step(self, respond: Respond, lr: float | Tensor, radius: float | None, damping: float) -> None:
        """Measure, keep the best, and move every latent."""
        latent = self.latent.detach().requires_grad_(True)
        with torch.enable_grad():
            image = latent if self.through is None else self.through(latent)
            response = respond(image, self.draws)
        if self.worked is None:
            (gradient,) = torch.autograd.grad(response.sum(), latent)
        else:
            gradient, by_image = torch.autograd.grad(response.sum(), (latent, image))
            self.worked.add_(torch.nan_to_num(by_image.abs(), 0.0, 0.0))
        response = response.detach()
        if self.draws is None:
            self.keep(response)
        self.record(response)
        gradient = torch.nan_to_num(gradient, 0.0, 0.0, 0.0)
        if radius is None:
            self._move(gradient, lr, damping)
        else:
            self._move(_inwards(gradient, self.latent, radius), lr, damping)
            self.latent.copy_(_within(self.latent, radius))

    def keep(self, response: Tensor) -> None:
        """Keep latents whose response is the best so far."""
        better = response > self.best_response
        self.best.copy_(torch.where(better[:, None], self.latent, self.best))
        self.best_response.copy_(torch.where(better, response, self.best_response))

    def record(self, response: Tensor) -> None:
        """Write the responses of this step into the trace."""
        here = self.places == self.done
        self.trace.copy_(torch.where(here, response[:, None].to(self.trace.dtype), self.trace))
        self.finite.logical_and_(response.isfinite())
        self.done.add_(1)

    def _move(self, gradient: Tensor, lr: float | Tensor, damping: float) -> None:
        """One step of Adam, upwards.

        Its epsilon keeps a latent without a gradient where it is. It is relative to the unit's greatest
        gradient where that is below 1: in untrained networks all gradients can be far below 1e-8, and scaling
        a unit's response by any factor must not change its prototype. In double precision the squares of
        gradients neither vanish nor overflow.
        """
        gradient = gradient.double()
        self.first.lerp_(gradient, 1 - BETA1)
        self.second.mul_(BETA2).addcmul_(gradient, gradient, value=1 - BETA2)
        steps = self.done.double()
        spread = (self.second / (1 - BETA2**steps)).sqrt_()
        greatest = spread.amax(1, keepdim=True)
        least = EPSILON * greatest.clamp(_SMALLEST, 1) + damping * greatest
        self.latent.add_((lr / (1 - BETA1**steps) * self.first).div_(spread.add_(least)))
