"""All ways to read a trainer's file as the weights of a network, and whether one of them fits."""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

COUNT = "num_batches_tracked"  # of a normalisation: older files do not have it, and nothing here uses it
_DEPTH = 5  # mappings within mappings that are looked into
# What torch.compile, FSDP and activation checkpointing put into names.
_WRAPPERS = re.compile(r"\b(_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")


def cleaned(name: str) -> str:
    """The name of a weight without what wrappers have inserted."""
    return _WRAPPERS.sub("", name)


@dataclass(frozen=True)
class Candidate:
    """One way to read a file: a state dict in it, and how its names become those of the network."""

    key: str
    prefix: str
    tensors: Mapping[str, Tensor]
    sources: Mapping[str, str]  # the network's name -> the file's, whether or not the shapes agree
    wanted: Mapping[str, Tensor]
    children: Mapping[str, str]  # a position in the file -> the network's child, where it names positions

    @cached_property
    def agreeing(self) -> dict[str, str]:
        """The `sources` whose shapes agree with the network's."""
        return {
            name: source
            for name, source in self.sources.items()
            if self.tensors[source].shape == self.wanted[name].shape
        }

    @cached_property
    def left_out(self) -> tuple[str, ...]:
        """Names in the file that are not taken."""
        taken = set(self.agreeing.values())
        return tuple(name for name in self.tensors if name not in taken)

    def same_weights(self, other: "Candidate", needed: Collection[str]) -> bool:
        """Whether it makes no difference which of the two is taken."""
        return all(
            torch.equal(self.tensors[self.sources[name]], other.tensors[other.sources[name]])
            for name in needed
            if name in self.sources and name in other.sources
        )


def candidates(held: object, module: nn.Module) -> Iterator[Candidate]:
    """All ways to read a file in which some name and shape agree with the network's.

    Args:
        held: what the file holds, see `trained_files.contents`.
        module: the network.
    """
    wanted = {cleaned(name): tensor for name, tensor in module.state_dict().items()}
    children = _positions(module)
    by_position = {
        f"{position}.{name.partition('.')[2]}": name
        for position, child in children.items()
        for name in wanted
        if name.startswith(f"{child}.")
    }
    for key, tensors in mappings(held):
        for table, places in (({name: name for name in wanted}, {}), (by_position, children)):
            prefixes = Counter(
                ".".join([*parts[:at], ""])
                for name, tensor in tensors.items()
                for parts in [name.split(".")]
                for at in range(len(parts))
                if (own := table.get(".".join(parts[at:]))) and wanted[own].shape == tensor.shape
            )
            for prefix in prefixes:
                sources = {own: prefix + name for name, own in table.items() if prefix + name in tensors}
                yield Candidate(key, prefix, tensors, sources, wanted, places)
        # The file may hold only a part of the network, such as the backbone of a module with a head.
        inner = {
            ".".join([*parts[:at], ""])
            for name, tensor in wanted.items()
            for parts in [name.split(".")]
            for at in range(1, len(parts))
            if (given := tensors.get(".".join(parts[at:]))) is not None and given.shape == tensor.shape
        }
        for outer in sorted(inner):
            sources = {outer + name: name for name in tensors if outer + name in wanted}
            yield Candidate(key, "", tensors, sources, wanted, {})


def mappings(held: object, key: str = "", depth: int = 0) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Every mapping in a file that holds tensors by name, with its key."""
    if not isinstance(held, Mapping) or depth > _DEPTH:
        return
    tensors = {
        name: value for name, value in held.items() if isinstance(name, str) and isinstance(value, Tensor)
    }
    if tensors:
        plain = {cleaned(name): value for name, value in tensors.items()}
        yield key, plain if len(plain) == len(tensors) else tensors
    for name, value in held.items():
        if isinstance(name, str):
            yield from mappings(value, f"{key}.{name}" if key else name, depth + 1)


def _positions(module: nn.Module) -> dict[str, str]:
    """The names that nn.Sequential(*network.children()) gives to children -> the network's own.

    Self-supervised trainers often cut a network's head off in this way.
    """
    names = [name for name, _ in module.named_children()]
    if all(name.isdigit() for name in names):
        return {}
    return {str(at): name for at, name in enumerate(names)}


def problem(candidate: Candidate, required: Collection[str], module: nn.Module) -> str | None:
    """Why a candidate does not fit; None if it does."""
    missing = [name for name in required if name not in candidate.sources]
    if missing:
        return f"no {missing[0]} ({len(missing)} missing of {len(required)})"
    for name in required:
        tensor, expected = candidate.tensors[candidate.sources[name]], candidate.wanted[name]
        if tensor.shape != expected.shape:
            return f"{name} of shape {tuple(tensor.shape)} (not {tuple(expected.shape)})"
        if tensor.is_floating_point() != expected.is_floating_point():
            return f"{name} of {_short(tensor.dtype)} (not {_short(expected.dtype)})"
        if not tensor.isfinite().all():
            return f"{name} with NaN or infinity"
    return _unexpected(candidate, required, module)


def _unexpected(candidate: Candidate, required: Collection[str], module: nn.Module) -> str | None:
    """Weights in the file that a part of the network that is needed does not have.

    A deeper network has all the weights of a shallower one, and more: the two differ in the weights next to
    the needed ones, or in further members of a numbered row. Weights elsewhere, such as another head, do not
    matter.
    """
    known = {cleaned(f"{name}.").strip(".") for name, _ in module.named_modules()}
    buffers = {cleaned(name) for name, _ in module.named_buffers()}
    inside = {outer for name in required for outer in _ancestors(name)}
    row = all(name.isdigit() for name, _ in module.named_children())
    taken = set(candidate.sources.values())
    for source in candidate.tensors:
        if source in taken or not source.startswith(candidate.prefix) or source.endswith(COUNT):
            continue
        first, dot, rest = source.removeprefix(candidate.prefix).partition(".")
        name = f"{candidate.children.get(first, first)}{dot}{rest}"
        home = next((outer for outer in _ancestors(name) if outer in known), "")
        beside = home in inside if home else row and first.isdigit()
        if beside and name not in buffers:
            return f"also {name}, which the network does not have"
    return None


def _ancestors(name: str) -> list[str]:
    """The modules that contain a name, the nearest first."""
    parts = name.split(".")
    return [".".join(parts[:at]) for at in range(len(parts) - 1, 0, -1)]


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
