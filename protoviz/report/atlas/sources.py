"""What an atlas is made from: cubes of prototypes, and what later stages have found about them.

Only the cube is required. Anything else may be None, which means that it was not computed; the page says so.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from protoviz.store import channels, schema

Float32 = NDArray[np.float32]
Images = NDArray[np.uint8]


@dataclass(frozen=True)
class Network:
    """One network of a cube, by its labels, and the stores that describe it.

    Attributes:
        condition, run: its labels.
        fields: the store of its receptive fields, with its own masks and perhaps the fixed ones.
        distances: the store of the distances between its prototypes.
        appearance: a data set with `saturation` (condition, run, repeat, epoch, unit).
        settling: a data set with `settling_epoch` (condition, run, repeat, unit).
        natural: a data set with `top_image` (condition, run, epoch, unit, rank), places in a data set.
        modes: the store of how many images drive its units, for all or some of the cube's units.
    """

    condition: str
    run: int
    fields: xr.Dataset | None = None
    distances: xr.Dataset | None = None
    appearance: xr.Dataset | None = None
    settling: xr.Dataset | None = None
    natural: xr.Dataset | None = None
    modes: xr.Dataset | None = None


@dataclass(frozen=True)
class Source:
    """One cube and its networks.

    Attributes:
        name: of the cube in addresses of the atlas ("study").
        title: of the cube, for people.
        cube: as `cube.open_cube` gives it.
        networks: one for each condition and run of the cube.
        projection: `position` (condition, run, repeat, epoch, unit, axis), the map.
        matching: which unit of one network corresponds to which of another.
        photographs: places in the data set, as in `top_image` -> images (N, S, S, 3).
    """

    name: str
    title: str
    cube: xr.Dataset
    networks: tuple[Network, ...]
    projection: xr.DataArray | None = None
    photographs: Callable[[NDArray[np.int64]], Images] | None = None
    matching: xr.Dataset | None = None

    @property
    def layers(self) -> dict[str, slice]:
        """Layer -> where its units lie."""
        return schema.layer_slices(self.cube[schema.LAYER].to_numpy())

    def channels(self, layer: str) -> list[int]:
        """The channels of a layer that are units, in order."""
        found: list[int] = self.cube[schema.CHANNEL].to_numpy()[self.layers[layer]].tolist()
        return found

    @property
    def size(self) -> int:
        """Height and width of the images as shown, px: the longer side, as they are padded to squares."""
        return int(max(self.cube.sizes[schema.X], self.cube.sizes[schema.Y]))

    @property
    def transparent(self) -> bool:
        """Whether the cube says where its images were changed by the ascent."""
        return schema.TRANSPARENCY in self.cube

    def opacities(self, network: Network, units: slice, **at: int) -> Float32:
        """(units, S, S) in [0, 1]: where the shown prototypes were changed by the ascent; see `stored`."""
        chosen = self.cube[schema.TRANSPARENCY].isel({**self.place(network), **at, schema.UNIT: units})
        return channels.squared(chosen.to_numpy().astype(np.float32) / np.float32(255), 1)

    def place(self, network: Network) -> dict[str, int]:
        """Where a network lies along condition and run."""
        return {
            schema.CONDITION: labels(self.cube, schema.CONDITION).index(network.condition),
            schema.RUN: labels(self.cube, schema.RUN).index(network.run),
        }

    def images(self, network: Network, units: slice, **at: int) -> Images:
        """Prototypes as they are shown: RGB squares, others padded with black; see `stored`."""
        return as_shown(self.stored(network, units, **at))

    def stored(self, network: Network, units: slice, **at: int) -> Images:
        """Prototypes of some units of a network; `at` fixes axes by position, the others are kept."""
        chosen = self.cube[schema.IMAGE].isel({**self.place(network), **at, schema.UNIT: units})
        images: Images = chosen.to_numpy()
        return images

    def numbers(self, network: Network, name: str, units: slice) -> NDArray[Any]:
        """A variable of the cube, (repeat, epoch, units)."""
        values: NDArray[Any] = self.cube[name].isel({**self.place(network), schema.UNIT: units}).to_numpy()
        return values

    def masks(self, network: Network, layer: str) -> Float32:
        """(epoch, S, S): the masks of a layer for the images as they are shown; 1 if there are none."""
        return channels.squared(self.stored_masks(network, layer), 1)

    def stored_masks(self, network: Network, layer: str) -> Float32:
        """(epoch, y, x): the masks of a layer; 1 if there are none."""
        epochs = labels(self.cube, schema.EPOCH)
        if network.fields is None or layer not in labels(network.fields, schema.LAYER):
            return np.ones((len(epochs), self.cube.sizes[schema.Y], self.cube.sizes[schema.X]), np.float32)
        chosen = network.fields[schema.MASK].isel({schema.CONDITION: 0, schema.RUN: 0})
        masks: Float32 = chosen.sel({schema.LAYER: layer, schema.EPOCH: epochs}).to_numpy()
        return np.nan_to_num(masks, nan=1.0)

    def fixed_mask(self, layer: str) -> Float32 | None:
        """(1, S, S): the one mask of a layer in all networks and epochs; None if there is none."""
        fields = self.networks[0].fields
        if fields is None or schema.FIXED_MASK not in fields:
            return None
        mask: Float32 = fields[schema.FIXED_MASK].sel({schema.LAYER: layer}).to_numpy()
        return channels.squared(np.nan_to_num(mask[None], nan=1.0), 1)


def as_shown(images: Images) -> Images:
    """Images (..., y, x, C) as RGB squares (..., S, S, 3), by the rule of `channels.as_rgb`."""
    return channels.squared(channels.as_rgb(images), -3)


def labels(dataset: xr.Dataset | xr.DataArray, name: str) -> list[Any]:
    """The labels along a dimension as plain Python values."""
    found: list[Any] = dataset[name].to_numpy().tolist()
    return found
