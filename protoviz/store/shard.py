"""A shard of the cube: all prototypes of one network in one repeat, its address, and the checks on it."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np
import zarr
from numpy.typing import NDArray

from protoviz.errors import StudyError
from protoviz.store import schema


@dataclass(frozen=True)
class Shard:
    """All prototypes of one (condition, run, repeat, epoch); the first axis is the unit.

    Args:
        image: uint8 (U, H, W, C).
        latent: float16 (U, components).
        activation: float32 (U,).
        activation_trace: float32 (U, trace).
        status: uint8 (U,), values of `schema.Status`.
        transparency: uint8 (U, H, W), opacities, where the recipe keeps them.
    """

    image: NDArray[np.uint8]
    latent: NDArray[np.float16]
    activation: NDArray[np.float32]
    activation_trace: NDArray[np.float32]
    status: NDArray[np.uint8]
    transparency: NDArray[np.uint8] | None = None

    @property
    def arrays(self) -> dict[str, NDArray[Any]]:
        """Variable -> values, of those that there are."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: np.asarray(values) for name, values in found.items() if values is not None}


class Address(NamedTuple):
    """Which shard: the labels, not the positions."""

    condition: str
    run: int
    repeat: int
    epoch: int

    def __str__(self) -> str:
        return f"condition {self.condition}, run {self.run}, repeat {self.repeat}, epoch {self.epoch}"


def require_fit(name: str, values: NDArray[Any], array: zarr.Array[Any], address: Address) -> None:
    """Require that the values of a shard fit the array of the cube.

    Raises:
        StudyError: they are of another type or shape.
    """
    expected = f"{array.dtype} {tuple(array.shape[4:])}"
    found = f"{values.dtype} {values.shape}"
    if expected != found:
        remedy = "fit the template of the cube"
        raise StudyError(f"{name} of {address}", expected=expected, found=found, remedy=remedy)


def require_states(arrays: Mapping[str, NDArray[Any]], address: Address) -> None:
    """Require that every unit has a state, and that converged ones have finite numbers.

    Raises:
        StudyError: a unit does not.
    """
    status = arrays[schema.STATUS]
    named = [int(state) for state in schema.Status if state is not schema.Status.MISSING]
    for unit in np.flatnonzero(~np.isin(status, named))[:1]:
        raise StudyError(
            f"status of {address}, unit {unit}",
            expected=f"one of {named}",
            found=str(status[unit]),
            remedy="give every prototype a state",
        )
    converged = status == schema.Status.CONVERGED
    for name in (schema.ACTIVATION, schema.LATENT):
        finite = np.isfinite(arrays[name]).reshape(len(status), -1).all(axis=1)
        for unit in np.flatnonzero(converged & ~finite)[:1]:
            raise StudyError(
                f"{name} of {address}, unit {unit}",
                expected="finite numbers, as it is called converged",
                found="others",
                remedy="call it diverged",
            )
