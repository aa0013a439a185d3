"""Which weights of a network the responses of a layer depend on."""

import contextlib
from collections.abc import Callable, Collection
from typing import Any

import torch
from torch import Tensor, nn

from protoviz.models.readout import wrappers
from protoviz.models.readout.calls import Counted, path_of


class _ReachedError(Exception):
    """All layers have responded: nothing past them is run."""


def weights(module: nn.Module, layers: Collection[str], example: Tensor) -> set[str]:
    """Names of the parameters and buffers that determine the responses of layers.

    Parameters are those with respect to which the layers' outputs have a gradient; buffers, which have none,
    are those of all modules called until then. A PReLU that follows a layer counts, as it is its
    non-linearity.

    Args:
        module: the network; it is copied, not changed.
        layers: names of calls of its modules.
        example: normalised images (B, C, H, W).

    Returns:
        Names as in the module's state dict.
    """
    copied = wrappers.frozen(module).cpu().float()
    for parameter in copied.parameters():
        parameter.requires_grad_(True)
    waiting, outputs, called = set(layers), list[Tensor](), list[str]()

    def entered(name: str) -> Callable[..., None]:
        def hook(part: nn.Module, _given: Any) -> None:
            if not waiting:
                if isinstance(part, nn.PReLU):
                    outputs.append(part.weight.sum())
                raise _ReachedError
            called.append(name)

        return hook

    counted = Counted()

    def left(path: str) -> Callable[..., None]:
        def hook(_part: nn.Module, _given: Any, output: Any) -> None:
            name = counted(path)
            if name in waiting:
                outputs.extend(one for one in (output if isinstance(output, tuple) else (output,)))
                waiting.discard(name)

        return hook

    asked = set(map(path_of, layers))
    for name, part in copied.named_modules():
        part.register_forward_pre_hook(entered(name))
        if name in asked:
            part.register_forward_hook(left(name))
    with torch.enable_grad(), contextlib.suppress(_ReachedError):
        copied(example)
    reached = _leaves([one for one in outputs if isinstance(one, Tensor)])
    names = {name for name, one in copied.named_parameters(remove_duplicate=False) if id(one) in reached}
    homes = set(called)
    return names | {
        name for name, _ in copied.named_buffers(remove_duplicate=False) if name.rpartition(".")[0] in homes
    }


def _leaves(outputs: list[Tensor]) -> set[int]:
    """The identities of the parameters that outputs were computed from."""
    found, seen = set[int](), set[Any]()
    waiting: list[Any] = [one.grad_fn for one in outputs if one.grad_fn is not None]
    while waiting:
        function = waiting.pop()
        if function in seen:
            continue
        seen.add(function)
        if hasattr(function, "variable"):
            found.add(id(function.variable))
        waiting.extend(following for following, _ in function.next_functions if following is not None)
    return found
