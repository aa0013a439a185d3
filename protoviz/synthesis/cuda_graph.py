"""A step that is repeated many times, recorded once on a GPU and replayed: no launch costs of its own.

While a step is recorded nothing may wait for the GPU or copy from the host's memory. `item` and `nonzero` do,
and, where kernels have to be deterministic, `index_copy_` and the gradient of `gather`:
tests/synthesis/test_recorded_step.py looks for them.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def captured(step: Callable[[], None], state: Sequence[Tensor], device: torch.device) -> Callable[[], None]:
    """A function that repeats a step: a CUDA graph on a GPU, the step itself elsewhere.

    Args:
        step: reads and writes tensors in place, the same ones each time, and nothing else.
        state: the tensors that it changes; recording leaves them as they are.
        device: where they are.
    """
    if device.type != "cuda":
        return step
    with torch.cuda.device(device):  # a stream, and what a graph waits for, belong to the current one
        before = [tensor.clone() for tensor in state]
        beside = torch.cuda.Stream()
        beside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(beside):
            for _ in range(2):  # libraries set themselves up in the first calls, which must not be recorded
                step()
        torch.cuda.current_stream().wait_stream(beside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=beside):
            step()
        for tensor, value in zip(state, before, strict=True):
            tensor.copy_(value)
    return graph.replay
