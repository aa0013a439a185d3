"""Study B's synthesis against Fourier visualisation as in lucent: the same units, as many steps.

    python -m benchmarks.stages [--stage pretrained] [--units 64] [--steps 16] [--repeats 3]

Both maximise the response of a channel before its non-linearity, at the centre of its map. Lucent's way
takes one unit a call and runs the whole network, in float32; ours takes neighbouring layers together, and
runs what they need. Each repeat has random numbers of its own. Both sides' images, in 8 bits, are then
measured by the plain network in float32. Before the non-linearity many responses stay below zero, where
a ratio says nothing: so the share of units is told in which ours is higher, the median response of both
sides, and the ratio for units above zero on both.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks import lucent_style, subjects
from benchmarks.evidence import load
from benchmarks.ours import LIKE_LUCENT
from benchmarks.pipeline import at_centre, quantized
from protoviz import compute, layout, seeding
from protoviz.config import params
from protoviz.config.finetuning import Finetuning
from protoviz.config.synthesis import Synthesis
from protoviz.models import finetuned, resnet
from protoviz.models.priors import base
from protoviz.models.readout.network import Network
from protoviz.synthesis import sampling
from protoviz.synthesis.search import prototypes

Images = NDArray[np.uint8]
Units = dict[str, list[int]]

CPU = torch.device("cpu")
COMPARED = (
    "units in which ours is higher",
    "median response: ours / theirs",
    "ours over theirs, where both are above 0: median / 10th percentile (units)",
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print a table in Markdown."""
    options = _parser().parse_args(arguments)
    study = params.load(layout.PARAMS).training_stages
    if study is None:
        raise SystemExit(f"{layout.PARAMS}: expected training_stages, found null")
    compute.prepare("cpu", options.threads)
    source = finetuned.path(layout.stages_checkpoints(study.network.seed), options.stage)
    module, _ = finetuned.load(source)
    size = study.network.size
    layers = sampling.convolutions(Network(module, size))
    units = _few({layer: list(range(count)) for layer, count in layers.items()}, options.units)
    recipe = study.synthesis.model_copy(
        update={
            "repeats": 1,
            "transforms": LIKE_LUCENT,
            "ascent": study.synthesis.ascent.model_copy(update={"steps": options.steps}),
        }
    )
    print(
        f"{study.network.model}, {options.stage}, {size} px: {sum(map(len, units.values()))} units of "
        f"{len(units)} convolutions, {options.steps} steps; threads {options.threads}, torch "
        f"{torch.__version__}; load {load()}\n"
    )
    print("| repeat | lucent style, s | ours, s | times less | " + " | ".join(COMPARED) + " |")
    print("|---" * (4 + len(COMPARED)) + "|")
    both = []
    for repeat in range(options.repeats):
        theirs, seconds = _timed(partial(lucent, module, units, size, options.steps, repeat))
        made, less = _timed(partial(ours, module, units, recipe, study, repeat))
        both.append((respond(module, units, made), respond(module, units, theirs)))
        timed = f"{seconds:.1f} | {less:.1f} | {seconds / less:.1f}"
        print(f"| {repeat} | {timed} | {compared(*both[-1])} |", flush=True)
    together = [np.concatenate(side) for side in zip(*both, strict=True)]
    print(f"| all | | | | {compared(*together)} |")


def lucent(module: nn.Module, units: Units, size: int, steps: int, repeat: int) -> Images:
    """One unit a call: the whole network at every step."""
    images = []
    for layer, channel in _each(units):
        rng = seeding.generator("lucent", layer, channel, repeat)
        spectrum = lucent_style.start(size, rng).requires_grad_(True)
        optimiser = torch.optim.Adam([spectrum], lr=lucent_style.LR)
        with _Reading(module, layer) as reading:
            for _ in range(steps):
                optimiser.zero_grad()
                shown = lucent_style.transformed(lucent_style.image(spectrum, size), rng)
                loss = -reading(resnet.normalise(shown))[0, channel]
                loss.backward()
                optimiser.step()
        images.append(quantized(lucent_style.image(spectrum.detach(), size)))
    return np.concatenate(images)


def ours(module: nn.Module, units: Units, recipe: Synthesis, study: Finetuning, repeat: int) -> Images:
    """All units in a call, from the plain network on."""
    made = prototypes(
        Network(module, study.network.size),
        units,
        base.load("fourier", size=study.network.size, device=CPU),
        recipe,
        address=("benchmark", repeat, 0, 0),
        device=CPU,
        layers_at_once=study.units.layers_at_once,
    )
    return made.image


def respond(module: nn.Module, units: Units, images: Images) -> NDArray[np.float32]:
    """(U,) the pre-activation of each unit to its own image."""
    found = []
    for (layer, channel), image in zip(_each(units), images, strict=True):
        pixels = torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float() / 255
        with torch.no_grad(), _Reading(module, layer) as reading:
            found.append(float(reading(resnet.normalise(pixels))[0, channel]))
    return np.array(found, np.float32)


def compared(ours: NDArray[np.floating], theirs: NDArray[np.floating]) -> str:
    """The cells of `COMPARED` for the responses (U,) of the same units."""
    above = (ours > 0) & (theirs > 0)
    ratio = ours[above] / theirs[above]
    low, middle = np.quantile(ratio, [0.1, 0.5]) if len(ratio) else (np.nan, np.nan)
    return " | ".join(
        (
            f"{np.mean(ours > theirs):.0%}",
            f"{np.median(ours):.3g} / {np.median(theirs):.3g}",
            f"{middle:.2f} / {low:.2f} ({len(ratio)})",
        )
    )


class _Reading:
    """All channels of a layer at the centre of its map, by a hook on the plain network."""

    def __init__(self, module: nn.Module, layer: str) -> None:
        self.module, self.layer = module, layer
        self.value: Tensor | None = None

    def __enter__(self) -> "_Reading":
        self.handle = self.module.get_submodule(self.layer).register_forward_hook(self._keep)
        return self

    def __exit__(self, *_: object) -> None:
        self.handle.remove()

    def _keep(self, _module: nn.Module, _given: Any, output: Tensor) -> None:
        self.value = output

    def __call__(self, images: Tensor) -> Tensor:
        self.module(images)
        assert self.value is not None
        return at_centre(self.value)


def _few(units: Units, count: int) -> Units:
    """So many units in all, spread over layers, and within each over its channels."""
    names = list(units)
    shares = np.bincount(np.linspace(0, len(names) - 1, count).round().astype(int), minlength=len(names))
    return {
        name: subjects.spread({name: units[name]}, int(share))[name]
        for name, share in zip(names, shares, strict=True)
        if share
    }


def _each(units: Units) -> list[tuple[str, int]]:
    return [(layer, channel) for layer, channels in units.items() for channel in channels]


def _timed(work: Callable[[], Images]) -> tuple[Images, float]:
    start = time.perf_counter()
    return work(), time.perf_counter() - start


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stages", description=__doc__.split("\n")[0])
    parser.add_argument("--stage", choices=finetuned.STATES, default="pretrained")
    parser.add_argument("--units", type=int, default=64)
    parser.add_argument("--steps", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    return parser


if __name__ == "__main__":
    main()
