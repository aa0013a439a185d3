"""A study of a million prototypes, rehearsed: python -m benchmarks.rehearsal --epochs 1 2 4

Two conditions, three runs, two repeats, 960 units of four layers at 96 px: the paper's study, of which some
epochs are laid out instead of 101. The images are smooth noise, quickly made, of full size. What comes after
the synthesis runs on them as it would: every stage in a process of its own, whose time and greatest memory
are noted, then a check of the whole cube, `dvc add` and `dvc push`. A straight line through the times of the
two greatest numbers of epochs tells those of 101; what has grown by more than the epochs is marked.

Distances are between pixels here: in the features of a network each prototype costs what
`python -m benchmarks.embedding` says, and that grows with their number alone.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

from benchmarks.evidence import load
from benchmarks.scale import LAYERS
from protoviz import layout, machine
from protoviz.config import params
from protoviz.config.finetuning import Maps
from protoviz.pipeline import study_files
from protoviz.store import cube, schema, zarr_io
from protoviz.synthesis.rendering import quantised

ROOT = Path(__file__).parents[1]
CONDITIONS, RUNS, REPEATS, SIZE = ("clrjit", "keepclr"), (1, 2, 3), (0, 1), 96
ALL = 101  # epochs of the study
EACH = ("distances", "appearance")  # stages of each network
WHOLE = ("cube", "matching", "metrics", "findings", "figures", "atlas")
# A small process between this one and a command: a process's greatest memory begins with that of the one that
# has started it.
MEASURED = """
import os, sys
_, status, used = os.wait4(os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ), 0)
with open(sys.argv[1], "w") as file:
    file.write(str(used.ru_maxrss))
sys.exit(1 if status else 0)
"""
STEEP = 1.3  # growth of a time, as a multiple of that of the epochs, from which it is marked


@dataclass(frozen=True)
class Cost:
    """What a step took: seconds in all, MB of memory of its greatest process."""

    seconds: float
    memory: float


def main(arguments: Sequence[str] | None = None) -> None:
    """Rehearse at each number of epochs, and print a table in Markdown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rehearsal", description=__doc__)
    parser.add_argument("--epochs", type=int, nargs="+", default=[1, 2, 4], help="of each rehearsal")
    parser.add_argument("--folder", help="where to work (default: a temporary folder)")
    parser.add_argument("--size", type=int, default=SIZE, help="of the images, px")
    parser.add_argument("--runs", type=int, default=len(RUNS), help="of each condition")
    parser.add_argument("--units", type=int, help="of each layer at most (default: all)")
    options = parser.parse_args(arguments)
    layers = {name: min(count, options.units or count) for name, count in LAYERS.items()}
    print(f"{machine.cores()} cores, load {load()}; {sum(layers.values())} units, {options.size} px\n")
    found = {}
    for epochs in sorted(options.epochs):
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            found[epochs] = rehearse(Path(folder), range(epochs), RUNS[: options.runs], layers, options.size)
    print(table(found))


def rehearse(
    folder: Path, epochs: Sequence[int], runs: Sequence[int], layers: dict[str, int], size: int
) -> dict[str, Cost]:
    """Lay out a study in a folder and run it; step -> what it took, and the bytes and files of the whole."""
    networks = [(condition, run) for condition in CONDITIONS for run in runs]
    found: dict[str, Cost] = {}

    def noted(name: str, *command: str) -> None:
        begun = time.perf_counter()
        memory = run(folder, *command)
        before = found.get(name, Cost(0.0, 0.0))
        found[name] = Cost(before.seconds + time.perf_counter() - begun, max(before.memory, memory))
        print(f"{len(epochs)} epochs: {name}, {found[name].seconds:.0f} s", file=sys.stderr, flush=True)

    study_files.write(folder / layout.PARAMS, study_files.yaml(parameters(epochs, runs, layers, size)))
    for command in (("git", "init", "--quiet"), ("dvc", "init", "--quiet")):
        run(folder, *command)
    run(folder, "dvc", "remote", "add", "--default", "there", "remote")
    for network in networks:
        lay_out(folder, network, epochs, layers, size)
    for stage in EACH:
        for condition, number in networks:
            noted(stage, *stage_of(stage), condition, str(number))
    for stage in WHOLE:
        for item in [[condition] for condition in CONDITIONS] if stage == "metrics" else [[]]:
            noted(stage, *stage_of(stage), *item)
    check = "from protoviz.store import cube; cube.validate('data/cube.zarr')"
    noted("verify the cube", sys.executable, "-c", check)
    noted("dvc add", "dvc", "add", "--quiet", "data")
    noted("dvc push", "dvc", "push", "--quiet")
    files = [path.stat() for path in (folder / "data").rglob("*") if path.is_file()]
    found["GB, and files"] = Cost(sum(file.st_size for file in files) / 1e9, len(files))
    return found


def stage_of(name: str) -> tuple[str, ...]:
    """The command of a stage."""
    return sys.executable, "-m", f"stages.{name}"


def run(folder: Path, *command: str) -> float:
    """Run a command to its end; MB of memory at its greatest.

    Raises:
        SystemExit: it failed.
    """
    own = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
        "DVC_NO_ANALYTICS": "1",
        "DVC_SITE_CACHE_DIR": str(folder / "site"),
        "OMP_NUM_THREADS": "1",
        "PROTOVIZ_WORKERS": "1",
    }
    measured = (sys.executable, "-S", "-c", MEASURED, str(folder / "memory.txt"), *command)
    with open(folder / "said.txt", "wb") as said:
        ended = subprocess.run(measured, cwd=folder, env={**os.environ, **own}, stdout=said, stderr=said)
    if ended.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{(folder / 'said.txt').read_text()}")
    return int((folder / "memory.txt").read_text()) / 1024


def parameters(
    epochs: Sequence[int], runs: Sequence[int], layers: dict[str, int], size: int
) -> dict[str, Any]:
    """params.yaml of a study whose networks come from elsewhere, without images and probe."""
    default = params.load(ROOT / layout.PARAMS).model_dump(mode="json")
    same = ("compute", "receptive_fields", "synthesis", "matching", "modes")
    maps = {name: default["projection"][name] for name in Maps.model_fields}
    shown = ("development_layer", "development_units", "more_units", "animated_layer")
    return {
        "title": "a rehearsal",
        **{name: default[name] for name in same},
        "atlas": {**default["atlas"], "runs": None},
        "checkpoints": {
            "network": "nobody.s:network",
            "arguments": {},
            "files": "{condition}/{run}/{epoch}.pt",
            "key": None,
            "prefix": None,
            "epochs": list(epochs),
            "starts_untrained": True,
            "layers": list(layers),
            "channels": None,
            "size": size,
            "mean": [0.5] * 3,
            "std": [0.25] * 3,
        },
        "conditions": {name: {} for name in CONDITIONS},
        "runs": list(runs),
        "images": None,
        "prior": {"name": "fourier", "weights": None, "sha256": None},
        "distances": {**default["distances"], "embedders": ["pixels"], "keep_vectors": False},
        "natural": None,
        "probe": None,
        "projection": {**maps, "embedders": ["pixels"]},
        "figures": {**default["figures"], **dict.fromkeys(shown)},
    }


def lay_out(
    folder: Path, network: tuple[str, int], epochs: Sequence[int], layers: dict[str, int], size: int
) -> None:
    """Write the prototypes and receptive fields of a network."""
    condition, number = network
    template = cube.Template(
        (condition,), (number,), REPEATS, tuple(epochs), layers, size, components=0, trace=9
    )
    store = folder / layout.prototypes(condition, number)
    cube.create(store, template, {"prior": {"name": "fourier"}})
    units = sum(layers.values())
    for repeat in REPEATS:
        for epoch in epochs:
            rng = np.random.default_rng([CONDITIONS.index(condition), number, repeat, epoch])
            shard = cube.Shard(
                smooth(rng, units, size),
                np.zeros((units, 0), np.float16),
                rng.random(units, dtype=np.float32),
                np.ones((units, 9), np.float32),
                np.full(units, schema.Status.CONVERGED, np.uint8),
            )
            cube.write_shard(store, cube.Address(condition, number, repeat, epoch), shard)
    cube.finish(store)
    zarr_io.write_dataset(
        folder / layout.receptive_fields(condition, number), fields(network, epochs, layers, size)
    )


def smooth(rng: np.random.Generator, count: int, size: int) -> NDArray[np.uint8]:
    """Noise whose spectrum falls like that of images, in the colours that the default study stores."""
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size))
    falling = (1 / np.maximum(frequency, 1 / size))[:, :, None].astype(np.float32)
    made = np.empty((count, size, size, 3), np.uint8)
    for k in range(count):
        noise = np.fft.rfft2(rng.standard_normal((size, size, 3), dtype=np.float32), axes=(0, 1))
        image = np.fft.irfft2(noise * falling, (size, size), axes=(0, 1))
        shown = torch.from_numpy(0.5 + 0.2 * image / image.std()).permute(2, 0, 1)
        made[k] = quantised(shown[None], levels=16)[0].permute(1, 2, 0)
    return made


def fields(network: tuple[str, int], epochs: Sequence[int], layers: dict[str, int], size: int) -> xr.Dataset:
    """Receptive fields of a network: wider in deeper layers."""
    y, x = np.indices((size, size)) - size / 2
    widths = np.linspace(size / 8, size, len(layers))[:, None, None]
    fixed = np.exp(-(y**2 + x**2) / (2 * widths**2)).astype(np.float32)
    own = np.broadcast_to(fixed, (1, 1, len(epochs), *fixed.shape)).copy()
    return xr.Dataset(
        {
            schema.MASK: (schema.RECEPTIVE_FIELDS[schema.MASK].dims, own),
            schema.FIXED_MASK: ((schema.LAYER, schema.Y, schema.X), fixed),
        },
        {
            "condition": np.array([network[0]], dtype=schema.TEXT),
            "run": [network[1]],
            "epoch": list(epochs),
            "layer": np.array(list(layers), dtype=schema.TEXT),
        },
    )


def table(found: dict[int, dict[str, Cost]]) -> str:
    """Of each step the costs at each number of epochs, and at 101 by a straight line."""
    counts = sorted(found)
    titles = [f"{count} epochs, s (MB)" for count in counts]
    lines = ["| step | " + " | ".join([*titles, f"{ALL} epochs, by a straight line"]) + " |"]
    lines.append("|---" * (len(titles) + 2) + "|")
    for step in found[counts[-1]]:
        costs = [found[count][step] for count in counts]
        cells = [f"{cost.seconds:.1f} ({cost.memory:,.0f})" for cost in costs]
        lines.append(f"| {step} | {' | '.join([*cells, _at_all(counts, costs)])} |")
    return "\n".join(lines)


def _at_all(counts: Sequence[int], costs: Sequence[Cost]) -> str:
    """The cost at all epochs by the last two; marked where a step has grown faster than the epochs."""
    if len(counts) < 2:
        return ""
    (a, b), (first, second) = counts[-2:], costs[-2:]

    def line(low: float, high: float) -> float:
        return high + (high - low) / (b - a) * (ALL - b)

    steep = second.seconds / max(first.seconds, 1e-9) > STEEP * b / a
    mark = "; grows faster than the epochs" if steep else ""
    return f"{line(first.seconds, second.seconds):,.0f} ({line(first.memory, second.memory):,.0f}){mark}"


if __name__ == "__main__":
    main()
