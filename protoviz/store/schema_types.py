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
    """An array of a store. `states` names the values of a status; a store may lack what is `optional`."""

    name: str
    dims: tuple[str, ...]
    dtype: np.dtype
    description: str
    units: str = "1"
    fill: float = float("nan")
    states: type[IntEnum] | None = None
    optional: bool = False

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

    def __getitem__(self, name: str) -> Variable:
        return {variable.name: variable for variable in self.variables}[name]
