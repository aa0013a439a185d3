"""What a module must be to be read: it can be copied, its weights are numbers, it takes the images."""

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from protoviz.errors import StudyError, said
from protoviz.models.readout import trace


def require_finite(module: nn.Module) -> None:
    """Every weight is a number.

    Raises:
        StudyError: naming the first that is not.
    """
    for name, tensor in module.state_dict().items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise StudyError(
                f"network: {name}",
                expected="finite weights",
                found=f"{int((~tensor.isfinite()).sum())} of {tensor.numel()} that are not",
                remedy="train it again, or leave this checkpoint out",
            )


def with_numbers(module: nn.Module) -> nn.Module:
    """The module itself if all its weights are numbers; else a copy with 1 for those that are not."""
    if all(tensor.isfinite().all() for tensor in module.state_dict().values()):
        return module
    copied = copy.deepcopy(module)
    for tensor in copied.state_dict().values():
        torch.nan_to_num_(tensor, 1, 1, 1)
    return copied


def require_own_statistics(module: nn.Module) -> None:
    """The response to an image does not depend on the others of its batch.

    Raises:
        StudyError: naming the first batch normalisation that has no statistics of its own.
    """
    for name, part in module.named_modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm) and part.running_mean is None:
            raise StudyError(
                f"network: {name}",
                expected="batch normalisation with running statistics",
                found="none, so that the images of a batch change each other's responses",
                remedy="train it with running statistics, or choose another normalisation",
            )


def require_pixels(size: int) -> None:
    """Images of this size have pixels.

    Raises:
        StudyError: they have none.
    """
    if size < 1:
        raise _unfit(size, "no pixels")


def copied(module: nn.Module) -> nn.Module:
    """See `trace.frozen`.

    Raises:
        StudyError: torch cannot copy it.
    """
    try:
        return trace.frozen(module)
    except (RuntimeError, TypeError) as error:
        raise StudyError(
            f"network {type(module).__name__}",
            expected="a module that copy.deepcopy can copy",
            found=_short(error),
            remedy="take off what is not a plain module, as torch.nn.utils.remove_weight_norm does",
        ) from error


def shapes(module: nn.Module, example: Tensor, size: int) -> dict[str, tuple[int, ...]]:
    """Module -> shape of its output, without the batch.

    Raises:
        StudyError: the network cannot take such images.
    """
    try:
        with torch.no_grad():
            found = _shapes(module, example)
    except (RuntimeError, ValueError, AssertionError, IndexError, TypeError) as error:
        raise _unfit(size, _short(error)) from error
    for name, shape in found.items():
        if 0 in shape:
            raise _unfit(size, f"nothing left of them at {name}")
    return found


def _shapes(module: nn.Module, images: Tensor) -> dict[str, tuple[int, ...]]:
    """Module -> shape of its output without the batch, of every module that returns one tensor, once.

    A tensor whose first axis is not the batch is left out, such as one of windows of all images.
    """
    found: dict[str, tuple[int, ...] | None] = {}

    def keep(name: str) -> Callable[..., None]:
        def hook(_module: nn.Module, _given: Any, output: Any) -> None:
            once = name not in found and isinstance(output, Tensor)
            batched = once and output.shape[:1] == images.shape[:1]
            found[name] = tuple(output.shape[1:]) if batched else None

        return hook

    handles = [part.register_forward_hook(keep(name)) for name, part in module.named_modules() if name]
    try:
        module(images.clone())
    finally:
        for handle in handles:
            handle.remove()
    return {name: shape for name, shape in found.items() if shape is not None}


def _unfit(size: int, found: str) -> StudyError:
    return StudyError(
        f"network, images of {size} px",
        expected="a size that it can take",
        found=found,
        remedy="choose another size",
    )


def _short(error: Exception) -> str:
    return said(error)
