"""Check that a module can be read: it can be copied, its weights are numbers, it takes the images."""

import copy
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from protoviz.config.image_size import Size, checked, named, sides
from protoviz.errors import StudyError, said
from protoviz.models.readout import calls, wrappers
from protoviz.models.resnet import IMAGENET_MEAN, IMAGENET_STD


def require_python(module: nn.Module) -> None:
    """Check that all its modules are Python, whose calls can be watched.

    Raises:
        StudyError: one is TorchScript; the message names the first.
    """
    for name, part in module.named_modules():
        if isinstance(part, torch.jit.ScriptModule):
            raise StudyError(
                f"network: {name or 'itself'} ({part.original_name})",
                expected="modules of Python, whose layers can be read",
                found="TorchScript, whose operations are compiled",
                remedy="pass the module that was scripted or traced, and load the weights into it: "
                "model.load_state_dict(scripted.state_dict())",
            )


def require_initialised(module: nn.Module) -> None:
    """Check that every weight has a shape.

    Raises:
        StudyError: a lazy module has seen no images yet; the message names the first.
    """
    for name, part in module.named_modules():
        if any(is_lazy(value) for value in (*part._parameters.values(), *part._buffers.values())):
            raise StudyError(
                f"network: {name or 'itself'} ({type(part).__name__})",
                expected="weights with a shape",
                found="a lazy module that has seen no images",
                remedy="run the network once on images, or load its weights",
            )


def require_finite(module: nn.Module) -> None:
    """Check that every weight is a number.

    Raises:
        StudyError: one is not; the message names the first.
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
    """The module itself if all its weights are numbers; otherwise a copy with 1 in place of the others."""
    if all(tensor.isfinite().all() for tensor in module.state_dict().values()):
        return module
    copied = copy.deepcopy(module)
    for tensor in copied.state_dict().values():
        torch.nan_to_num_(tensor, 1, 1, 1)
    return copied


def normalisation(
    module: nn.Module, size: Size, mean: Sequence[float] | None, std: Sequence[float] | None
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation of each channel of a network's images; see `Network`.

    Raises:
        StudyError: there are too few or too many, one is not finite, or a deviation is not above 0.
    """
    first, count = channels(module), channel_count(module, size)
    if first is None or first[1] != len(IMAGENET_MEAN):
        count = len(mean if mean is not None else std or ()) or count
    is_rgb = count == len(IMAGENET_MEAN)
    means = tuple(map(float, mean if mean is not None else IMAGENET_MEAN if is_rgb else [0] * count))
    stds = tuple(map(float, std if std is not None else IMAGENET_STD if is_rgb else [1] * count))
    for name, values, above in (("mean", means, -math.inf), ("std", stds, 0.0)):
        if len(values) != count or not all(above < value < math.inf for value in values):
            number = "three numbers" if is_rgb else f"{count} number{'s' * (count != 1)}"
            colours = "for red, green and blue" if is_rgb else "one for each channel"
            raise StudyError(
                name,
                expected=f"{number}{' above 0' * (above == 0)}, {colours} in [0, 1]",
                found=str(list(values)),
                remedy="leave it out for the network's own or ImageNet's, or 0 and 1 if it takes no RGB",
            )
    return means, stds


def require_own_statistics(module: nn.Module) -> None:
    """Check that the response to an image does not depend on the others in its batch.

    Raises:
        StudyError: a batch normalisation has no statistics of its own; the message names the first.
    """
    for name, part in module.named_modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm) and part.running_mean is None:
            raise StudyError(
                f"network: {name}",
                expected="batch normalisation with running statistics",
                found="none, so that the images of a batch change each other's responses",
                remedy="train it with running statistics, or choose another normalisation",
            )


def copied(module: nn.Module) -> nn.Module:
    """See `wrappers.frozen`.

    Raises:
        StudyError: torch cannot copy it.
    """
    try:
        return wrappers.frozen(module)
    except (RuntimeError, TypeError) as error:
        raise StudyError(
            f"network {type(module).__name__}",
            expected="a module that copy.deepcopy can copy",
            found=said(error),
            remedy="take off what cannot be copied, such as open files and locks",
        ) from error


def called(module: nn.Module, example: Tensor, size: Size) -> calls.Calls:
    """What the modules of a network return when it is given images.

    Raises:
        StudyError: the network cannot take images of this size or with this number of channels.
    """
    try:
        with torch.no_grad():
            found = calls.record(module, example)
    except Exception as error:  # whatever a network's own code may raise
        raise _unfit(module, example, size, said(error)) from error
    for name, shape in found.shapes.items():
        if 0 in shape:
            raise _unfit(module, example, size, f"nothing left of them at {name}")
    return found


def _unfit(module: nn.Module, example: Tensor, size: Size, found: str) -> StudyError:
    own, given = channels(module), example.shape[1]
    if own is not None and own[1] != given:
        return StudyError(
            f"network, images of {_counted(given)}",
            expected=f"images of {_counted(own[1])}, as its first convolution {own[0]!r} takes",
            found=f"{_counted(given)}: {found}",
            remedy="give mean and std a number for each channel that it takes",
        )
    remedy = "choose another size"
    if own is None:
        remedy += ", or give mean and std a number for each channel that it takes"
    return StudyError(
        f"network, images of {named(size)}", expected="a size that it can take", found=found, remedy=remedy
    )


def channels(module: nn.Module) -> tuple[str, int] | None:
    """The first convolution of a network, in the order of its modules, and the channels that it takes."""
    for name, part in module.named_modules():
        if isinstance(part, nn.Conv2d):
            return name or type(part).__name__, part.in_channels
    return None


def channel_count(module: nn.Module, size: Any) -> int:
    """How many channels a network's images have if nothing says so: what its first convolution takes.

    Three if it has no convolution, or if the network takes RGB nevertheless: if it converts images to grey,
    or pixels into channels, before that convolution.
    """
    first = channels(module)
    if first is None or first[1] == len(IMAGENET_MEAN):
        return len(IMAGENET_MEAN)
    for count in (len(IMAGENET_MEAN), first[1]):
        try:
            with torch.no_grad():
                wrappers.frozen(module).cpu().float()(torch.zeros(2, count, *sides(checked(size))))
        except Exception:  # whatever a network's own code may raise; it is reported later
            continue
        return count
    return first[1]


def _counted(number: int) -> str:
    return f"{number} channel{'s' * (number != 1)}"
