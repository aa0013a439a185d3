"""The interface of evolution strategies, their registry, and the loop that runs one.

To add one, write a sibling module with a class that satisfies `Strategy`, and add its `start` to
`STRATEGIES`; every test that runs over the registry then covers it.
"""

from collections.abc import Callable
from typing import Protocol, Self, TypeVar

import torch
from torch import Tensor

from protoviz.synthesis.evolution.cma_es import CMAES
from protoviz.synthesis.evolution.fixed_sigma import FixedSigma
from protoviz.synthesis.evolution.sep_cma_es import SeparableCMAES
from protoviz.synthesis.evolution.vd_cma_es import VDCMAES


class Strategy(Protocol):
    """The state of B independent searches for the latent with the greatest response.

    All tensors have the dtype and the device of the start. A state never changes: `tell` returns the next.
    """

    @property
    def mean(self) -> Tensor:
        """The centre of each search, (B, n)."""

    def ask(self, draws: Tensor) -> Tensor:
        """Candidates (B, lambda, n) of a generation, from draws (B, lambda, n) of N(0, I)."""

    def tell(self, candidates: Tensor, responses: Tensor) -> Self:
        """The state after a generation of candidates (B, lambda, n) with responses (B, lambda).

        A greater response is better, only the order counts, and one that is not finite is the worst. A
        unit with no finite response keeps its state.
        """


S = TypeVar("S", bound=Strategy)


def evolve(
    strategy: S,
    respond: Callable[[Tensor], Tensor],
    draws: Callable[[int], Tensor],
    generations: int,
) -> tuple[S, Tensor]:
    """Run a strategy for some generations, without gradients.

    Args:
        strategy: the state to begin with.
        respond: candidates (B, lambda, n) -> responses (B, lambda), greater is better.
        draws: generation 0, 1, ... -> its draws (B, lambda, n) from N(0, I).
        generations: how many.

    Returns:
        The state after the last generation, and the greatest finite response of each generation,
        (B, generations): -inf where a unit had none.
    """
    best = []
    with torch.no_grad():
        for generation in range(generations):
            candidates = strategy.ask(draws(generation))
            responses = respond(candidates)
            strategy = strategy.tell(candidates, responses)
            best.append(responses.where(responses.isfinite(), -torch.inf).amax(1))
    return strategy, torch.stack(best, 1) if best else strategy.mean.new_empty(len(strategy.mean), 0)


Start = Callable[[Tensor, float, int, int | None], Strategy]

STRATEGIES: dict[str, Start] = {
    "fixed_sigma": FixedSigma.start,
    "cma": CMAES.start,
    "sep_cma": SeparableCMAES.start,
    "vd_cma": VDCMAES.start,
}
