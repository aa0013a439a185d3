"""Parse which units are meant by "layer4", "layer4:0-15", {"layer2": [3, 5]}."""

import operator
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch

from protoviz.errors import StudyError
from protoviz.models.readout.network import Network

Channels = Any  # text, a number, numbers, directions (K, C), or None for all
Units = str | Sequence[str] | Mapping[str, Channels]

_FORMS = "layer, layer:3, layer:3,5 or layer:0-15"


def selected(network: Network, units: Units) -> dict[str, list[int]]:
    """Layer -> channels, each once, in the order in which they are named.

    Args:
        network: the network that has them.
        units: "layer", "layer:3", "layer:3,5", "layer:0-15" (both included), several of these, or a mapping
            layer -> channels: None for all, a number, some numbers, text as after the colon, or an array
            (K, C) of directions in the space of its channels, which make a layer "<layer> directions".

    Raises:
        StudyError: the network lacks a layer or a channel, no units are named, or the form is another.
    """
    chosen: dict[str, dict[int, None]] = {}
    for layer, channels in _named(units):
        if getattr(channels, "ndim", 0) == 2:  # directions in the layer's space
            layer, channels = network.add_directions(layer, torch.as_tensor(channels)), None
        count = network.layer(layer).channels
        for first, last in _spans(layer, channels, count):
            # Checked before they are listed: a typing error may ask for billions.
            network.require_channels(layer, [first, last])
            chosen.setdefault(layer, {}).update(dict.fromkeys(range(first, last + 1)))
    if not chosen:
        raise StudyError(
            "units", expected="at least one", found="none", remedy="name a layer, such as 'layer4:0-15'"
        )
    return {layer: list(channels) for layer, channels in chosen.items()}


def _named(units: Units) -> Iterator[tuple[str, Channels]]:
    """Layers and their channels as they are written."""
    if isinstance(units, Mapping):
        yield from units.items()
        return
    for text in [units] if isinstance(units, str) else units:
        if not isinstance(text, str):
            raise _refused(repr(text), type(text).__name__)
        layer, colon, channels = text.partition(":")
        yield layer, channels if colon else None


def _spans(layer: str, channels: Channels, count: int) -> Iterator[tuple[int, int]]:
    """First and last channel of each part of what is asked for."""
    if channels is None:
        yield 0, count - 1
    elif isinstance(channels, str):
        for part in channels.split(","):
            match = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", part)
            first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
            if last < first:
                raise _refused(f"{layer}:{channels}", repr(part))
            yield first, last
    else:
        for channel in channels if isinstance(channels, Iterable) else [channels]:
            try:
                number = operator.index(channel)
            except TypeError:
                number = None
            if number is None or isinstance(channel, bool):
                raise _refused(f"{layer}: {channel!r}", type(channel).__name__)
            yield number, number


def _refused(what: str, found: str) -> StudyError:
    return StudyError(f"units {what!r}", expected=_FORMS, found=found, remedy="write channels as numbers")
