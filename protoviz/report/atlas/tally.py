"""Count, while an atlas is written, its bytes and how far its images are from those of the cubes."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from protoviz.report.atlas import sheets
from protoviz.report.atlas.sheets import Images, Quality

MOST = 0.95  # of the values lie within the distance that is stated


@dataclass
class Tally:
    """What has been written so far.

    Attributes:
        quality: of images, as `sheets.write` takes it; masks are always lossless.
        bytes: kind of file ("sheets", "units", "veils", ...) -> how many.
        images: kind of file -> how many images are on them.
        differences: (256,), how many values of prototypes are off by 0, 1, 2, ... grey levels.
    """

    quality: Quality
    bytes: Counter[str] = field(default_factory=Counter)
    images: Counter[str] = field(default_factory=Counter)
    differences: NDArray[np.int64] = field(default_factory=lambda: np.zeros(sheets.LEVELS, np.int64))

    def prototypes(self, kind: str, path: Path, images: Images) -> None:
        """Write a sheet of prototypes, and measure the loss."""
        self.pictures(kind, path, images)
        if self.quality != "lossless":
            self.differences += sheets.differences(path, images)

    def pictures(self, kind: str, path: Path, images: Images) -> None:
        """Write a sheet of other pictures."""
        self.bytes[kind] += sheets.write(path, images, self.quality)
        self.images[kind] += len(images)

    def add(self, other: "Tally") -> None:
        """Count what another one has counted, too."""
        self.bytes.update(other.bytes)
        self.images.update(other.images)
        self.differences += other.differences

    def distance(self) -> dict[str, float] | None:
        """Grey levels (of 255) between what the atlas shows and the cubes; None if it is lossless.

        Returns:
            `mean`, `most` (95 % of the values are off by at most this) and `greatest`.
        """
        if self.quality == "lossless":
            return None
        levels = np.arange(sheets.LEVELS)
        share = np.cumsum(self.differences) / self.differences.sum()
        return {
            "mean": round(float(self.differences @ levels / self.differences.sum()), 2),
            "most": int(np.searchsorted(share, MOST)),
            "greatest": int(np.flatnonzero(self.differences)[-1]),
        }
