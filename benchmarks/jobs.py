"""What a method of the comparison is asked for, and what it gives back."""

from collections import Counter
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from benchmarks.subjects import Subject

Extent = Literal["whole", "warm", "once"]


@dataclass(frozen=True)
class Job:
    """What a method is asked for.

    Attributes:
        subject: network and prior.
        units: layer -> channels.
        repeat: which of several independent repetitions.
        steps: of methods without a budget of their own.
        stretch: how many times as many steps of ascent, for `longer`.
        extent: the whole; or only to warm up: the same shapes, next to no steps; or only what is done
            once for a network, however many of its units are asked for (ours).
        layers_at_once: as in `Study`.
    """

    subject: Subject
    units: dict[str, list[int]]
    repeat: int
    steps: int
    stretch: float
    extent: Extent
    layers_at_once: int = 1

    def address(self, *more: str | int) -> tuple[str | int, ...]:
        """Where random numbers come from."""
        condition, run, epoch = self.subject.address
        return (condition, run, self.repeat, epoch, *more)


@dataclass(frozen=True)
class Made:
    """What a method gives back.

    Attributes:
        images: uint8 (U, size, size, 3).
        latents: (U, n), where the method has latents with a prior of N(0, I).
        forward, gradient: layer -> images that went through the network forward, or there and back.
        once: of those that went forward, those that do so once for a network, whatever its units.
    """

    images: NDArray[np.uint8]
    latents: NDArray[np.floating] | None
    forward: Counter[str]
    gradient: Counter[str]
    once: Counter[str]
