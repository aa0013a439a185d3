"""Check whether a network responds to the same images in the same way each time, and if not, which module."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from protoviz.errors import StudyError
from protoviz.models.readout.calls import heard

# Passes of a network that draws random numbers. A block that is left out one time in twenty is missed by half
# of the checks with this many.
PASSES = 16
_KEPT = 4096  # values of a tensor that are compared, evenly spaced over it
_ROUNDING = 1e-4  # relative to the greatest value: sums of several threads may differ by so much


@dataclass(frozen=True)
class _Call:
    """What one call of a module was given and what it returned."""

    name: str
    type: str
    given: list[Tensor]
    returned: list[Tensor]


def require_repeatable(module: nn.Module, images: Tensor) -> None:
    """Check that two passes with the same images agree; more passes if the network draws random numbers.

    The state of torch's random numbers is left as it was.

    Raises:
        StudyError: they do not. The message names the module where the first difference arises: the first
            whose inputs agree and whose outputs do not.
    """
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        before = torch.get_rng_state()
        first = _pass(module, images)
        draws = not torch.equal(before, torch.get_rng_state())
        for _ in range(PASSES - 1 if draws else 1):
            for one, other in zip(first, _pass(module, images), strict=False):
                differs = one.name != other.name or not _agree(one.returned, other.returned)
                if differs and _agree(one.given, other.given):
                    raise StudyError(
                        f"network: {one.name or 'its own forward'} ({one.type})",
                        expected="the same output for the same images in evaluation mode",
                        found="one that changes from call to call",
                        remedy="switch its randomness off in evaluation mode: training=self.training",
                    )


def _pass(module: nn.Module, images: Tensor) -> list[_Call]:
    """All calls of a forward pass, in the order in which they end: the innermost come first."""
    calls: list[_Call] = []
    waiting: list[list[Tensor]] = []

    def begin(_part: nn.Module, args: Any, kwargs: Any) -> None:
        waiting.append(_sampled((args, kwargs)))  # before the module overwrites them

    def end(name: str, part: nn.Module, _args: Any, output: Any) -> None:
        calls.append(_Call(name, type(part).__name__, waiting.pop(), _sampled(output)))

    handles = [part.register_forward_pre_hook(begin, with_kwargs=True) for part in module.modules()]
    try:
        with heard(module, end):
            module(images.clone())
    finally:
        for handle in handles:
            handle.remove()
    return calls


def _sampled(values: Any) -> list[Tensor]:
    """Some values of every tensor in nested tuples, lists and mappings."""
    return [_some(value) for value in _tensors(values)]


def _some(values: Tensor) -> Tensor:
    flat = values.detach().reshape(-1)
    some = flat[:: max(1, len(flat) // _KEPT)]
    return (torch.view_as_real(some).flatten() if some.is_complex() else some).float().clone()


def _tensors(values: Any) -> Iterator[Tensor]:
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, tuple | list):
        for value in values:
            yield from _tensors(value)
    elif isinstance(values, Mapping):
        yield from _tensors(list(values.values()))


def _agree(ones: list[Tensor], others: list[Tensor]) -> bool:
    return len(ones) == len(others) and all(map(_same, ones, others))


def _same(one: Tensor, other: Tensor) -> bool:
    if one.shape != other.shape:
        return False
    finite = one[one.isfinite()].abs()
    greatest = float(finite.max()) if len(finite) else 0.0
    return torch.allclose(one, other, rtol=0, atol=_ROUNDING * greatest, equal_nan=True)
