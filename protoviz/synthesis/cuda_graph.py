"""A step that is repeated many times, recorded once on a GPU and replayed: no launch costs of its own."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def captured(step: Callable[[], None], state: Sequence[Tensor], device: torch.device) -> Callable[[], None]:
    """What repeats a step: a CUDA graph on a GPU, the step itself elsewhere.

    Args:
        step: reads and writes tensors in place, the same ones each time, and nothing else.
        state: the tensors that it changes; recording leaves them as they are.
        device: where they are.
    """
    if device.type != "cuda":
        return step
    before = [tensor.clone() for tensor in state]
    beside = torch.cuda.Stream(device)
    beside.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(
        beside
    ):  # libraries set themselves up in the first calls, which must not be recorded
        for _ in range(2):
            step()
    torch.cuda.current_stream(device).wait_stream(beside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    for tensor, value in zip(state, before, strict=True):
        tensor.copy_(value)
    return graph.replay
