"""What a schema is made of: coordinates, variables, and the stores that hold them."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Coordinate:
    """A labelled axis, or further labels on one; a store may lack what is `optional`."""

    name: str
    dims: tuple[str, ...]
    dtype: np.dtype
    description: str
    optional: bool = False


@dataclass(frozen=True)
class Variable:
    """An array of a store. `states` names the values of a status; a store may lack what is `optional`.

    `by`: of an array that may be large, the dimension along which it is written and read piece by piece: a
    chunk for each label. It is not read with the others of its store (`zarr_io.open_dataset`).
    """

    name: str
    dims: tuple[str, ...]
    dtype: np.dtype
    description: str
    units: str = "1"
    fill: float = float("nan")
    states: type[IntEnum] | None = None
    optional: bool = False
    by: str | None = None

    def attributes(self) -> dict[str, Any]:
        """What the array says about itself in the store; states in the form of the CF conventions."""
        said: dict[str, Any] = {"description": self.description, "units": self.units}
        if self.states is not None:
            said["flag_values"] = [int(state) for state in self.states]
            said["flag_meanings"] = " ".join(state.name.lower() for state in self.states)
        return said


@dataclass(frozen=True)
class Store:
    """A kind of store: what it is, where it lies, and what it holds."""

    title: str
    place: str
    coordinates: tuple[Coordinate, ...]
    variables: tuple[Variable, ...]

    @property
    def large(self) -> tuple[str, ...]:
        """The arrays that are read piece by piece."""
        return tuple(variable.name for variable in self.variables if variable.by)

    def __getitem__(self, name: str) -> Variable:
        return {variable.name: variable for variable in self.variables}[name]
