"""How fast the machine can multiply matrices, and how many multiplications a prototype takes.

Their quotient is the limit, and how far a method is from it.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import subjects
from benchmarks.pipeline import Pipeline
from benchmarks.subjects import Subject

SIDE = {"cpu": 2048, "cuda": 16384}  # of the square matrices whose product is timed
LASTS = 1.0  # s
TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
IMAGES = 2  # whose operations are counted


@dataclass(frozen=True)
class Rates:
    """What a machine can do and what a study needs.

    Attributes:
        name: of the GPU, or empty.
        matrix: type -> floating-point operations per second.
        units: layer -> number of channels.
        operations: layer -> floating-point operations for an image, forward, and forward and backward.
    """

    name: str
    matrix: dict[str, float]
    units: dict[str, int]
    operations: dict[str, list[int]]


def measured_apart(study: str, device: str, threads: int) -> Rates:
    """Measure in a process of its own, on the first network of a study."""
    command = [sys.executable, "-m", "benchmarks.rates", study, device, str(threads)]
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return Rates(**json.loads(done.stdout))


def measured(study: str, device: torch.device) -> Rates:
    """Measure in this process."""
    subject = subjects.load(study, subjects.STUDIES[study].names()[0], device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
    return Rates(name, matrix_rates(device), subject.network.units, operations(subject))


def matrix_rates(device: torch.device, side: int | None = None, lasts: float = LASTS) -> dict[str, float]:
    """Floating-point operations per second of a large matrix product, by type, best of repeated products.

    A multiply-add counts as two, as in `operations`.

    Args:
        device: where to multiply.
        side: of the square matrices; by default large enough for the device.
        lasts: seconds of products of a type.
    """
    side = side or SIDE[device.type]
    rates = {}
    for name, kind in TYPES.items():
        square = torch.rand(side, side, device=device).to(kind)
        rates[name] = 2 * side**3 / _fastest(partial(torch.mm, square, square), device, lasts)
    return rates


def operations(subject: Subject) -> dict[str, list[int]]:
    """Layer -> floating-point operations for one image, forward, and forward and backward to the latent.

    Of the plain pipeline: what a method saves by cropping or reading out less still counts as done.
    """
    counted = {}
    latents = torch.zeros(IMAGES, subject.prior.latent_size, device=subject.device)
    for layer in subject.network.units:
        pipeline = Pipeline(subject)
        with FlopCounterMode(display=False) as forward, torch.no_grad():
            pipeline.responses(latents, layer, [0] * IMAGES)
        with FlopCounterMode(display=False) as both:
            pipeline.responses(latents.clone().requires_grad_(True), layer, [0] * IMAGES).sum().backward()
        counted[layer] = [mode.get_total_flops() // IMAGES for mode in (forward, both)]
    return counted


def _fastest(work: Callable[[], object], device: torch.device, lasts: float) -> float:
    """Seconds of the fastest of as many calls as fit in so many seconds, after one to warm up."""

    def seconds() -> float:
        begin = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter() - begin

    seconds()
    found = [seconds()]
    while sum(found) < lasts:
        found.append(seconds())
    return min(found)


if __name__ == "__main__":
    torch.set_num_threads(int(sys.argv[3]))
    print(json.dumps(asdict(measured(sys.argv[1], torch.device(sys.argv[2])))))
