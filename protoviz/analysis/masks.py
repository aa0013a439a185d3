"""Masks that multiply prototypes before they are compared or shown (R4, D3): one of `schema.MASKINGS`.

    masked      the network's own mask of that epoch and layer; or the unit's own, where fields were fitted
                unit by unit
    fixed       the one mask of the layer, the same for all conditions, runs and epochs
    unmasked    nothing

Masks of different width change distances by themselves: a difference between conditions holds only if it also
appears under `fixed`.
"""

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from protoviz.errors import StudyError
from protoviz.store import attributes, schema
from protoviz.store.gaussian2d import Parameters, mask

Mask = NDArray[np.float32]

_REMEDY = "run the stage `receptive_fields` of this condition and run again"


class Masks:
    """The masks of one network.

    Args:
        prototypes: the cube with condition and run of extent one.
        fields: the receptive fields of the same network.
    """

    def __init__(self, prototypes: xr.Dataset, fields: xr.Dataset) -> None:
        self._fields = fields
        self._shape = (prototypes.sizes[schema.Y], prototypes.sizes[schema.X])
        self._epochs = prototypes[schema.EPOCH].values
        self._prototypes = prototypes
        self._network: dict[str, str | int] = {
            schema.CONDITION: str(prototypes[schema.CONDITION].values[0]),
            schema.RUN: int(prototypes[schema.RUN].values[0]),
        }

    def __call__(self, masking: str, epoch: int, layer: str) -> Mask | None:
        """The mask (H, W) of a layer, (units, H, W) with one for each unit, or None.

        Args:
            masking: one of `schema.MASKINGS`.
            epoch: position among the prototypes' epochs.
            layer: its name.

        Raises:
            StudyError: there is none, it has another size than the images, or it is not finite.
        """
        if masking == schema.UNMASKED:
            return None
        if masking == schema.FIXED:
            return self._checked(schema.FIXED_MASK, {schema.LAYER: layer}, f"fixed mask of {layer}")
        address: dict[str, str | int] = {
            **self._network,
            schema.EPOCH: int(self._epochs[epoch]),
            schema.LAYER: layer,
        }
        where = "mask of {condition} run {run} epoch {epoch} {layer}".format(**address)
        own = self._checked(schema.MASK, address, where)
        return own if not self._has_units() else self._of_units(address, where)

    def require_all(self, layers: list[str]) -> None:
        """Check that all masks exist, before any time is spent; see `__call__`."""
        for layer in layers:
            for masking in schema.MASKINGS:
                for epoch in range(len(self._epochs)):
                    self(masking, epoch, layer)

    def _checked(self, name: str, address: dict[str, str | int], where: str) -> Mask:
        try:
            found: Mask = self._fields[name].sel(address).transpose(schema.Y, schema.X).values
        except KeyError:
            raise self._refusal(where, "none") from None
        if found.shape != self._shape:
            raise self._refusal(where, f"{found.shape[0]} x {found.shape[1]}")
        if not np.isfinite(found).all():
            raise self._refusal(where, "values that are not finite")
        return found

    def _refusal(self, where: str, found: str) -> StudyError:
        wanted = f"a mask of {self._shape[0]} x {self._shape[1]} px like the prototypes, finite everywhere"
        return StudyError(where, expected=wanted, found=found, remedy=_REMEDY)

    def _has_units(self) -> bool:
        states = self._fields.get(schema.UNIT_FIT_STATUS)
        return states is not None and bool((states != schema.FitStatus.MISSING).any())

    def _places(self, fields: xr.Dataset, layer: str, where: str) -> list[int]:
        """The positions among the fields of a layer's units, which may be only some of its channels."""
        channels, own = (store[schema.CHANNEL].values for store in (fields, self._prototypes))
        there = np.flatnonzero(fields[schema.UNIT_LAYER].values == layer)
        place = dict(zip(channels[there].tolist(), there.tolist(), strict=True))
        asked = own[self._prototypes[schema.LAYER].values == layer].tolist()
        if lost := [channel for channel in asked if channel not in place]:
            raise self._refusal(where, f"none of its own for channel {lost[0]}")
        return [place[channel] for channel in asked]

    def _of_units(self, address: dict[str, str | int], where: str) -> Mask:
        """A mask for each unit of a layer, from the Gaussian of its own field; 1 where it has none."""
        at = {name: address[name] for name in (schema.CONDITION, schema.RUN, schema.EPOCH)}
        fields = self._fields.sel(at)
        here = self._places(fields, str(address[schema.LAYER]), where)
        states = fields[schema.UNIT_FIT_STATUS].values[here]
        if (states == schema.FitStatus.MISSING).any():
            raise self._refusal(where, f"none of its own for {(states == 0).sum()} units")
        keep_offset = attributes.read(fields).get("offset") == "kept"
        masks = np.ones((len(here), *self._shape), np.float32)
        for number, numbers in enumerate(fields[schema.UNIT_GAUSSIAN].values[here].astype(float)):
            if np.isfinite(numbers).all():
                masks[number] = mask(Parameters(*numbers), self._shape, keep_offset)
        return masks
