"""How fast images are embedded, against a bare forward pass of the same network in the same run.

    python -m benchmarks.embedding [NAME ...] [--device cuda] [--precision auto] [--images 512]

Embedding starts from stored 8-bit images and a mask in memory and ends with float32 vectors there:
transfer, mask, resizing and normalisation included. The bare pass gets batches that lie ready on the
device, in the same precision and layout, and leaves its result there. The two alternate, and each is judged
by its best round (on a CPU, in seconds of computing). Networks have fresh weights (":untrained"), which
cost as much as trained ones; `reference` is one of the default study's width.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from protoviz import compute
from protoviz.analysis import embedders
from protoviz.config.analysis import UNTRAINED
from protoviz.models import checkpoints, imagenet, resnet

NAMES = [f"{name}{UNTRAINED}" for name in imagenet.NETWORKS]


def main() -> None:
    """Measure each network, print a line for each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", default=["reference", *NAMES])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto", choices=["auto", "float32", "bfloat16"])
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--size", type=int, default=96, help="of the stored images, px")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    device = compute.available(options.device)
    print(f"{device}, {compute.precision(options.precision, device)}, batches of {options.batch}")
    print("network                    embedded/s   bare/s   share")
    with tempfile.TemporaryDirectory() as folder:
        encoder = Path(folder) / "encoder.safetensors"
        identity = checkpoints.Checkpoint("reference", 0, 0, "resnet18", 16, "none")
        checkpoints.save(encoder, resnet.initial("resnet18", 16, 0), identity)
        setting = embedders.Setting(
            encoder, options.device, options.threads, options.batch, options.precision
        )
        for name in options.names:
            embedded, bare = rates(name, setting, options.images, options.size, options.rounds)
            print(f"{name:25} {embedded:11.1f} {bare:8.1f} {embedded / bare:7.2f}", flush=True)


def rates(name: str, setting: embedders.Setting, images: int, size: int, rounds: int) -> tuple[float, float]:
    """Images a second, embedded and in the bare pass."""
    rng = np.random.default_rng(0)
    stored = rng.integers(0, 256, (images, size, size, 3), dtype=np.uint8)
    mask = rng.random((size, size), dtype=np.float32)
    embed = embedders.load([name], setting)[name]
    bare = bare_pass(name, setting, images, size)
    best = {"embedded": np.inf, "bare": np.inf}
    for _ in range(rounds + 1):  # the first of them warms up
        best["embedded"] = min(best["embedded"], seconds(lambda: embed(stored, mask), setting.device))
        best["bare"] = min(best["bare"], seconds(bare, setting.device))
    return images / best["embedded"], images / best["bare"]


def bare_pass(name: str, setting: embedders.Setting, images: int, size: int) -> Callable[[], object]:
    """The same network on batches that lie ready."""
    device = compute.available(setting.device)
    dtype = compute.precision(setting.precision, device)
    network, side = network_of(name, setting, size)
    network = network.to(device, dtype).to(memory_format=torch.channels_last)
    counts = [min(setting.batch_size, images - first) for first in range(0, images, setting.batch_size)]
    made: dict[int, Tensor] = {}
    for count in set(counts):
        batch = torch.rand(count, 3, side, side).to(device, dtype)
        made[count] = batch.contiguous(memory_format=torch.channels_last)

    def run() -> object:
        with torch.inference_mode():
            return [network(made[count]) for count in counts]

    return run


def network_of(name: str, setting: embedders.Setting, size: int) -> tuple[nn.Module, int]:
    """A network and the size of its images."""
    if name == "reference":
        return resnet.fold_batch_norm(checkpoints.load(setting.encoder)[0]), size
    return imagenet.load(name), imagenet.NETWORKS[name.removesuffix(UNTRAINED)].size


def seconds(work: Callable[[], object], device: str) -> float:
    """Of one call, all its work done; on a CPU those that it computed, whatever else runs there."""
    on_gpu = compute.available(device).type == "cuda"
    clock = time.perf_counter if on_gpu else time.process_time
    start = clock()
    work()
    if on_gpu:
        torch.cuda.synchronize()
    return clock() - start


if __name__ == "__main__":
    main()
