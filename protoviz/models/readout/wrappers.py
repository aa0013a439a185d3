"""Unwrap networks from modules that run them on several devices, compile or average them; and copy them."""

import copy

import torch
from torch import Tensor, nn
from torch.nn.utils.weight_norm import WeightNorm
from torch.optim.swa_utils import AveragedModel

_RUNNING = (nn.DataParallel, nn.parallel.DistributedDataParallel, AveragedModel)


def inner_name(module: nn.Module) -> str | None:
    """The name under which a wrapper holds the network that it runs; None if the module is no wrapper."""
    if isinstance(module, _RUNNING):
        return "module"
    # Of torch.compile, whose import takes seconds.
    return "_orig_mod" if type(module).__name__ == "OptimizedModule" else None


def inner(module: nn.Module) -> nn.Module | None:
    """The network that a wrapper runs; None if the module is no wrapper."""
    name = inner_name(module)
    return None if name is None else module._modules.get(name)


def unwrapped(module: nn.Module) -> nn.Module:
    """The network itself, out of DataParallel, DistributedDataParallel, AveragedModel and torch.compile."""
    while (found := inner(module)) is not None:
        module = found
    return module


def frozen(module: nn.Module) -> nn.Module:
    """A copy in evaluation mode, without gradients, with all its parts unwrapped.

    A weight that torch.nn.utils.weight_norm computes from its direction and length at every call is
    computed once: it is the same to rounding.

    Raises:
        RuntimeError, TypeError: a part cannot be copied.
    """
    copied: dict[int, object] = {}
    # Torch does not copy computed tensors, such as a weight of weight_norm or a value that is kept.
    for part in module.modules():
        for value in (*vars(part).values(), *part._buffers.values()):
            if isinstance(value, Tensor) and not value.is_leaf:
                copied[id(value)] = value.detach().clone()
    for part in reversed(list(module.modules())):  # those within come first
        if inner(part) is not None:
            copied[id(part)] = copy.deepcopy(unwrapped(part), copied)
    made: nn.Module = copy.deepcopy(unwrapped(module), copied).eval()
    with torch.no_grad():
        for part in made.modules():
            for hook in list(part._forward_pre_hooks.values()):
                if isinstance(hook, WeightNorm):
                    nn.utils.remove_weight_norm(part, hook.name)
    return made.requires_grad_(False)
