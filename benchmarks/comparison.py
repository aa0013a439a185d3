"""From results to the rows of the table: times, ratios of activations, silent units, memory.

Every method's images are measured in the same way (`pipeline.measure`). A unit's activation is what of
its response lies above zero. The ratio of a unit is its activation under a method over that under the
baseline, from the same repeat. A unit that is silent (dead) under the baseline has no ratio: where
another method wakes it, it counts as woken.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from benchmarks.rates import Rates

if TYPE_CHECKING:  # it imports all methods, and what they need
    from benchmarks.process import Result

LOW = 10  # percentile of the ratios that is given beside the median


@dataclass(frozen=True)
class Ratio:
    """Ratios of the activations of a layer's units: median, `LOW`th percentile, number of units."""

    median: float
    low: float
    units: int


@dataclass(frozen=True)
class Row:
    """A method on a network, against the baseline.

    Attributes:
        network, method: names.
        units: prototypes that were made, over all repeats.
        forward, gradient: evaluations per prototype, forward, and forward and backward.
        seconds: per prototype. What is done once for a network is shared among all of its units, here and
            in `forward`.
        once: seconds for what is done once for a network; 0 where all of its units were asked for.
        faster: times less time than the baseline.
        ratios: layer -> ratios.
        dead: units without an activation.
        woken: of those dead under the baseline, how many are not.
        norm: median length of the latents, in units of sqrt(n); NaN where there are none.
        peak, own: high-water mark of memory, and how far above what was in use before, MiB.
        share: of the measured bfloat16 matrix rate, counting the operations of the plain pipeline.
    """

    network: str
    method: str
    units: int
    forward: float
    gradient: float
    seconds: float
    once: float
    faster: float
    ratios: dict[str, Ratio]
    dead: int
    woken: int
    norm: float
    peak: float
    own: float
    share: float


def row(results: Sequence["Result"], baselines: Sequence["Result"], rates: Rates) -> Row:
    """The row of a method on one network.

    Args:
        results: of the method, one for each repeat.
        baselines: of the baseline on the same network, one for each repeat, with at least these units.
        rates: of the machine, for this network.
    """
    units = results[0].task.units
    count = sum(len(result.response) for result in results)
    seconds = sum(result.charged for result in results)
    activations = np.stack([_activation(result) for result in results])
    expected = np.stack([_activation(_same_repeat(result, baselines), units) for result in results])
    forward = {layer: sum(r.charged_forward.get(layer, 0) for r in results) for layer in rates.operations}
    gradient = {layer: sum(r.gradient.get(layer, 0) for r in results) for layer in rates.operations}
    return Row(
        network=results[0].task.network,
        method=results[0].task.method,
        units=count,
        forward=sum(forward.values()) / count,
        gradient=sum(gradient.values()) / count,
        seconds=seconds / count,
        once=sum(result.seconds_once for result in results) / len(results),
        faster=_seconds_each(baselines) / (seconds / count),
        ratios=ratios(units, activations, expected),
        dead=int((activations <= 0).sum()),
        woken=int(((expected <= 0) & (activations > 0)).sum()),
        norm=float(np.median(np.concatenate([result.norm for result in results]))),
        peak=max(result.peak for result in results),
        own=max(result.peak - result.before for result in results),
        share=operations(forward, gradient, rates) / seconds / rates.matrix["bfloat16"],
    )


def _activation(result: "Result", units: dict[str, list[int]] | None = None) -> NDArray[np.float32]:
    """Activations (U,) of a result, or of these of its units; a response that is not a number is none."""
    found = np.maximum(np.nan_to_num(result.response, nan=0.0, posinf=0.0, neginf=0.0), 0)
    if units is None or units == result.task.units:
        return found
    places = {
        unit: place
        for place, unit in enumerate((k, c) for k, channels in result.task.units.items() for c in channels)
    }
    return found[[places[layer, channel] for layer, channels in units.items() for channel in channels]]


def _same_repeat(result: "Result", baselines: Sequence["Result"]) -> "Result":
    return next(baseline for baseline in baselines if baseline.task.repeat == result.task.repeat)


def _seconds_each(results: Sequence["Result"]) -> float:
    return sum(result.charged for result in results) / sum(len(result.response) for result in results)


def ratios(
    units: Mapping[str, Sequence[int]], activations: NDArray[np.float32], expected: NDArray[np.float32]
) -> dict[str, Ratio]:
    """Layer -> ratios, of activations (repeats, U) to those of the baseline."""
    found, first = {}, 0
    for layer, channels in units.items():
        part = slice(first, first + len(channels))
        first += len(channels)
        alive = expected[:, part] > 0
        ratio = activations[:, part][alive] / expected[:, part][alive]
        found[layer] = (
            Ratio(float(np.median(ratio)), float(np.percentile(ratio, LOW)), int(alive.sum()))
            if len(ratio)
            else Ratio(np.nan, np.nan, 0)
        )
    return found


def operations(forward: Mapping[str, float], gradient: Mapping[str, int], rates: Rates) -> float:
    """Floating-point operations of so many evaluations."""
    return sum(
        forward[layer] * once + gradient[layer] * both for layer, (once, both) in rates.operations.items()
    )
