"""What the distances of the paper's largest layer cost: 512 units, 100 epochs, 2 repeats, 2048-d embeddings.

    python -m benchmarks.distances [--units 512] [--epochs 100] [--dimensions 2048] [--threads 1]

Vectors are drawn and written as the stage writes them, a file for each repeat and epoch; what is timed reads
them: the whole matrix of pairs of every epoch and repeat, and all that the stage stores, for both distances.
Prints seconds, the peak of memory, and the greatest relative difference to a literal float64 computation on
pairs drawn at random.
"""

import argparse
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from protoviz.analysis.pairwise import (
    POINTS,
    PointsOf,
    mean_between_repeats,
    mean_to_others,
    paired,
    pairwise,
)

REPEATS = 2
CHECKED = 50  # pairs of each matrix that is checked
Vectors = list[NDArray[np.float32]]


def main() -> None:
    """Draw, time, check, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--units", type=int, default=512)
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--dimensions", type=int, default=2048)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    threadpool_limits(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), options.epochs, (options.units, options.dimensions))
        epochs = range(options.epochs)
        matrices, error = timed(lambda: matrix_of_every_epoch(Path(folder), epochs))
        stored, _ = timed(lambda: measures_of_every_epoch(Path(folder), epochs))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(
        f"{options.units} units, {options.epochs} epochs, {REPEATS} repeats, {options.dimensions} dimensions"
    )
    print(f"pairwise matrices, mse and cosine: {matrices}, {options.threads} threads")
    print(f"what the stage stores, mse and cosine: {stored}")
    print(f"peak memory of the process {peak:.0f} MB; greatest relative error {error:.1e}")


def write(folder: Path, epochs: int, shape: tuple[int, int]) -> None:
    """Vectors like those of a network: a common part, and units that drift from epoch to epoch."""
    rng = np.random.default_rng(0)
    common = np.abs(rng.standard_normal(shape[1], dtype=np.float32))
    for repeat in range(REPEATS):
        units = rng.standard_normal(shape, dtype=np.float32)
        for epoch in range(epochs):
            units += 0.1 * rng.standard_normal(shape, dtype=np.float32)
            np.save(_file(folder, repeat, epoch), common + 0.2 * units)


def matrix_of_every_epoch(folder: Path, epochs: range) -> float:
    """Every matrix of pairs; the greatest relative error of the first and the last."""
    rng = np.random.default_rng(1)
    error = 0.0
    for epoch, vectors in _read(folder, epochs):
        for each in vectors:
            for distance in POINTS:
                matrix = pairwise(PointsOf(each, distance))
                if epoch in (epochs[0], epochs[-1]):
                    pairs = rng.integers(0, len(each), (CHECKED, 2))
                    error = max(error, *(_error(matrix, each, distance, i, j) for i, j in pairs if i != j))
    return error


def measures_of_every_epoch(folder: Path, epochs: range) -> None:
    """D4, D5 and D6 as the stage computes them."""
    earlier: dict[str, list[PointsOf]] = {}
    for _, vectors in _read(folder, epochs):
        live = np.ones((len(vectors), len(vectors[0])), bool)
        for distance in POINTS:
            points = [PointsOf(each, distance) for each in vectors]
            mean_between_repeats(points, live)
            for repeat, each in enumerate(points):
                mean_to_others(each, live[repeat])
                if distance in earlier:
                    paired(earlier[distance][repeat], each)
            earlier[distance] = points


def timed(work: Callable[[], float | None]) -> tuple[str, float]:
    """Seconds on the clock and of computing, and what came out."""
    clock, computing = time.perf_counter(), time.process_time()
    result = work() or 0.0
    clock, computing = time.perf_counter() - clock, time.process_time() - computing
    return f"{clock:.1f} s, {computing:.1f} of computing", result


def _error(matrix: NDArray[np.float64], vectors: NDArray[np.float32], distance: str, i: int, j: int) -> float:
    a, b = vectors[i].astype(np.float64), vectors[j].astype(np.float64)
    expected = ((a - b) ** 2).mean() if distance == "mse" else 1 - a @ b / np.sqrt((a @ a) * (b @ b))
    return float(abs(matrix[i, j] / expected - 1))


def _read(folder: Path, epochs: range) -> Iterator[tuple[int, Vectors]]:
    for epoch in epochs:
        yield epoch, [np.load(_file(folder, repeat, epoch), mmap_mode="r") for repeat in range(REPEATS)]


def _file(folder: Path, repeat: int, epoch: int) -> Path:
    return folder / f"{repeat}-{epoch}.npy"


if __name__ == "__main__":
    main()
