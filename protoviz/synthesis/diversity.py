"""Images of one unit that are optimised together and pushed apart: the alternative to independent starts.

After Olah, Mordvintsev & Schubert 2017, Feature Visualization (https://doi.org/10.23915/distill.00007):
besides the unit's response, each image is rewarded for a style that differs from those of the unit's other
images. The style of an image is the Gram matrix G = F F^T of its layer's activations F (channels, positions);
the term is the negative mean cosine similarity of G with those of the others. It is weighted by a share of
the unit's mean response, so that one weight serves units of any scale.

The images differ by construction: they show how different images that drive a unit nearly as well can be, not
how many modes independent starts find.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from protoviz import compute
from protoviz.config.synthesis import Objective, Synthesis
from protoviz.models.priors.base import ImagePrior, require_channels
from protoviz.models.readout import depthwise, layers
from protoviz.models.readout.network import Network
from protoviz.store.cube import Shard
from protoviz.synthesis import ascent, attempts, batching, memory, pool, transforms
from protoviz.synthesis.evolution.draws import Address
from protoviz.synthesis.objective import response
from protoviz.synthesis.rendering import Renderer, quantised
from protoviz.synthesis.restarts import Made, start, twin


def diverse(
    network: Network,
    units: Mapping[str, Sequence[int]],
    prior: ImagePrior,
    recipe: Synthesis,
    *,
    count: int,
    weight: float,
    address: tuple[str, int, int],
    device: torch.device,
) -> Made:
    """Several images of each unit, optimised together and pushed apart, and a twin of the first.

    The twin is the first image under other transforms. Every image begins at a latent of its own, even where
    the recipe has a pool; there is no evolution, and no further attempt for silent units.

    Args:
        network: whose units they are.
        units: layer -> channels.
        prior: renders latents.
        recipe: start, transforms, ascent; with random transforms, or the twin is the first image to the bit.
        count: K, images of each unit; one has nothing to be pushed from.
        weight: of the term, as a share of the unit's response.
        address: (condition, run, epoch).
        device: where to compute.

    Raises:
        StudyError: the network lacks a layer, channel or position, or the prior's images have other channels.
    """
    require_channels(prior, network.channels)
    made: list[list[Shard]] = [[] for _ in range(count + 1)]
    dtype = compute.precision(recipe.precision, device)
    for layer, channels in units.items():
        network.require_channels(layer, channels)
        search = _Together(
            network,
            layer,
            recipe,
            weight,
            fast=Renderer(prior, network.size, dtype, device),
            exact=Renderer(prior, network.size, torch.float32, device),
            latent_size=prior.latent_size,
            dtype=dtype,
            device=device,
        )
        elements = search.fast.elements + network.elements
        block = max(1, memory.size(recipe.batch_size, elements, dtype, device) // count)
        places = [start(address, k) for k in range(count)]
        other = [twin(address), *places[1:]]
        for first in range(0, len(channels), block):
            some = channels[first : first + block]
            with depthwise.gradients_in_float32(dtype, device):
                together, twins = search(some, places, places), search(some, places, other)
            for k, shard in enumerate(together):
                made[k].append(shard)
            made[count].append(twins[0])
    return Made.of([_joined(parts) for parts in made])


@dataclass(frozen=True)
class _Together:
    """The search for images of units of one layer."""

    network: Network
    layer: str
    recipe: Synthesis
    weight: float
    fast: Renderer
    exact: Renderer
    latent_size: int
    dtype: torch.dtype
    device: torch.device

    def __call__(
        self, channels: Sequence[int], places: Sequence[Address], moved_at: Sequence[Address]
    ) -> list[Shard]:
        """A shard for each image, of all units: those of one unit stand together in the batch."""
        recipe, units = self.recipe, [(self.layer, channel) for channel in channels]
        each = [(unit, k) for unit in units for k in range(len(places))]
        latents = torch.stack([pool.own(self.latent_size, *places[k], *unit) for unit, k in each])
        moves, steps = recipe.transforms, recipe.ascent.steps
        draws = None
        if moves.active and steps:
            draws = torch.stack(
                [
                    transforms.draw(moves, steps, *moved_at[k], *unit, size=self.network.size)
                    for unit, k in each
                ],
                1,
            ).to(self.device)
        numbers = torch.tensor([channel for (_, channel), _ in each], device=self.device)
        best = ascent.adam(
            recipe.start.sigma * latents.to(self.device),
            self._respond(numbers, len(places)),
            steps=steps,
            lr=recipe.ascent.lr,
            longest=recipe.ascent.longest,
            damping=recipe.ascent.damping,
            draws=draws,
            recorded=self.network.is_traced and self.fast.is_traced,
        )
        whole = self._snapshot(best, numbers)
        return [_of(whole, slice(k, None, len(places))) for k in range(len(places))]

    def _respond(self, numbers: Tensor, count: int) -> Callable[[Tensor, Tensor | None], Tensor]:
        objective: Objective = self.recipe.objective
        values = self.network.uncut(self.layer, objective, self.dtype, self.device, read=False)
        position = self.network.position(self.layer, objective)

        def respond(latents: Tensor, draws: Tensor | None) -> Tensor:
            images = self.fast(latents)
            if draws is not None:
                images = transforms.apply(images, draws)
            given = values(self.network.normalise(images).to(self.dtype, memory_format=torch.channels_last))
            own = layers.own(layers.read(given, position).float(), numbers)
            scale = own.detach().unflatten(0, (-1, count)).mean(1).abs().repeat_interleave(count)
            return own - self.weight * scale * likeness(given.float(), count)

        return respond

    def _snapshot(self, best: ascent.Best, numbers: Tensor) -> Shard:
        """As that of `search`: measured in float32 on exactly the stored image."""
        latent = best.latent.half()
        numbered = batching.LayerBatch.of(self.network, [self.layer])
        with torch.no_grad(), compute.whole_float32():
            pixels = quantised(self.exact(latent.float()), self.recipe.levels)
            exact = response(
                self.network, self.exact, numbered, self.recipe.objective, torch.float32, self.device
            )
            activation = exact.of_images(pixels.float().div(255), numbers)
        return Shard(
            image=pixels.permute(0, 2, 3, 1).cpu().numpy(),
            latent=latent.cpu().numpy(),
            activation=activation.cpu().numpy(),
            activation_trace=best.trace.cpu().numpy(),
            status=attempts.status(activation, best.finite).cpu().numpy(),
        )


def likeness(values: Tensor, count: int) -> Tensor:
    """Mean cosine similarity of the Gram matrix of each image with those of the unit's other images.

    Args:
        values: what a layer gives, (B * count, C, H, W), (B * count, T, C) or (B * count, C); the images of a
            unit stand together.
        count: images of a unit; a single one has likeness 0.

    Returns:
        (B * count,), in [-1, 1].
    """
    if count == 1:
        return values.new_zeros(len(values))
    features = {2: lambda v: v[:, :, None], 3: lambda v: v.transpose(1, 2)}.get(
        values.ndim, lambda v: v.flatten(2)
    )(values)
    gram = (features @ features.transpose(1, 2)).flatten(1)
    unit = (gram / gram.norm(dim=1, keepdim=True).clamp_min(1e-12)).unflatten(0, (-1, count))
    cosines = unit @ unit.transpose(1, 2)
    others = cosines.sum(2) - cosines.diagonal(dim1=1, dim2=2)
    return (others / (count - 1)).flatten()


def _of(shard: Shard, rows: slice) -> Shard:
    return replace(shard, **{name: values[rows] for name, values in _arrays(shard).items()})


def _joined(parts: Sequence[Shard]) -> Shard:
    names = _arrays(parts[0])
    return Shard(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


def _arrays(shard: Shard) -> dict[str, NDArray[Any]]:
    return {name: values for name, values in vars(shard).items() if values is not None}
