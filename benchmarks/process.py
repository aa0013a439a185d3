"""One method on one network in a process of its own: time, memory, and what every unit answers.

A process each, so that the high-water mark of memory is the method's own and nothing is left over from
another. `run_apart` starts one; `python -m benchmarks.process TASK FILE` is what it starts.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from statistics import median

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks import subjects
from benchmarks.jobs import Extent, Job, Made
from benchmarks.methods import METHODS
from benchmarks.pipeline import measure
from protoviz.errors import StudyError

# glibc keeps freed memory instead of mapping it anew at every step, for all methods alike.
ALLOCATOR = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(1 << 30),
    "MALLOC_TOP_PAD_": str(64 << 20),
}
MIB = 1 << 20
SHORT, ROUNDS = 60.0, 3  # ours, where it lasts less than so many seconds, is timed so often: machines drift


@dataclass(frozen=True)
class Task:
    """What a process does; JSON.

    Attributes:
        study, network, method: names.
        units: layer -> channels.
        repeat: which of several independent repetitions.
        device: "cpu" or "cuda".
        threads: of torch.
        steps: of the Fourier methods.
        stretch: of `longer`.
    """

    study: str
    network: str
    method: str
    units: dict[str, list[int]]
    repeat: int
    device: str
    threads: int
    steps: int
    stretch: float = 1.0


@dataclass(frozen=True)
class Result:
    """What came out.

    Attributes:
        task: what was asked for.
        seconds: wall-clock time of the method, after a warm-up; the median, if it was timed several times.
        seconds_once: of that, for what is done once for a network, however many of its units are asked for.
        forward, gradient: layer -> images that went through the network forward, or there and back.
        once: of those that went forward, those that do so once for a network.
        share: of the network's units that were asked for.
        peak, before: high-water mark of memory, and what was in use before the warm-up, MiB.
        images: uint8 (U, size, size, 3).
        response: (U,) pre-activations to the quantised images, in float32.
        norm: (U,) of the latents, in units of sqrt(n); NaN where there are none.
    """

    task: Task
    seconds: float
    seconds_once: float
    forward: dict[str, int]
    gradient: dict[str, int]
    once: dict[str, int]
    share: float
    peak: float
    before: float
    images: NDArray[np.uint8]
    response: NDArray[np.float32]
    norm: NDArray[np.float32]

    @property
    def charged(self) -> float:
        """Seconds, where what is done once for a network is shared among all of its units."""
        return self.seconds - self.seconds_once * (1 - self.share)

    @property
    def charged_forward(self) -> dict[str, float]:
        """Layer -> images that went forward, shared in the same way."""
        return {
            layer: count - self.once.get(layer, 0) * (1 - self.share) for layer, count in self.forward.items()
        }


def run_apart(task: Task) -> Result:
    """Run a task in a fresh process.

    Raises:
        StudyError: it failed; what it said stands above.
    """
    threads = {"OMP_NUM_THREADS": str(task.threads), "MKL_NUM_THREADS": str(task.threads)}
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "result.npz")
        command = [sys.executable, "-m", "benchmarks.process", json.dumps(asdict(task)), str(target)]
        done = subprocess.run(command, env=os.environ | threads | ALLOCATOR, check=False)
        if done.returncode:
            raise StudyError(
                f"{task.method} on {task.network}",
                expected="a result",
                found=f"exit status {done.returncode}",
                remedy="see the message above",
            )
        return _read(task, target)


def run_here(task: Task) -> Result:
    """Run a task in this process; memory counts whatever else it holds."""
    device = torch.device(task.device)
    method = METHODS[task.method]
    subject = subjects.load(task.study, task.network, device, method.ours)
    share = sum(map(len, task.units.values())) / sum(subject.network.units.values())
    job = Job(
        subject,
        task.units,
        task.repeat,
        task.steps,
        task.stretch,
        "whole",
        subjects.STUDIES[task.study].layers_at_once,
    )

    def timed(extent: Extent) -> tuple[Made, float]:
        begin = time.perf_counter()
        made = method.run(replace(job, extent=extent))
        _settle(device)
        return made, time.perf_counter() - begin

    before = _memory(device, "VmRSS")
    timed("warm")
    made, first = timed("whole")
    peak = _memory(device, "VmHWM")
    partly = method.ours and share < 1
    whole, once = [first], [timed("once")[1] if partly else 0.0]
    for _ in range(ROUNDS - 1 if method.ours and first < SHORT else 0):
        whole.append(timed("whole")[1])
        once.append(timed("once")[1] if partly else 0.0)
    seconds = median(whole)
    return Result(
        task,
        seconds,
        min(seconds, median(once)),
        dict(made.forward),
        dict(made.gradient),
        dict(made.once),
        share,
        peak,
        before,
        made.images,
        measure(subject, task.units, made.images),
        _norm(made),
    )


def _norm(made: Made) -> NDArray[np.float32]:
    """Length of the latents in units of sqrt(n), (U,)."""
    if made.latents is None:
        return np.full(len(made.images), np.nan, np.float32)
    length = np.linalg.norm(made.latents.astype(np.float64), axis=1)
    return (length / np.sqrt(made.latents.shape[1])).astype(np.float32)


def _settle(device: torch.device) -> None:
    """Wait for a GPU to finish."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _memory(device: torch.device, field: str) -> float:
    """MiB, of this process or, on a GPU, of its tensors: in use (VmRSS) or at most (VmHWM)."""
    if device.type == "cuda":
        known = torch.cuda.memory_allocated if field == "VmRSS" else torch.cuda.max_memory_allocated
        return known(device) / MIB
    status = Path("/proc/self/status")
    if not status.is_file():  # not Linux: the high-water mark in both cases
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
            MIB if sys.platform == "darwin" else 1024
        )
    # Not ru_maxrss, which begins with that of the process that started this one.
    line = next(line for line in status.read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) / 1024


def _read(task: Task, source: Path) -> Result:
    with np.load(source) as arrays:
        about = json.loads(str(arrays["about"]))
        return Result(
            task, **about, images=arrays["images"], response=arrays["response"], norm=arrays["norm"]
        )


def _main(task: Task, target: Path) -> None:
    """Run a task and write what came out."""
    torch.set_num_threads(task.threads)
    result = run_here(task)
    arrays = ("task", "images", "response", "norm")
    about = {item.name: getattr(result, item.name) for item in fields(Result) if item.name not in arrays}
    np.savez(
        target,
        about=np.array(json.dumps(about)),
        images=result.images,
        response=result.response,
        norm=result.norm,
    )


if __name__ == "__main__":
    try:
        _main(Task(**json.loads(sys.argv[1])), Path(sys.argv[2]))
    except StudyError as error:
        sys.exit(str(error))
