"""Fits the number of images at once to the free memory. Results differ only by rounding."""

from collections.abc import Callable
from typing import Literal, TypeVar

import torch

from protoviz import machine
from protoviz.errors import StudyError

T = TypeVar("T")

# Beyond these, more memory gains little: a processor's caches overflow, a GPU is busy.
_MOST = {"cpu": 64, "cuda": 512}
_SAID = (  # by torch on a processor, and by the libraries of a GPU
    *("can't allocate memory", "not enough memory"),
    *("CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED", "CUFFT_ALLOC_FAILED"),
)
_PASSES = 3  # a value, its gradient, and the workspace of the operation


def size(wanted: int | Literal["auto"], elements: int, dtype: torch.dtype, device: torch.device) -> int:
    """Images in a block.

    Args:
        wanted: a number, or "auto": what half of the free memory holds, up to what is useful.
        elements: numbers that one image holds on its way through prior and network; 0 if not known.
        dtype: of these numbers.
        device: whose memory counts.
    """
    if wanted != "auto":
        return wanted
    free = _free_on_gpu(device) if device.type == "cuda" else machine.free_memory()
    fitting = free // 2 // max(1, _PASSES * elements * dtype.itemsize)
    return max(1, min(_MOST.get(device.type, 64), fitting))


def _free_on_gpu(device: torch.device) -> int:
    """Bytes that are not allocated, and those that torch holds ready for new tensors."""
    held = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return torch.cuda.mem_get_info(device)[0] + held


def in_blocks(count: int, block: int, work: Callable[[range], T]) -> list[T]:
    """Do work on blocks of 0..count-1, in order; when memory runs out, with half as many at once.

    Raises:
        StudyError: not even one at once fits.
    """
    parts: list[T] = []
    first = 0
    while first < count:
        some = range(first, min(first + block, count))
        try:
            parts.append(work(some))
        except (MemoryError, RuntimeError) as error:
            if not _is_out_of_memory(error):
                raise
            if len(some) == 1:
                raise StudyError(
                    "synthesis",
                    expected="memory for one image",
                    found=str(error)[:200],
                    remedy="free some memory",
                ) from error
        else:
            first = some.stop
            continue
        block = len(some) // 2  # outside the handler, whose traceback holds on to the tensors
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
    return parts


def _is_out_of_memory(error: Exception) -> bool:
    out = isinstance(error, MemoryError | torch.OutOfMemoryError)
    return out or any(words in str(error) for words in _SAID)
