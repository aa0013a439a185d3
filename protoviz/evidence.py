"""How a claim of the paper is held against a study: quantities of known sign, one value a sequence.

A sequence is one network's prototypes of one repeat along training. A claim is made of parts; each
part is a quantity of which the claim says that it lies above or below a bound. Values are computed
for every run, repeat and layer, compared with the bound, and counted. No significance is computed.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from protoviz import schema

AGREES, OPPOSITE, MIXED, NOT_COMPUTED = "as in the paper", "opposite", "mixed", "not computed"

SEQUENCE = (schema.CONDITION, schema.RUN, schema.REPEAT)


@dataclass(frozen=True)
class Part:
    """One quantity of a claim.

    Attributes:
        quantity: what it is, exactly.
        unit: of the values.
        side: where the claim puts it, "above" or "below" `bound`.
        bound: the value at which there is no effect.
        values: dimensions layer, and those of condition, run and repeat over which it was computed;
            NaN where it could not be.
    """

    quantity: str
    unit: str
    side: Literal["above", "below"]
    values: xr.DataArray
    bound: float = 0.0

    @property
    def agreeing(self) -> int:
        """Values on the side of the claim."""
        return int((self._excess > 0).sum())

    @property
    def opposing(self) -> int:
        """Values on the other side; one at the bound is on neither."""
        return int((self._excess < 0).sum())

    @property
    def count(self) -> int:
        """Values that could be computed."""
        return int(np.isfinite(self._excess).sum())

    @property
    def _excess(self) -> NDArray[np.float64]:
        """How far the values lie beyond the bound, in the claim's sense."""
        return (self.values.values - self.bound) * (1.0 if self.side == "above" else -1.0)


@dataclass(frozen=True)
class Evidence:
    """All parts of a claim that could be computed, and plain words on those that could not."""

    parts: tuple[Part, ...]
    missing: tuple[str, ...] = ()


def direction(parts: tuple[Part, ...]) -> str:
    """The verdict: "as in the paper" or "opposite" only where every single value says so."""
    count = sum(part.count for part in parts)
    if count == 0:
        return NOT_COMPUTED
    if sum(part.agreeing for part in parts) == count:
        return AGREES
    return OPPOSITE if sum(part.opposing for part in parts) == count else MIXED


def agreement(parts: tuple[Part, ...]) -> str:
    """For example "4 of 4"."""
    return f"{sum(part.agreeing for part in parts)} of {sum(part.count for part in parts)}"


def effect(part: Part) -> dict[str, Any]:
    """The part in numbers: mean and range of each layer, three digits, and how many values agree."""
    layers = {}
    for layer in part.values[schema.LAYER].values:
        values = part.values.sel(layer=layer).values
        values = values[np.isfinite(values)]
        if values.size:
            numbers = {"mean": values.mean(), "least": values.min(), "greatest": values.max()}
            layers[str(layer)] = {name: rounded(float(value)) for name, value in numbers.items()}
    return {
        "quantity": part.quantity,
        "unit": part.unit,
        "paper": part.side,
        "bound": part.bound,
        "layers": layers,
        "agrees": agreement((part,)),
        "direction": direction((part,)),
    }


def sequences(part: Part) -> list[dict[str, Any]]:
    """One row for each value: quantity, where it is from, and the value."""
    rows = []
    for place, value in np.ndenumerate(part.values.values):
        if np.isfinite(value):
            at = part.values[place]
            address = {
                name: at[name].values.item() for name in (*SEQUENCE, schema.LAYER) if name in part.values.dims
            }
            rows.append({"quantity": part.quantity, **address, "value": rounded(float(value))})
    return rows


def gaps(part: Part) -> list[str]:
    """What could not be computed, one line for each condition and layer that lack values."""
    lines = []
    for layer in part.values[schema.LAYER].values:
        without = int((~np.isfinite(part.values.sel(layer=layer))).sum())
        if without:
            lines.append(
                f"{part.quantity}, {layer}: {without} of {part.values.sel(layer=layer).size} values, "
                "for want of live units or of a change to compare with"
            )
    return lines


def rounded(value: float, digits: int = 3) -> float:
    """To significant digits: what runs and repeats differ by leaves no meaning to more."""
    return float(f"{value:.{digits}g}") + 0.0  # no negative zero


def least_p(runs: int) -> float:
    """The smallest p that an exact two-sided permutation test of `runs` against `runs` can reach."""
    return min(1.0, 2 / math.comb(2 * runs, runs))
