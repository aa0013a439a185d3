"""Prototypes of units: a start, an evolution, an ascent, one consistent snapshot (S2, S5).

A start gives each unit a latent, an evolution looks further where there is no gradient, an ascent climbs.
Recipes say which and how far; this module puts them together and measures once, at the end, what is stored.
All random numbers of a unit come from its address: its batch, its order and its block do not matter.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from protoviz import compute
from protoviz.config.synthesis import Objective, Synthesis
from protoviz.models.priors.base import ImagePrior
from protoviz.models.readout import depthwise
from protoviz.models.readout.network import Network
from protoviz.store import schema
from protoviz.store.cube import Shard
from protoviz.synthesis import ascent, batching, memory, pool, transforms
from protoviz.synthesis.attempts import Attempt, joined, status, transparency
from protoviz.synthesis.batching import Unit
from protoviz.synthesis.evolution.base import STRATEGIES, evolve
from protoviz.synthesis.evolution.draws import Address, Draws
from protoviz.synthesis.feasible import require_feasible
from protoviz.synthesis.objective import Response, response
from protoviz.synthesis.rendering import Renderer, quantised

SHORTER = 4  # each further attempt of a unit that went astray takes steps so many times shorter


def prototypes(
    network: Network,
    units: Mapping[str, Sequence[int]],
    prior: ImagePrior,
    recipe: Synthesis,
    *,
    address: Address,
    device: torch.device,
    layers_at_once: int = 1,
    moved_at: Address | None = None,
) -> Shard:
    """A prototype for each unit.

    Args:
        network: whose units they are.
        units: layer -> channels.
        prior: renders latents.
        recipe: start, evolution, ascent, precision, block size.
        address: (condition, run, repeat, epoch), from which all random numbers come.
        moved_at: another address, from which the random numbers of the transforms come.
        device: where to compute.
        layers_at_once: layers whose units share batches; several, where each has a few units only.

    Returns:
        Prototypes in the order of `units`, layer after layer.

    Raises:
        StudyError: the network lacks a layer, channel or position, the prior's images have other channels, or
            the evolution strategy cannot take latents of this size.
    """
    require_feasible(network, units, prior, recipe)
    device = torch.empty(0, device=device).device  # with its number, as tensors report it
    dtype = compute.precision(recipe.precision, device)
    search = _Search(
        network,
        recipe,
        address,
        moved_at or address,
        device,
        dtype,
        fast=Renderer(prior, network.size, dtype, device),
        exact=Renderer(prior, network.size, torch.float32, device),
        latent_size=prior.latent_size,
    )
    with depthwise.gradients_in_float32(dtype, device):
        starts = search.starts(units)
        parts = []
        for group in batching.groups(units, layers_at_once):
            layers = batching.layers(group)
            start = torch.cat([starts[layer] for layer in layers])
            work = partial(search.of(layers).first, group, start)
            parts += memory.in_blocks(len(group), search.block, work)
        return search.rescued([(layer, c) for layer in units for c in units[layer]], joined(parts))


@dataclass(frozen=True)
class _Search:
    """What all units of a network have in common."""

    network: Network
    recipe: Synthesis
    address: Address
    moved_at: Address
    device: torch.device
    dtype: torch.dtype
    fast: Renderer
    exact: Renderer
    latent_size: int

    @property
    def block(self) -> int:
        """Units at once."""
        elements = self.fast.elements + self.network.elements
        return memory.size(self.recipe.batch_size, elements, self.dtype, self.device)

    def starts(self, units: Mapping[str, Sequence[int]]) -> dict[str, Tensor]:
        """Layer -> the latents (U, latent_size) from which its units begin."""
        start = self.recipe.start
        if not start.pool:
            own = partial(pool.own, self.latent_size, *self.address)
            return {
                layer: start.sigma * torch.stack([own(layer, c) for c in channels]).to(self.device)
                for layer, channels in units.items()
            }
        latents = start.sigma * pool.draw(start.pool, self.latent_size, *self.address).to(self.device)
        # Before the non-linearity the order is the same, and silent units have one, too.
        objective = Objective(position=self.recipe.objective.position, activation="pre")
        scores = pool.score(
            self.network, self.fast, list(units), objective, latents, self.dtype, 2 * self.block
        )
        return {
            layer: pool.starts(latents, scores[layer][:, list(channels)], start.top)
            for layer, channels in units.items()
        }

    def of(self, layers: Sequence[str]) -> "_Layers":
        """The search for units of some layers."""
        numbered = batching.LayerBatch.of(self.network, layers)
        objective = self.recipe.objective
        waking = Objective(position=objective.position, activation="pre")

        def made(renderer: Renderer, aim: Objective, dtype: torch.dtype) -> Response:
            return response(self.network, renderer, numbered, aim, dtype, self.device)

        fast = made(self.fast, objective, self.dtype)
        return _Layers(
            self,
            numbered,
            fast,
            fast if objective == waking else made(self.fast, waking, self.dtype),
            made(self.exact, objective, torch.float32),
        )

    def rescued(self, units: Sequence[Unit], found: Attempt) -> Shard:
        """The prototypes of all units, those that are dead or astray tried again.

        They are few, so units of all layers share batches, each of which runs as far as its deepest layer.
        """
        for attempt in range(1, self.recipe.rescue + 1):
            rows = np.flatnonzero(found.wanting).tolist()
            if not rows:
                break
            again = partial(self._again, units, found, rows, attempt)
            found = found.but(rows, joined(memory.in_blocks(len(rows), self.block, again)))
        return found.made

    def _again(
        self, units: Sequence[Unit], found: Attempt, rows: Sequence[int], attempt: int, some: range
    ) -> Attempt:
        rows = rows[some.start : some.stop]
        which = [units[i] for i in rows]
        return self.of(batching.layers(which)).again(which, found.of(rows), attempt)


@dataclass(frozen=True)
class _Layers:
    """The search for units of some layers: their responses for the search, for waking, and for the record."""

    search: _Search
    numbered: batching.LayerBatch
    fast: Response
    waking: Response
    exact: Response

    def first(self, units: Sequence[Unit], start: Tensor, some: range) -> Attempt:
        """The prototypes of some of the units, from their starts (U, latent_size)."""
        units = units[some.start : some.stop]
        return self._climb(self.fast, units, self._evolved(units, start[some.start : some.stop]))

    def again(self, units: Sequence[Unit], found: Attempt, attempt: int) -> Attempt:
        """A further attempt for units that are dead or astray.

        It is longer: the dead climb before the non-linearity, those astray in shorter steps.
        """
        dead = found.made.status == schema.Status.DEAD
        one_aim = self.fast is self.waking
        aims = [(self.waking, dead | one_aim), (self.fast, ~(dead | one_aim))]
        for aim, which in aims:
            if not (rows := np.flatnonzero(which).tolist()):
                continue
            some = [units[i] for i in rows]
            latent = torch.from_numpy(found.made.latent[rows]).to(self.search.device, torch.float32)
            shorter = torch.from_numpy(np.where(found.astray[rows], SHORTER**attempt, 1))[:, None]
            found = found.but(rows, self._climb(aim, some, latent, 2**attempt, shorter.to(latent)))
        return found

    def _climb(
        self,
        response: Response,
        units: Sequence[Unit],
        start: Tensor,
        effort: int = 1,
        shorter: float | Tensor = 1.0,
    ) -> Attempt:
        """What an ascent finds; `effort` multiplies its steps and the size of its ball.

        `shorter` divides the step size: one number, or one for each unit, (B, 1).
        """
        settings, moves = self.search.recipe.ascent, self.search.recipe.transforms
        steps = settings.steps * effort
        draws = None
        if moves.active and steps:
            size, address = self.search.network.size, self.search.moved_at
            draws = torch.stack(
                [transforms.draw(moves, steps, *address, *unit, size=size) for unit in units], 1
            ).to(self.search.device)
        index = self._numbers(units)
        watched = self.search.recipe.keep_transparency
        respond = response.of_images if watched else response
        best = ascent.adam(
            start,
            lambda latent, draw: respond(latent, index, draw),
            steps=steps,
            lr=settings.lr / shorter,
            longest=None if settings.longest is None else settings.longest * effort,
            damping=settings.damping,
            draws=draws,
            through=response.renderer if watched else None,
            recorded=self.search.network.is_traced and self.search.fast.is_traced,
        )
        return Attempt(self._snapshot(units, best), best.astray.cpu().numpy())

    def _evolved(self, units: Sequence[Unit], start: Tensor) -> Tensor:
        """Starts after the evolution of the units that need one."""
        settings = self.search.recipe.evolution
        if settings.strategy == "none":
            return start
        chosen = torch.ones(len(start), dtype=torch.bool, device=start.device)
        if settings.only == "silent":
            chosen = self._is_silent(units, start)
            if not chosen.any():
                return start
        which = [units[i] for i in chosen.nonzero()[:, 0].tolist()]
        index = self._numbers(which)
        search = self.search
        draw = Draws(search.address, which, (settings.samples, search.latent_size), search.device)
        strategy = STRATEGIES[settings.strategy](
            start[chosen], settings.sigma, settings.samples, settings.parents
        )
        strategy, _ = evolve(
            strategy, lambda candidates: self._respond_all(candidates, index), draw, settings.generations
        )
        evolved = start.clone()
        evolved[chosen] = strategy.mean
        return evolved

    def _is_silent(self, units: Sequence[Unit], start: Tensor) -> Tensor:
        """Whether each unit has no gradient at its start, (B,)."""
        latent = start.clone().requires_grad_(True)
        (gradient,) = torch.autograd.grad(self.fast(latent, self._numbers(units)).sum(), latent)
        return (gradient == 0).all(1)

    def _respond_all(self, candidates: Tensor, index: Tensor) -> Tensor:
        """Responses (B, lambda) to candidates (B, lambda, n)."""
        numbers, flat = index.repeat_interleave(candidates.shape[1]), candidates.flatten(0, 1)
        parts = memory.in_blocks(
            len(flat),
            2 * self.search.block,
            lambda some: self.fast(flat[some.start : some.stop], numbers[some.start : some.stop]),
        )
        return torch.cat(parts).unflatten(0, candidates.shape[:2])

    def _numbers(self, units: Sequence[Unit]) -> Tensor:
        return self.numbered.numbers(units, self.search.device)

    def _snapshot(self, units: Sequence[Unit], best: ascent.Best) -> Shard:
        """What is stored of the best step, measured in float32 on exactly the stored image."""
        latent = best.latent.half()  # as it is stored: so it regenerates the image
        index = self._numbers(units)
        with torch.no_grad(), compute.whole_float32():
            pixels = quantised(self.search.exact(latent.float()), self.search.recipe.levels)
            activation = self.exact.of_images(pixels.float().div(255), index)
        return Shard(
            image=pixels.permute(0, 2, 3, 1).cpu().numpy(),
            latent=latent.cpu().numpy(),
            activation=activation.cpu().numpy(),
            activation_trace=best.trace[:, : self.search.recipe.trace_length].cpu().numpy(),
            status=status(activation, best.finite).cpu().numpy(),
            transparency=None if best.worked is None else transparency(best.worked).cpu().numpy(),
        )
