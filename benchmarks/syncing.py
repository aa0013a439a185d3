"""What it costs that finished files are forced to the disk, for a whole study.

    python -m benchmarks.syncing STUDY [--seconds 420]

STUDY is a folder with all outputs of a study, as `dvc pull` brings them. They are written again in it, on the
same disk, through the very functions that the stages use: every output whole, the shards of prototypes one by
one, and for every epoch of a training a state of three times the weights. The time in `os.fsync` is compared
with `--seconds`, the shortest time in which the study is made.
"""

import argparse
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import chdir
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from zarr.core.buffer import default_buffer_prototype

from benchmarks.evidence import header, load, markdown
from protoviz import files, layout, machine
from protoviz.config import params
from protoviz.pipeline import dvc_lock
from protoviz.store import manifest, zarr_io

SECONDS = 420.0  # README: seven to eleven minutes on two cores
STATE = 3  # weights, and two moments of each: the state of a training


@dataclass
class Syncs:
    """How often, and how many seconds."""

    count: int = 0
    seconds: float = 0.0


def main(arguments: Sequence[str] | None = None) -> None:
    """Write, time, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.syncing", description=__doc__.split("\n")[0])
    parser.add_argument("study", type=Path)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    options = parser.parse_args(arguments)
    with chdir(options.study), tempfile.TemporaryDirectory(dir=".") as scratch:
        rows = [measured(name, work) for name, work in works(Path(scratch))]
        where = _file_system(Path(scratch).resolve())
    syncs, seconds = sum(row.count for _, row in rows), sum(row.seconds for _, row in rows)
    facts = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "disk": where,
        "cores": f"{machine.cores()}, load {load()}",
        "a study takes": f"{options.seconds:.0f} s",
    }
    print(header(facts) + "\n")
    rows.append(("all", Syncs(syncs, seconds)))
    lines = [[name, f"{row.count:,}", f"{row.seconds:.2f}"] for name, row in rows]
    print(markdown(("what is written", "syncs", "seconds in them"), lines))
    print(f"\n{100 * seconds / options.seconds:.2f} % of the study, if nothing else went on at the same time")


def works(scratch: Path) -> Iterator[tuple[str, Callable[[], None]]]:
    """What a study writes, by name: every output, shard by shard what is made so, and every epoch's state."""
    outputs = [Path(path) for path in dvc_lock.read().outputs if Path(path).exists()]
    yield "every output", lambda: outputs_of(outputs, scratch)
    cubes = [path for path in outputs if path.parent == layout.prototypes("", 0).parent]
    yield "shards of prototypes, one by one", lambda: shards_of(cubes, scratch)
    study = params.load(layout.PARAMS)
    runs = len(study.conditions) * len(study.runs)
    places = layout.checkpoints("", 0).parent
    weights = max(path.stat().st_size for path in places.rglob("*.safetensors"))
    alone = study.reference.train.epochs if study.reference else 0  # of the reference encoder
    epochs = runs * study.train.epochs + alone
    yield "states of trainings", lambda: states(epochs, STATE * weights, scratch)


def outputs_of(outputs: Sequence[Path], scratch: Path) -> None:
    """As `files.complete` makes them."""
    for path in outputs:
        with files.complete(scratch / "outputs" / path) as partial:
            (shutil.copytree if path.is_dir() else shutil.copyfile)(path, partial)


def shards_of(cubes: Sequence[Path], scratch: Path) -> None:
    """As `cube.write_shard` writes them."""
    buffers = default_buffer_prototype().buffer
    for path in cubes:
        store = zarr_io.LastingStore(scratch / "pieces" / path)
        for file in manifest.shard_files(manifest.read_arrays(path)):
            store.set_sync(file, buffers.from_bytes((path / file).read_bytes()))


def states(epochs: int, nbytes: int, scratch: Path) -> None:
    """As a training leaves its state after every epoch."""
    for epoch in range(epochs):
        with files.complete(scratch / "state.ckpt") as partial:
            partial.write_bytes(bytes([epoch % 256]) * nbytes)


def measured(name: str, work: Callable[[], None]) -> tuple[str, Syncs]:
    """The syncs of some work, and the time in which at least one of them went on."""
    found, sync, lock = Syncs(), os.fsync, threading.Lock()
    running, since = 0, 0.0

    def timed(descriptor: int) -> None:
        nonlocal running, since
        with lock:
            since = since if running else time.perf_counter()
            running += 1
        sync(descriptor)
        with lock:
            running -= 1
            found.count += 1
            found.seconds += 0 if running else time.perf_counter() - since

    os.fsync = timed  # type: ignore[assignment]
    try:
        work()
    finally:
        os.fsync = sync
    return name, found


def _file_system(path: Path) -> str:
    """What the folder lies on, as the system calls it."""
    mounts = [line.split()[:3] for line in Path("/proc/mounts").read_text().splitlines()]
    device, _, kind = max(
        (mount for mount in mounts if path.is_relative_to(mount[1])), key=lambda mount: len(mount[1])
    )
    return f"{kind} on {device}"


if __name__ == "__main__":
    main()
