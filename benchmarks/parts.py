"""What the parts of the benchmark of a GPU share: their sizes, the rows they give, their time."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch


@dataclass(frozen=True)
class Setting:
    """Where and at which sizes the parts run; of a miniature, at those that a processor does in seconds.

    Attributes:
        device: where to compute.
        threads: of the processor, and processes of lightly's loader.
        width, size: of the networks: channels of the first layer, and px of the images.
        small: whether the prior fc6 and the recipes are replaced by small ones.
        per_layer: units of each layer in the runs of a first measurement, one after the other; None: all.
        compared: units of each layer that are compared with the published algorithm.
        agreeing: units of each layer that are made on the device and on the processor.
        repeated: units of each layer that are made twice.
        batch, images: of the trainings.
    """

    device: torch.device
    threads: int
    width: int = 64
    size: int = 96
    small: bool = False
    per_layer: tuple[int | None, ...] = (8, 64, None)
    compared: int = 8
    agreeing: int = 2
    repeated: int = 16
    batch: int = 1024
    images: int = 8192

    @classmethod
    def miniature(cls, device: torch.device, threads: int) -> "Setting":
        """The same in seconds."""
        return cls(device, threads, 4, 32, True, (1, None), 1, 1, 1, 8, 24)

    def settle(self) -> None:
        """Wait for a GPU to finish."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


@dataclass(frozen=True)
class Row:
    """A line of the table: the part, what was measured, what came out, and how it was measured."""

    part: str
    what: str
    result: str
    how: str


@dataclass
class Budget:
    """The seconds that a part may take. What began is brought to its end."""

    seconds: float
    begun: float = field(default_factory=time.perf_counter)

    @property
    def left(self) -> float:
        """Seconds; below 0 where it took longer."""
        return self.seconds - (time.perf_counter() - self.begun)

    def share(self, parts: int) -> "Budget":
        """What is left for one of so many."""
        return Budget(max(0.0, self.left) / parts)


@dataclass(frozen=True)
class Part:
    """A part of the benchmark: what it measures, its seconds on a GPU, and what runs it."""

    title: str
    seconds: float
    run: Callable[[Setting, Budget], Iterator[Row]]
