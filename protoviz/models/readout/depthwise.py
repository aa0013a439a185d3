"""Gradients of strided depthwise convolutions in bfloat16, computed in float32.

Processors have no fast kernel for them: on one core of a Xeon with AMX, torch 2.15, 32 maps of 672 channels,
7 x 7 px, kernel 5, stride 2, took 56 ms, in float32 0.5 ms. The four of EfficientNet-Lite0 were half the time
of a search.
"""

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode


def gradients_in_float32(dtype: torch.dtype, device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """Within the block these gradients are computed in float32, if a search in this precision is slow there.

    Values are what they are without it. No weight may need a gradient.
    """
    return _InFloat32() if dtype is torch.bfloat16 and device.type == "cpu" else contextlib.nullcontext()


class _InFloat32(TorchFunctionMode):
    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        call = _conv2d if func is torch.conv2d else func
        return call(*args, **(kwargs or {}))


def _conv2d(
    input: Tensor,  # these names are torch's
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] | str = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> Tensor:
    """`torch.conv2d`, with the gradient in float32 where that is quicker."""
    steps = _pair(stride)
    if (
        input.dtype is not torch.bfloat16
        or not 1 < groups == input.shape[-3]
        or max(steps) == 1
        or isinstance(padding, str)
        or not input.requires_grad
        or input.ndim != 4
    ):
        return torch.conv2d(input, weight, bias, stride, padding, dilation, groups)
    made: Tensor = _Convolution.apply(input, weight, bias, steps, _pair(padding), _pair(dilation), groups)
    return made


class _Convolution(torch.autograd.Function):
    """A convolution whose weights are constants."""

    @staticmethod
    def forward(
        ctx: Any,
        images: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        stride: list[int],
        padding: list[int],
        dilation: list[int],
        groups: int,
    ) -> Tensor:
        ctx.save_for_backward(weight)
        ctx.shape, ctx.how = images.shape, (stride, padding, dilation, False, [0, 0], groups)
        return torch.conv2d(images, weight, bias, stride, padding, dilation, groups)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (given,), (weight,) = gradients, ctx.saved_tensors
        # Of the images only the shape counts, and that they are channels last: that is three times as fast.
        images = torch.empty(ctx.shape, memory_format=torch.channels_last)
        found, *_ = torch.ops.aten.convolution_backward(
            given.float(), images, weight.float(), None, *ctx.how, [True, False, False]
        )
        return found.to(given.dtype), *[None] * 6


def _pair(value: int | Sequence[int]) -> list[int]:
    found = [value] if isinstance(value, int) else list(value)
    return found * 2 if len(found) == 1 else found
