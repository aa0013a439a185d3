"""Are the fast preset's prototypes as different from each other as the paper's (D4)?

    python -m benchmarks.diversity [--repeats 2] [--device cpu|cuda] [--json PATH]

A shared pool of starts could make prototypes alike. So both methods make every prototype of the default
study's networks in repeats from different random starts, and the mean distance over all pairs of a layer's
units is compared: in pixels and in the features of the reference encoder, by mean squared error and by
cosine, masked by the receptive field where there is one (R4). Only units that are alive in all repeats of
all methods count. The methods agree where their means differ by no more than the repeats of one of them.
The fast preset without the pool is made as well: what differs from it comes from the pool, what it
differs in from the paper does not.
"""

import argparse
import itertools
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks import evidence, subjects
from benchmarks.process import Result, Task, run_apart
from protoviz import layout
from protoviz.analysis import embedders
from protoviz.analysis.embedders import Embedder
from protoviz.analysis.pairwise import POINTS, mean_to_others
from protoviz.errors import StudyError
from protoviz.store import schema, zarr_io

STUDY = "default"
PAPER, FAST, UNPOOLED = "published", "fast", "unpooled"
METHODS = (PAPER, FAST, UNPOOLED)
SPACES = ("pixels", "reference")
BATCH = 256
DRAWS = 100_000


@dataclass(frozen=True)
class Compared:
    """The diversity of one layer in one space under both methods.

    Attributes:
        network, layer, space, distance: what of.
        masked: whether images were multiplied by the layer's receptive field.
        units: alive in all repeats of all methods.
        means: method -> mean distance over all pairs of units, one for each repeat.
    """

    network: str
    layer: str
    space: str
    distance: str
    masked: bool
    units: int
    means: dict[str, list[float]]

    def difference(self, method: str) -> float:
        """Of a method's mean over repeats from the paper's, as a share of the latter."""
        return float(np.mean(self.means[method]) / np.mean(self.means[PAPER]) - 1)

    @property
    def spread(self) -> float:
        """The larger of the ranges over repeats of the paper's and of the fast preset, as the same share."""
        return float(max(np.ptp(self.means[name]) for name in (PAPER, FAST)) / np.mean(self.means[PAPER]))

    @property
    def agrees(self) -> bool:
        """Whether the fast preset and the paper's differ by no more than the repeats of one of them."""
        return abs(self.difference(FAST)) <= self.spread


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the prototypes, and print the comparison as Markdown."""
    options = _parser().parse_args(arguments)
    try:
        compared = _compare(options)
    except StudyError as error:
        sys.exit(str(error))
    print(f"## Diversity: preset fast against the paper's algorithm, {options.repeats} repeats\n")
    print(f"{table(compared)}\n\n{verdict(compared, options.repeats)}")
    if options.json:
        options.json.write_text(json.dumps([asdict(each) for each in compared], indent=1))


def table(compared: Sequence[Compared]) -> str:
    """The comparison as a Markdown table."""
    differences = [f"{method} - {PAPER}" for method in (FAST, UNPOOLED)]
    columns = ["network", "layer", "units", "space", *METHODS, *differences, "spread", "agree"]
    return evidence.markdown(columns, [_cells(each) for each in compared])


def verdict(compared: Sequence[Compared], repeats: int) -> str:
    """How many agree, how many would if there were no difference, and how large the differences are."""
    known = [each for each in compared if each.units > 1]
    if not known:
        return "There is no layer in which two units are alive in all repeats of all methods."
    agreeing = sum(each.agrees for each in known)
    fast, unpooled = (np.array([each.difference(name) for each in known]) * 100 for name in (FAST, UNPOOLED))
    return (
        f"{agreeing} of {len(known)} agree within the spread of repeats; between two methods that do not "
        f"differ, {100 * agreement_by_chance(repeats):.0f} % would. Median difference from the paper's "
        f"{np.median(fast):+.1f} % ({fast.min():+.1f} to {fast.max():+.1f} %); without the pool "
        f"{np.median(unpooled):+.1f} % ({unpooled.min():+.1f} to {unpooled.max():+.1f} %)."
    )


def agreement_by_chance(repeats: int) -> float:
    """The share of comparisons that agree if both methods draw from one normal distribution."""
    draws = np.random.default_rng(0).standard_normal((2, repeats, DRAWS))
    difference = np.abs(draws[0].mean(0) - draws[1].mean(0))
    return float((difference <= np.ptp(draws, axis=1).max(0)).mean())


def compare(
    network: str,
    results: Mapping[str, Sequence[Result]],
    spaces: Mapping[str, Embedder],
    masks: Mapping[str, NDArray[np.float32]],
) -> list[Compared]:
    """The diversity of every layer of a network in every space.

    Args:
        network: its name.
        results: method -> results, one for each repeat, of the same units.
        spaces: embedders.
        masks: layer -> mask (H, W); a layer without one stays unmasked.
    """
    units = results[PAPER][0].task.units
    alive = np.all([result.response > 0 for found in results.values() for result in found], axis=0)
    compared, first = [], 0
    for layer, channels in units.items():
        part = slice(first, first + len(channels))
        first += len(channels)
        mask = masks.get(layer)
        for (space, embed), distance in itertools.product(spaces.items(), POINTS):
            means = {
                method: [_diversity(each.images[part], mask, embed, distance, alive[part]) for each in found]
                for method, found in results.items()
            }
            live = int(alive[part].sum())
            compared.append(Compared(network, layer, space, distance, mask is not None, live, means))
    return compared


def _diversity(
    images: NDArray[np.uint8],
    mask: NDArray[np.float32] | None,
    embed: Embedder,
    distance: str,
    alive: NDArray[np.bool_],
) -> float:
    """Mean distance over all pairs of the images that are alive, of (U, H, W, 3)."""
    shown = images.astype(np.float32) / np.float32(255)
    if mask is not None:
        shown = shown * mask[:, :, None]
    points = POINTS[distance](embed(shown))
    return float(np.nanmean(mean_to_others(points, alive))) if alive.sum() > 1 else float("nan")


def _compare(options: argparse.Namespace) -> list[Compared]:
    networks = subjects.STUDIES[STUDY].names()
    setting = embedders.Setting(layout.REFERENCE_ENCODER, options.device, options.threads, BATCH)
    spaces = embedders.load(SPACES, setting)
    compared = []
    for network in networks:
        units = subjects.spread(_channels(network), options.units)
        results: dict[str, list[Result]] = {method: [] for method in METHODS}
        for repeat, method in itertools.product(range(options.repeats), METHODS):
            task = Task(STUDY, network, method, units, repeat, options.device, options.threads, steps=0)
            result = run_apart(task)
            results[method].append(result)
            print(f"{network}, repeat {repeat}, {method}: {result.seconds:.1f} s", file=sys.stderr)
        compared += compare(network, results, spaces, _masks(network))
    return compared


def _channels(network: str) -> dict[str, Sequence[int]]:
    loaded = subjects.load(STUDY, network, torch.device("cpu"))
    return {layer: range(count) for layer, count in loaded.network.units.items()}


def _masks(network: str) -> dict[str, NDArray[np.float32]]:
    """Layer -> mask of the network's receptive fields; nothing where they have not been made."""
    condition, run, epoch = subjects.trained_address(network)
    source = layout.receptive_fields(condition, run)
    if not source.is_dir():
        return {}
    fields = zarr_io.open_dataset(source)[schema.MASK].squeeze((schema.CONDITION, schema.RUN))
    layers = [str(layer) for layer in fields[schema.LAYER].values]
    return {layer: fields.sel({schema.EPOCH: epoch, schema.LAYER: layer}).values for layer in layers}


def _cells(each: Compared) -> list[str]:
    space = f"{each.space}, {each.distance}{', masked' if each.masked else ''}"
    means = [" ".join(f"{value:.4g}" for value in each.means[method]) for method in METHODS]
    relative = [f"{100 * value:+.1f} %" for value in (each.difference(FAST), each.difference(UNPOOLED))]
    agree = "yes" if each.agrees else "no"
    return [
        *(each.network, each.layer, str(each.units), space),
        *(*means, *relative, f"{100 * each.spread:.1f} %", agree),
    ]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.diversity", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--device", default="cpu", help="cpu (default) or cuda")
    parser.add_argument("--threads", type=int, default=2, help="of torch (default: 2)")
    parser.add_argument("--repeats", type=int, default=2, help="from different random starts (default: 2)")
    parser.add_argument("--units", type=int, help="of each layer (default: all)")
    parser.add_argument("--json", type=Path, help="write the results there as well")
    return parser


if __name__ == "__main__":
    main()
