"""Prototypes of a GPU again: whether a processor makes the same, and whether another run does."""

import hashlib
import time
from collections.abc import Iterator
from dataclasses import fields

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks import subjects
from benchmarks.gpu_cases import CASES, CPU, Case, Units, case, smaller
from benchmarks.parts import Budget, Row, Setting
from protoviz.config.synthesis import Synthesis
from protoviz.models.readout.network import Network
from protoviz.store.cube import Shard
from protoviz.synthesis.rendering import Renderer, quantised
from protoviz.synthesis.responses.forward import OwnResponses

AGREEING = ("natural", "fc6")  # the cases whose prototypes a processor makes as well
POOL = 64  # latents of it, as the processor is slow

# So much may differ between a GPU and a processor: a response to the same image, relative to the greatest of
# the layer; the image of the same latent, in levels of 255; the activation that both find, in the median.
RESPONSE, LEVELS, SEARCHED = 1e-4, 1, 0.02


def agreement(setting: Setting, budget: Budget) -> Iterator[Row]:
    """Part c: what the processor makes of a device's prototypes, and which it finds itself."""
    for number, name in enumerate(AGREEING):
        one, own = case(name, setting), budget.share(len(AGREEING) - number)
        recipe = smaller(one.recipe, POOL, one.recipe.ascent.steps)
        recipe = recipe.model_copy(update={"precision": "float32", "rescue": 0})
        units, network = subjects.spread(one.units, setting.agreeing), one.network()
        shard = one.made(units, recipe, setting.device, network)
        count = len(shard.status)
        apart = _responses_apart(network, units, recipe, shard)
        result = f"{apart:.1e} of the layer's greatest, {_within(apart, RESPONSE)}"
        yield Row(
            "c", f"{name}: response to the stored image, on the CPU", result, f"{count} units, the most"
        )
        level, share = _levels_apart(one, recipe, shard)
        result = f"{level} of 255 levels, {_within(level, LEVELS)}"
        how = f"the most; {100 * share:.2g} % of all values differ"
        yield Row("c", f"{name}: image of the stored latent, on the CPU", result, how)
        yield _searched_apart(name, one, units, recipe, shard, network, own)


def _within(found: float, tolerance: float) -> str:
    return f"{'within' if found <= tolerance else '**not within**'} {tolerance:g}"


def _responses_apart(network: Network, units: Units, recipe: Synthesis, shard: Shard) -> float:
    """How far stored activations are from the processor's at most, relative to the layer's greatest."""
    found, first = [], 0
    for layer, channels in units.items():
        part = slice(first, first := first + len(channels))
        answer = OwnResponses(network, layer, recipe.objective, batch=64, device=CPU)
        stored = shard.activation[part]
        apart = np.abs(answer(shard.image[part], np.array(channels)) - stored).max()
        found.append(float(apart / max(np.abs(stored).max(), np.finfo(np.float32).tiny)))
    return max(found)


def _levels_apart(one: Case, recipe: Synthesis, shard: Shard) -> tuple[int, float]:
    """How far stored images are from the processor's at most, in levels, and the share that differs."""
    render = Renderer(one.prior, one.subject.size, torch.float32, CPU)
    with torch.no_grad():
        images = quantised(render(torch.from_numpy(shard.latent).float()), recipe.levels)
    apart = np.abs(images.permute(0, 2, 3, 1).numpy().astype(int) - shard.image)
    return int(apart.max()), float((apart > 0).mean())


def _searched_apart(
    name: str, one: Case, units: Units, recipe: Synthesis, shard: Shard, network: Network, budget: Budget
) -> Row:
    """Activations found by a device over those found by the processor, layer by layer."""
    ratios: list[NDArray[np.floating]] = []
    first, took = 0, 0.0
    for layer, channels in units.items():
        if ratios and took > budget.left:
            break
        begin = time.perf_counter()
        part = slice(first, first := first + len(channels))
        alone = one.made({layer: channels}, recipe, CPU, network)
        alive = alone.activation > 0
        ratios.append(shard.activation[part][alive] / alone.activation[alive])
        took = time.perf_counter() - begin
    found = np.concatenate(ratios)
    middle = float(np.median(found)) if len(found) else np.nan
    result = f"{middle:.4f} in the median, {_within(abs(middle - 1), SEARCHED)} of 1"
    cut = "" if len(ratios) == len(units) else f"**cut short**: {len(ratios)} of {len(units)} layers; "
    ends = f"{found.min():.3f} to {found.max():.3f}" if len(found) else "none alive"
    how = f"{cut}{len(found)} units, {ends}; both in float32, pool of {recipe.start.pool}"
    return Row("c", f"{name}: activation over that found on the CPU", result, how)


def twice(setting: Setting, budget: Budget) -> Iterator[Row]:
    """Part d: whether a second run gives the same bytes."""
    for name in CASES:
        if budget.left <= 0:
            yield Row("d", f"{name}: two runs", "not run", "**cut short**")
            continue
        one = case(name, setting)
        units = subjects.spread(one.units, setting.repeated)
        runs = [one.made(units, one.recipe, setting.device, one.network()) for _ in range(2)]
        how = f"{len(runs[0].status)} units, images, latents, activations and their traces"
        yield Row("d", f"{name}: two runs", difference(*runs), how)


def difference(first: Shard, second: Shard) -> str:
    """Whether two shards have the same bytes, or how far their images and activations are apart."""
    digests = [hashlib.sha256(), hashlib.sha256()]
    for digest, shard in zip(digests, (first, second), strict=True):
        arrays = [getattr(shard, item.name) for item in fields(Shard)]
        for array in arrays:
            digest.update(b"" if array is None else np.ascontiguousarray(array).tobytes())
    if digests[0].digest() == digests[1].digest():
        return f"the same bytes, {digests[0].hexdigest()[:12]}"
    levels = np.abs(first.image.astype(int) - second.image).reshape(len(first.image), -1).max(1)
    apart = np.abs(first.activation - second.activation).max() / np.abs(first.activation).max()
    others = int((levels > 0).sum())
    return (
        f"{others} of {len(levels)} images differ, by up to {levels.max()} levels; activations by {apart:.1e}"
    )
