"""Set up how a process computes: the device, its threads, deterministic kernels, memory allocation.

A stage calls `prepare` once, before its work; importing this module changes nothing.
"""

import ctypes
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from typing import Any

import torch

from protoviz import __version__, machine
from protoviz.errors import StudyError

VISIBLE = "CUDA_VISIBLE_DEVICES"  # the GPUs that a process sees, numbered anew from 0

# glibc's malloc.h: parameter numbers of mallopt.
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4


def prepare(device: str, threads: int) -> torch.device:
    """Set this process up and return the device to compute on.

    The number of threads belongs to the parameters of the study, since it changes how sums are
    rounded: with it fixed, one machine gives the same hashes whether stages run alone or side by
    side. Several processes of one thread are faster than one process of several.

    Args:
        device: "cpu", "cuda", "cuda:1", ..., or "auto" (a GPU where there is one).
        threads: threads for torch and for BLAS.

    Raises:
        StudyError: a GPU was asked for and there is none.
    """
    from threadpoolctl import threadpool_limits  # imported here, as only stages need it

    torch.set_num_threads(threads)
    threadpool_limits(threads)
    _keep_freed_memory()
    # Otherwise every new tensor is filled with NaN: 9 % of a step, to guard what is never read.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    found = available(device)
    repeatable(found)
    return found


def repeatable(device: torch.device) -> None:
    """Make operations on a device deterministic, if they have a deterministic kernel."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # what deterministic cuBLAS needs
    # The same flag as use_deterministic_algorithms, which would import a compiler first: 5 s a process.
    # On a GPU some operations have no deterministic kernel: they only warn, as a study is still worth having.
    torch.set_deterministic_debug_mode("warn" if device.type == "cuda" else "error")


@contextmanager
def whole_float32() -> Iterator[None]:
    """Compute in full float32 on GPUs, too, so that what is stored does not depend on the device.

    By default torch lets GPUs convolve float32 in TF32, with 10 bits instead of 23: this is several times
    faster, but a response differs from a processor's by a thousandth.
    """
    places: tuple[Any, ...] = torch.backends.cudnn, torch.backends.cuda.matmul
    before = [place.allow_tf32 for place in places]
    try:
        for place in places:
            place.allow_tf32 = False
        yield
    finally:
        for place, allowed in zip(places, before, strict=True):
            place.allow_tf32 = allowed


def available(device: str) -> torch.device:
    """The device with this name: "cpu", "cuda", "cuda:1", ..., or "auto" (a GPU where there is one).

    Raises:
        StudyError: a GPU was asked for and there is none, or the name is not one of these.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if not re.fullmatch(r"cpu|cuda(:\d+)?", device):
        raise StudyError(
            f"device {device!r}",
            expected="auto, cpu, cuda, cuda:1, ...",
            found="no such name",
            remedy="correct it",
        )
    number = int(device.partition(":")[2] or 0)
    if device.startswith("cuda") and not (torch.cuda.is_available() and number < torch.cuda.device_count()):
        raise StudyError(
            f"device {device!r}",
            expected="a GPU",
            found="none that torch can see",
            remedy="set it to 'auto' or 'cpu'",
        )
    return torch.device(device)


def slots(device: str, threads: int) -> list[dict[str, str]]:
    """The places for workers on this machine: each GPU, or, without one, as many as fit on the cores.

    Args:
        device: as for `prepare`; a GPU with a number is one place.
        threads: of each worker.

    Returns:
        The environment variables of each, which let it see only its own GPU.
    """
    if not device.startswith("cpu") and torch.cuda.is_available():
        if ":" in device:
            return [{}]
        visible = os.environ.get(VISIBLE) or ",".join(map(str, range(torch.cuda.device_count())))
        return [{VISIBLE: gpu} for gpu in visible.split(",")]
    return [{}] * max(1, machine.cores() // threads)


def precision(name: str, device: torch.device) -> torch.dtype:
    """The precision of matrix products: "float32", "bfloat16", or "auto".

    "auto" is bfloat16 where the hardware has units for it: x86 processors with AMX tiles, GPUs since Ampere.
    """
    if name == "auto":
        if device.type == "cuda":
            return (
                torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
            )
        return torch.bfloat16 if torch.cpu._is_amx_tile_supported() else torch.float32
    return {"float32": torch.float32, "bfloat16": torch.bfloat16}[name]


def versions() -> dict[str, str]:
    """The versions that a result depends on, for the attributes of what is written."""
    return {"protoviz": __version__} | {name: metadata.version(name) for name in ("torch", "numpy", "zarr")}


def _keep_freed_memory() -> None:
    """Keep large blocks in the process instead of giving them back to the system after each step.

    Loops over small nets free and ask again for the same megabytes at every step; glibc would map
    and unmap them each time (20-30 % of the run time on two x86 cores).
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):  # not glibc: leave its allocator alone
        return
    mallopt(M_MMAP_MAX, 0)
    mallopt(M_TRIM_THRESHOLD, 1 << 30)
    mallopt(M_TOP_PAD, 64 << 20)
