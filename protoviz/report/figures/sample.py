"""The part of the cube that pictures are drawn from: the first run and repeat, with its masks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xarray as xr

from protoviz.errors import StudyError
from protoviz.report.figures.pictures import Images, Mask, apply_mask
from protoviz.store import schema
from protoviz.store.channels import as_rgb, squared

Masks = Mapping[str, xr.Dataset | None]


@dataclass(frozen=True)
class Drawn:
    """Prototypes of some units of one layer, condition and epoch."""

    images: Images  # (units, y, x, rgb), masked where there is a mask
    activation: npt.NDArray[np.float32]  # (units,)
    alive: npt.NDArray[np.bool_]  # (units,), whether there is a prototype
    mask: Mask | None  # (y, x)


class Sample:
    """The first run and repeat of a cube. Its images are shown as RGB, and padded with black to squares.

    Args:
        cube: the prototypes (protoviz.store.cube.open_cube).
        masks: the receptive fields by condition; empty or None if they are missing.
    """

    def __init__(self, cube: xr.Dataset, masks: Masks) -> None:
        self.run = int(cube[schema.RUN].values[0])
        self.conditions = names(cube[schema.CONDITION])
        self.epochs = [int(epoch) for epoch in cube[schema.EPOCH].values]
        self.size = max(cube.sizes[schema.X], cube.sizes[schema.Y])
        self._layer_of_unit = names(cube[schema.LAYER])
        self._channel_of_unit = cube[schema.CHANNEL].values
        self._cube, self._masks = cube.isel(run=0, repeat=0), masks

    def checkpoint(self, epoch: int) -> str:
        """The name of the checkpoint of an epoch."""
        if schema.CHECKPOINT in self._cube.coords:
            return str(self._cube[schema.CHECKPOINT].values[self.epochs.index(epoch)])
        return schema.checkpoint_name(epoch)

    def channels(self) -> dict[str, list[int]]:
        """The channels of each layer, in the order of the cube."""
        layers: dict[str, list[int]] = {}
        for layer, channel in zip(self._layer_of_unit, self._channel_of_unit, strict=True):
            layers.setdefault(layer, []).append(int(channel))
        return layers

    def mask(self, condition: str, epoch: int, layer: str) -> Mask | None:
        """The mask (y, x) of a layer, or None where there is none."""
        fields = self._masks.get(condition)
        if fields is None or not (
            self.run in fields[schema.RUN].values
            and epoch in fields[schema.EPOCH].values
            and layer in names(fields[schema.LAYER])
        ):
            return None
        field = fields[schema.MASK].sel(condition=condition, run=self.run, epoch=epoch)
        mask: Mask = squared(field.values[names(fields[schema.LAYER]).index(layer)], 0)
        return mask if np.isfinite(mask).all() else None

    def draw(
        self, condition: str, epoch: int, layer: str, channels: Sequence[int], *, masked: bool = True
    ) -> Drawn:
        """The prototypes of these channels of a layer."""
        place = {
            int(channel): unit
            for unit, channel in enumerate(self._channel_of_unit)
            if self._layer_of_unit[unit] == layer
        }
        part = self._cube.isel(unit=[place[channel] for channel in channels])
        part = part.sel(condition=condition, epoch=epoch)
        mask = self.mask(condition, epoch, layer) if masked else None
        return Drawn(
            apply_mask(squared(as_rgb(part[schema.IMAGE].values), -3), mask),
            part[schema.ACTIVATION].values,
            part[schema.STATUS].values == schema.Status.CONVERGED,
            mask,
        )


def check_layer(sample: Sample, layer: str) -> None:
    """Check that there is such a layer.

    Raises:
        StudyError: there is none.
    """
    layers = sample.channels()
    if layer not in layers:
        raise StudyError(
            "params.yaml: figures.development_layer",
            expected=f"one of {', '.join(layers)}",
            found=layer,
            remedy="name one of these",
        )


def names(coordinate: xr.DataArray) -> list[str]:
    """Labels as text."""
    return [str(name) for name in coordinate.values]


def missing_prototypes(number: int) -> str:
    """A note for the small print on what the hatching means, if there is any."""
    return f"hatched: {number} without a prototype (dead or diverged)" if number else ""


def missing_masks(places: Sequence[str]) -> str:
    """A note for the small print on which pictures are shown in full, as they have no mask."""
    if not places:
        return ""
    more = f" and {len(places) - 4} more" if len(places) > 4 else ""
    return f"without a mask, shown in full: {', '.join(places[:4])}{more}"
