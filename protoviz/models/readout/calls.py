"""The calls of a network's modules in one forward pass: what each returns, and how it is named.

The first call of a module has the module's name; further ones are `name#2`, `name#3`, ...
"""

import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

Shape = tuple[int, ...]


def name_of(path: str, number: int) -> str:
    """The name of the n-th call of a module, counted from 1."""
    return path if number == 1 else f"{path}#{number}"


def path_of(name: str) -> str:
    """The module whose call has this name."""
    path, mark, number = name.rpartition("#")
    return path if mark and number.isdecimal() else name


class Counted:
    """Gives calls their names, in the order in which they end."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def __call__(self, path: str) -> str:
        """The name of this call of a module."""
        self.counts[path] += 1
        return name_of(path, self.counts[path])


@contextmanager
def heard(module: nn.Module, tell: Callable[[str, nn.Module, Any, Any], None]) -> Iterator[None]:
    """Report each call as it ends, inner ones first: its name, the module, its arguments, its result."""
    counted = Counted()

    def hook(path: str) -> Callable[..., None]:
        return lambda part, given, output: tell(counted(path), part, given, output)

    handles = [part.register_forward_hook(hook(path)) for path, part in module.named_modules()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@dataclass
class Calls:
    """What the calls of a forward pass return, and the order in which they end.

    Attributes:
        shapes: call -> shape of what it returns, without the batch, if that is one tensor whose first axis is
            the batch.
        others: call -> what else it returns, in words, such as a tuple or windows of all images.
        sources: call -> the call that returned the tensor it is given, if one did.
    """

    shapes: dict[str, Shape] = field(default_factory=dict)
    others: dict[str, str] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)

    def of(self, path: str) -> list[str]:
        """The calls of a module."""
        return [name for name in (*self.shapes, *self.others) if path_of(name) == path]


def record(module: nn.Module, images: Tensor) -> Calls:
    """The calls of a network's modules when it is given images, without the network's own call."""
    calls = Calls()
    returned: dict[int, tuple[weakref.ref[Tensor], str]] = {}

    def tell(name: str, _module: nn.Module, given: Any, output: Any) -> None:
        if given and id(given[0]) in returned:
            value, source = returned[id(given[0])]
            if value() is given[0]:  # an identity passes the same tensor on to the next call
                calls.sources[name] = source
        if not isinstance(output, Tensor):
            calls.others[name] = f"a {type(output).__name__}"
        elif output.shape[:1] != images.shape[:1]:
            calls.others[name] = f"{tuple(output.shape)}, whose first axis is not the batch"
        else:
            calls.shapes[name] = tuple(output.shape[1:])
        if isinstance(output, Tensor):
            returned[id(output)] = weakref.ref(output), name

    with heard(module, tell):
        module(images.clone())
    for found in (calls.shapes, calls.others):
        found.pop("", None)
    return calls


def why_not(module: nn.Module, calls: Calls, name: str) -> tuple[str, str] | None:
    """Why the name of a module is not one of a layer, and what to do; None if no module has this name."""
    path = path_of(name)
    part = dict(module.named_modules(remove_duplicate=False)).get(path)
    if part is None or not path:
        return None
    kind, made = type(part).__name__, calls.of(path)
    first = next((other for other, same in module.named_modules() if same is part), path)
    if first != path:
        return f"another name of {first!r}", f"name it {first!r}"
    if not made:
        return f"a {kind} that the network does not call when it is given images", "name one that it calls"
    if name not in made:
        return f"{len(made)} calls of it in one forward pass", f"name it {' or '.join((made[0], made[-1]))}"
    if name in calls.others:
        return f"a {kind} that returns {calls.others[name]}", "name a module inside it, or one that it feeds"
    return f"a {kind} that has no units of its own", "name the layer before it"
