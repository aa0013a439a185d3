"""What the full study costs, before anybody runs it: python -m benchmarks.scale

6 networks x 101 epochs x 2 repeats x 960 units at 96 px are laid out as one cube. One shard of each
variable is made, of random bytes, and linked to all 1,212 places, so that the cube takes the disk space
of one shard; what is read is read from real files, from the page cache. DVC gets as many files as the
study has, each of 64 kB and no two the same; what its work costs per byte is measured apart.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from protoviz import digests
from protoviz.config.image_size import sides
from protoviz.store import cube, schema

LAYERS = {"layer1": 64, "layer2": 128, "layer3": 256, "layer4": 512}  # ResNet18
SMALL = 65536  # bytes of a file for DVC
SECONDS_EACH = 1 / 3.37  # a prototype on one GPU, as the paper claims


def template(epochs: int) -> cube.Template:
    """The study of the paper: two conditions of three runs."""
    return cube.Template(
        conditions=("clrjit", "keepclr"),
        runs=(1, 2, 3),
        repeats=(0, 1),
        epochs=tuple(range(epochs)),
        layers=LAYERS,
        size=96,
        components=4096,
        trace=51,
    )


def lay_out(path: Path, extent: cube.Template) -> int:
    """Make the cube of one shard and links to it; return the bytes of the shard's files."""
    cube.create(path, extent, {"title": schema.CUBE.title})
    rng = np.random.default_rng(0)
    units, first = sum(LAYERS.values()), cube.Address("clrjit", 1, 0, 0)
    shard = cube.Shard(
        rng.integers(0, 256, (units, *sides(extent.size), extent.channels), dtype=np.uint8),
        rng.standard_normal((units, extent.components)).astype(np.float16),
        rng.standard_normal(units).astype(np.float32),
        rng.standard_normal((units, extent.trace)).astype(np.float32),
        np.full(units, schema.Status.CONVERGED, np.uint8),
    )
    cube.write_shard(path, first, shard)
    total = 0
    with cube.open_cube(path) as opened:
        places = [position for position, _ in cube.addresses(opened)]
    for variable in extent.variables:
        source = cube.shard_file(path, variable, places[0])
        total += source.stat().st_size
        for position in places[1:]:
            target = cube.shard_file(path, variable, position)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(source, target)
    return total


def seconds(work: Callable[[], object], times: int = 5) -> float:
    """The median time of some calls, after a first one."""
    work()
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return float(np.median(taken))


def reading(path: Path, extent: cube.Template) -> list[tuple[str, str]]:
    """What xarray takes to open the cube and to read from it."""
    before = _memory()
    opened = cube.open_cube(path)
    grown = (_memory() - before) / 1e6
    at = opened.image.sel(condition="keepclr", run=2, repeat=1)
    last = extent.epochs[-1]
    layers = schema.layer_slices(opened[schema.LAYER].to_numpy())
    network = opened.image.isel(condition=1, run=1, repeat=1)
    rows = [
        ("open", _shown(seconds(lambda: cube.open_cube(path))) + f", {grown:.0f} MB of memory"),
        ("one image", _shown(seconds(lambda: at.sel(epoch=last, layer="layer3", channel=12).load()))),
        (
            f"one unit over {len(extent.epochs)} epochs",
            _shown(seconds(lambda: at.sel(layer="layer3", channel=12).copy().load(), 1)),
        ),
        (
            "a layer of 256 units",
            _shown(seconds(lambda: network.isel(epoch=-1, unit=layers["layer3"]).copy().load())),
        ),
        (
            "activations of all",
            _shown(seconds(lambda: opened.activation.copy().load(), 1)) + " (one file a shard)",
        ),
        ("validate, without checksums", _shown(seconds(lambda: cube.validate(path), 1))),
    ]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return [*rows, ("memory of the process at its greatest", f"{peak:,.0f} MB")]


def _memory() -> int:
    """Bytes of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def versioning(folder: Path, count: int) -> list[tuple[str, str]]:
    """What DVC takes for as many files as the study has."""
    rng = np.random.default_rng(1)
    for number in range(count):
        target = folder / "store" / str(number // 1000) / str(number)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(rng.bytes(SMALL))
    own = {"DVC_NO_ANALYTICS": "1", "DVC_SITE_CACHE_DIR": str(folder / "site")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

    def run(*command: str) -> float:
        start = time.perf_counter()
        environment = {**os.environ, **own, "PATH": path}
        subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
        return time.perf_counter() - start

    run("git", "init", "--quiet")
    run("dvc", "init", "--quiet")
    run("dvc", "config", "cache.type", "reflink,hardlink,copy")
    run("dvc", "remote", "add", "--default", "there", str(folder / "remote"))
    commands = {"dvc add": ("dvc", "add", "store"), "dvc push": ("dvc", "push")}
    commands |= {"dvc push, again": ("dvc", "push"), "dvc status": ("dvc", "status")}
    return [(f"{name}, {count:,} files", _shown(run(*command))) for name, command in commands.items()]


def hashing(path: Path) -> float:
    """Bytes a second of MD5, which `dvc add` takes for every byte once."""
    file = cube.shard_file(path, schema.CUBE[schema.IMAGE], (0, 0, 0, 0))
    return file.stat().st_size / seconds(lambda: digests.of_file(file))


def main() -> None:
    """Lay out, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--epochs", type=int, default=101)
    parser.add_argument("--folder", help="where to work (default: a temporary folder)")
    arguments = parser.parse_args()
    extent = template(arguments.epochs)
    shards = len(extent.conditions) * len(extent.runs) * len(extent.repeats) * len(extent.epochs)
    units = sum(LAYERS.values())
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        path = Path(folder) / "cube.zarr"
        stored = lay_out(path, extent)
        rate = hashing(path)
        count = shards * len(extent.variables)
        rows = [
            ("prototypes", f"{shards * units:,}"),
            ("bytes before compression", f"{extent.nbytes / 1e9:.1f} GB"),
            ("bytes of random images, which no codec compresses", f"{stored * shards / 1e9:.1f} GB"),
            ("files", f"{count:,}; those of one (repeat, epoch) {stored / 1e6:.1f} MB"),
            ("tasks (repeat, epoch)", f"{shards:,}"),
            ("hours of one GPU at the paper's 3.37 a second", f"{shards * units * SECONDS_EACH / 3600:.0f}"),
            *reading(path, extent),
            ("MD5", f"{rate / 1e6:,.0f} MB/s: {stored * shards / rate / 60:.0f} min for all, once"),
        ]
        work = Path(folder) / "dvc"
        work.mkdir()
        rows += versioning(work, count)
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print(f"{name.ljust(width)}  {value}")


def _shown(taken: float) -> str:
    return f"{1000 * taken:.1f} ms" if taken < 1 else f"{taken:.1f} s"


if __name__ == "__main__":
    main()
