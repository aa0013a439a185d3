"""Embeds prototypes: every image goes through every embedder once for each masking.

This is the expensive part of distances, so it is cut into tasks, one for each (repeat, epoch), whose vectors
are kept in files until all distances are taken. Those of pixels are not kept: they are as large as the
images, and faster to make again than to read.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from protoviz import files
from protoviz.analysis import embedders
from protoviz.analysis.embedders import Embedder, Mask, Setting, Vectors
from protoviz.analysis.masks import Masks
from protoviz.analysis.pairwise import Rows
from protoviz.errors import StudyError
from protoviz.store import cube, schema, zarr_io

AT_ONCE = 256  # images in memory
HELD = 32_000_000  # bytes up to which a layer's images are held in memory; else blocks are read again

Item = tuple[int, int]  # positions of a repeat and of an epoch


@dataclass(frozen=True)
class Place:
    """The prototypes of one layer in one repeat at one epoch.

    Attributes:
        repeat, epoch: positions.
        layer: its name.
        units: their slice along the units of the cube.
    """

    repeat: int
    epoch: int
    layer: str
    units: slice


class LayerRows:
    """The vectors of the prototypes of one place in one space, made when a block of them is read.

    Args:
        prototypes: the cube with condition and run of extent one.
        place: which of them.
        embed: the space.
        mask: see `Masks`.
        what: space and masking, for errors.
    """

    def __init__(
        self, prototypes: xr.Dataset, place: Place, embed: Embedder, mask: Mask | None, what: str
    ) -> None:
        self._images = _images(prototypes, place)
        if self._images.nbytes <= HELD:
            self._images = self._images.load()
        self._embed, self._mask = embed, mask
        self._where = f"{what}, epoch {int(prototypes[schema.EPOCH][place.epoch])}, {place.layer}"

    def __len__(self) -> int:
        return self._images.sizes[schema.UNIT]

    def __getitem__(self, rows: slice) -> Vectors:
        images: NDArray[np.uint8] = self._images[rows].values
        mask = self._mask
        vectors = self._embed(images, mask[rows] if mask is not None and mask.ndim == 3 else mask)
        if not np.isfinite(vectors).all():
            raise StudyError(
                self._where,
                expected="finite vectors",
                found="a value that is not",
                remedy="look at the network's weights, or leave this embedder out of distances.embedders",
            )
        return vectors

    def blocks(self) -> list[slice]:
        """The rows in blocks, each of as many as should be in memory at once."""
        return [slice(start, min(start + AT_ONCE, len(self))) for start in range(0, len(self), AT_ONCE)]


def _images(prototypes: xr.Dataset, place: Place) -> xr.DataArray:
    at = {schema.REPEAT: place.repeat, schema.EPOCH: place.epoch, schema.UNIT: place.units}
    images = prototypes[schema.IMAGE].isel(condition=0, run=0).isel(at)
    return images.drop_vars(images.coords).transpose(schema.UNIT, schema.Y, schema.X, schema.RGB)


class Fresh:
    """Vectors made when they are asked for.

    Args:
        prototypes: the cube with condition and run of extent one.
        masks: of the same network, see `Masks`; or a function that returns None where nothing is masked.
        spaces: name -> embedder.
    """

    def __init__(
        self,
        prototypes: xr.Dataset,
        masks: Callable[[str, int, str], Mask | None],
        spaces: Mapping[str, Embedder],
    ) -> None:
        self._prototypes, self._masks, self._spaces = prototypes, masks, spaces

    def __call__(self, name: str, masking: str, place: Place) -> Rows:
        """The vectors (units, D) of one place in one space."""
        mask = self._masks(masking, place.epoch, place.layer)
        rows = LayerRows(self._prototypes, place, self._spaces[name], mask, _what(name, masking))
        if embedders.is_cheap(name):
            return rows
        return np.concatenate([rows[some] for some in rows.blocks()])


@dataclass(frozen=True)
class Embedding:
    """The task of embedding all prototypes of one (repeat, epoch), and the reader of the vectors.

    Attributes:
        prototypes: store of one network.
        fields: store of its receptive fields.
        names: of the embedders.
        setting: what they are loaded with.
        folder: where the vectors go.
    """

    prototypes: Path
    fields: Path
    names: tuple[str, ...]
    setting: Setting
    folder: Path

    def items(self) -> list[Item]:
        """All tasks; none if no vectors are to be kept."""
        if not self._kept():
            return []
        opened, _ = _opened(self.prototypes, self.fields)
        sizes = opened.sizes
        return [
            (repeat, epoch) for epoch in range(sizes[schema.EPOCH]) for repeat in range(sizes[schema.REPEAT])
        ]

    def slots(self) -> list[dict[str, str]]:
        """The places for workers on this machine; see `tasks.run`."""
        if not self._kept():
            return [{}]
        from protoviz import compute

        return compute.slots(self.setting.device, self.setting.threads)

    def done(self, item: Item) -> bool:
        """Whether its vectors are there."""
        return self._piece(item).is_dir()

    def __call__(self, item: Item) -> None:
        """Make the vectors of an item, one file for each space."""
        prototypes, masks = _opened(self.prototypes, self.fields)
        spaces = _loaded(self._kept(), self.setting)
        layers = schema.layer_slices(prototypes[schema.LAYER].values)
        count = prototypes.sizes[schema.UNIT]
        with files.complete(self._piece(item)) as partial:
            partial.mkdir()
            written: dict[str, np.memmap] = {}
            for layer, units in layers.items():
                place = Place(*item, layer, units)
                for masking in schema.MASKINGS:
                    mask = masks(masking, place.epoch, layer)
                    for name, embed in spaces.items():
                        rows = LayerRows(prototypes, place, embed, mask, _what(name, masking))
                        for some in rows.blocks():
                            vectors = rows[some]
                            file = _file(name, masking)
                            if file not in written:
                                written[file] = np.lib.format.open_memmap(
                                    partial / file, "w+", np.float32, (count, vectors.shape[1])
                                )
                            first = units.start + some.start
                            written[file][first : first + len(vectors)] = vectors

    def read(self, name: str, masking: str, place: Place) -> Rows:
        """The vectors (units, D) of one place in one space: mapped from the disk, or made when read."""
        if name in self._kept():
            path = self._piece((place.repeat, place.epoch)) / _file(name, masking)
            mapped: NDArray[np.float32] = np.load(path, mmap_mode="r")[place.units]
            return mapped
        prototypes, masks = _opened(self.prototypes, self.fields)
        return Fresh(prototypes, masks, _loaded(self.names, self.setting))(name, masking, place)

    def _kept(self) -> tuple[str, ...]:
        return tuple(name for name in self.names if not embedders.is_cheap(name))

    def _piece(self, item: Item) -> Path:
        return self.folder / f"vectors-{item[0]}-{item[1]}"


def circumstances(names: Sequence[str], setting: Setting) -> dict[str, str]:
    """What vectors depend on besides the parameters: the device and precision that "auto" stands for."""
    if all(embedders.is_cheap(name) for name in names):
        return {}
    from protoviz import compute

    device = compute.available(setting.device)
    return {"device": device.type, "precision": str(compute.precision(setting.precision, device))}


def _what(name: str, masking: str) -> str:
    return f"embedder {name!r}, {masking}"


def _file(name: str, masking: str) -> str:
    return f"{name.replace(':', '-')}-{masking}.npy"


@cache
def _opened(prototypes: Path, fields: Path) -> tuple[xr.Dataset, Masks]:
    """The prototypes and their masks, opened once in each process."""
    opened = cube.open_cube(prototypes)
    return opened, Masks(opened, zarr_io.open_dataset(fields))


@cache
def _loaded(names: tuple[str, ...], setting: Setting) -> dict[str, Embedder]:
    """The embedders, loaded once in each process: a task of some seconds should not load ten networks."""
    return embedders.load(names, setting)
