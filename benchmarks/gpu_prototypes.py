"""Prototypes on a GPU: how many a second, what share of the matrix rate that is, and how good they are."""

import time
from collections.abc import Iterator, Mapping
from statistics import median

import numpy as np
import torch

from benchmarks import comparison, ours, published, rates, subjects
from benchmarks.evidence import PAPER
from benchmarks.gpu_cases import CASES, Case, Units, case, smaller
from benchmarks.parts import Budget, Row, Setting
from benchmarks.pipeline import Pipeline, measure, quantized
from benchmarks.rates import Rates
from protoviz import compute, seeding
from protoviz.store import schema
from protoviz.store.cube import Shard
from protoviz.synthesis import memory
from protoviz.synthesis.rendering import Renderer

WITHOUT_PUBLISHED = "fourier"  # its latents are no features that an evolution could walk among
ROUNDS = 3  # in which the last run is timed, while there is time


def a_second(setting: Setting, budget: Budget, matrix: Mapping[str, float]) -> Iterator[Row]:
    """Part a: prototypes a second, their share of a matrix rate, and their activations."""
    for number, name in enumerate(CASES):
        yield from _case_a_second(name, setting, budget.share(len(CASES) - number), matrix)


def _case_a_second(name: str, setting: Setting, budget: Budget, matrix: Mapping[str, float]) -> Iterator[Row]:
    one = case(name, setting)
    preparing, batch = _prepared(one, setting)
    units, seconds, shard = _grown(one, setting, preparing, budget)
    count, all_units = len(shard.status), sum(map(len, one.units.values()))
    astray = int((shard.status != schema.Status.CONVERGED).sum())
    forward, gradient, _ = ours.evaluations(one.recipe, {layer: list(some) for layer, some in units.items()})
    needed = Rates("", dict(matrix), one.subject.network.units, rates.operations(one.subject))
    share = comparison.operations(forward, gradient, needed) / seconds / matrix["bfloat16"]
    cut = "" if count == all_units else f"**cut short**: {count} of {all_units} units; "
    how = (
        f"{cut}{count} units in batches of up to {batch}, {seconds:.2f} s, of which preparing network and "
        f"prior takes {preparing:.2f} s; {astray} units without a prototype"
    )
    speed = count / seconds
    result = f"{speed:,.1f} prototypes/s, {speed / PAPER:,.1f} times the paper's"
    yield Row("a", f"{name}, preset {one.preset}", result, how)
    of_rate = "operations of the plain pipeline, over the bf16 matrix rate of this run"
    yield Row("a", f"{name}: share of the matrix rate", f"{100 * share:.2g} %", of_rate)
    if name != WITHOUT_PUBLISHED:
        yield _against_published(name, one, units, shard, setting, budget)


def _grown(one: Case, setting: Setting, preparing: float, budget: Budget) -> tuple[Units, float, Shard]:
    """The most units that there is time for, the median of the seconds they take, and their prototypes."""

    def timed(units: Units) -> tuple[float, Shard]:
        begin = time.perf_counter()
        shard = one.made(units, one.recipe, setting.device, one.network())
        return time.perf_counter() - begin, shard  # which lies in the host's memory: all is done

    one.made(subjects.spread(one.units, 1), smaller(one.recipe, 64, 1), setting.device, one.network())  # warm
    units: Units = subjects.spread(one.units, setting.per_layer[0])
    seconds, shard = timed(units)
    for per_layer in setting.per_layer[1:]:
        more = subjects.spread(one.units, per_layer)
        times_as_many = sum(map(len, more.values())) / len(shard.status)
        if preparing + max(0.0, seconds - preparing) * times_as_many > budget.left:
            break
        units, (seconds, shard) = more, timed(more)
    times = [seconds]
    while len(times) < ROUNDS and 2 * seconds < budget.left:  # the rest is for the published algorithm
        times.append(timed(units)[0])
    return units, median(times), shard


def _prepared(one: Case, setting: Setting) -> tuple[float, int]:
    """Seconds that network and renderers take to be prepared, and the batch that the engine finds."""
    dtype = compute.precision(one.recipe.precision, setting.device)
    one.network()  # warm
    begin = time.perf_counter()
    network = one.network()
    kinds = (dtype, torch.float32)
    fast, _ = (Renderer(one.prior, network.size, kind, setting.device) for kind in kinds)
    setting.settle()
    elements = fast.elements + network.elements
    batch = memory.size(one.recipe.batch_size, elements, dtype, setting.device)
    return time.perf_counter() - begin, batch


def _against_published(
    name: str, one: Case, units: Units, shard: Shard, setting: Setting, budget: Budget
) -> Row:
    """Activations over those of the published algorithm, of a sample of units, layer by layer."""
    sample, pipeline = subjects.spread(units, setting.compared), Pipeline(one.subject)
    short = published.Budget(generations=1, samples=2, parents=1, steps=1)
    rows = {unit: row for row, unit in enumerate((layer, c) for layer, some in units.items() for c in some)}
    found: dict[str, comparison.Ratio] = {}
    took = 0.0
    for layer, channels in sample.items():
        if found and took > budget.left:
            break
        begin = time.perf_counter()
        noise = torch.Generator().manual_seed(seeding.seed("published", *one.subject.address, layer))
        latents = published.synthesize(
            pipeline, layer, channels, noise, short if setting.small else published.Budget()
        )
        with torch.no_grad(), compute.whole_float32():
            theirs = measure(one.subject, {layer: channels}, quantized(pipeline.show(latents)))
            own = shard.image[[rows[layer, channel] for channel in channels]]
            responses = measure(one.subject, {layer: channels}, own)
        activations = (np.maximum(each, 0)[None] for each in (responses, theirs))
        found |= comparison.ratios({layer: channels}, *activations)
        took = time.perf_counter() - begin
    said = ", ".join(
        f"{layer} {ratio.median:.2f} / {ratio.low:.2f}" if ratio.units else f"{layer} all dead"
        for layer, ratio in found.items()
    )
    cut = "" if len(found) == len(sample) else f"**cut short**: {len(found)} of {len(sample)} layers; "
    how = f"{cut}median / {comparison.LOW}th percentile, {setting.compared} units a layer, one repeat"
    return Row("a", f"{name}: activation over the paper's algorithm", said, how)
