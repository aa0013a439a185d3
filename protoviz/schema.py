"""What the stores hold: dimensions, coordinates, variables, types, fill values, chunks, named states.

The one place where the dimensions and variables of the stores are defined. The data dictionary of the README
is made from it, and the templates against which every store is checked when it is written.

    condition  run  repeat  epoch  unit  y  x  rgb      one prototype image, and what belongs to it
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from math import gcd
from typing import Any

import numpy as np
from numpy.typing import NDArray

CONDITION, RUN, REPEAT, EPOCH, UNIT = "condition", "run", "repeat", "epoch", "unit"
Y, X, RGB = "y", "x", "rgb"
COMPONENT, STEP, PARAMETER = "component", "step", "parameter"
CHECKPOINT, LAYER, CHANNEL = "checkpoint", "layer", "channel"
EMBEDDER, DISTANCE, MASKING = "embedder", "distance", "masking"
EPOCH_FROM, EPOCH_TO = "epoch_from", "epoch_to"

IMAGE, LATENT, ACTIVATION = "image", "latent", "activation"
ACTIVATION_TRACE, STATUS = "activation_trace", "status"
MASK, GRADIENT, GAUSSIAN = "mask", "gradient", "gaussian"
R_SQUARED, FIT_STATUS = "r_squared", "fit_status"
BETWEEN_UNITS, BETWEEN_EPOCHS, BETWEEN_REPEATS = "between_units", "between_epochs", "between_repeats"
LIVE_UNITS = "live_units"

MASKINGS = ("masked", "unmasked")
GAUSSIAN_PARAMETERS = ("amplitude", "x0", "y0", "sigma_x", "sigma_y", "theta", "offset")

TEXT = np.dtypes.StringDType()
INTEGER = np.dtype(np.int64)
CHUNK_UNITS = 64  # at most so many units in a chunk: 1.8 MB of images at 96 px, decoded in milliseconds


class Status(IntEnum):
    """The state of a prototype."""

    MISSING = 0  # not made
    CONVERGED = 1  # the best image of an ascent, to which the unit responds
    DEAD = 2  # silent: even its best image leaves its response at or below zero
    DIVERGED = 3  # the ascent met a value that is not finite


class FitStatus(IntEnum):
    """The state of the Gaussian that was fitted to a receptive field."""

    MISSING = 0  # not made
    FITTED = 1  # least squares
    MOMENTS = 2  # the fit failed; the Gaussian has the second moments of the map
    FLAT = 3  # the map has no structure; the mask is 1 everywhere
    NOT_FINITE = 4  # the map holds a value that is not finite; the mask is 1 everywhere


@dataclass(frozen=True)
class Coordinate:
    """A labelled axis, or further labels on one."""

    name: str
    dims: tuple[str, ...]
    dtype: np.dtype
    description: str


@dataclass(frozen=True)
class Variable:
    """An array of a store. `states` names the values of a status."""

    name: str
    dims: tuple[str, ...]
    dtype: np.dtype
    description: str
    units: str = "1"
    fill: float = float("nan")
    states: type[IntEnum] | None = None

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


_CONDITION = Coordinate(CONDITION, (CONDITION,), TEXT, "augmentation variant the network was trained under")
_RUN = Coordinate(
    RUN, (RUN,), INTEGER, "seed of the training; one run has the same initial weights in all conditions"
)
_REPEAT = Coordinate(REPEAT, (REPEAT,), INTEGER, "independent repetition of the synthesis")
_EPOCH = Coordinate(EPOCH, (EPOCH,), INTEGER, "epochs of training behind the network; 0 = untrained")
_UNIT_LAYER = Coordinate(LAYER, (UNIT,), TEXT, "layer of the unit")
_CHANNEL = Coordinate(CHANNEL, (UNIT,), INTEGER, "channel of the unit within its layer")

_PROTOTYPE = (CONDITION, RUN, REPEAT, EPOCH, UNIT)
_FIELD = (CONDITION, RUN, EPOCH, LAYER)
_LAYER_STATE = (CONDITION, RUN, REPEAT, EPOCH, LAYER)
_SPACE = (EMBEDDER, DISTANCE, MASKING)

_UINT8, _INT32 = np.dtype(np.uint8), np.dtype(np.int32)
_FLOAT16, _FLOAT32 = np.dtype(np.float16), np.dtype(np.float32)

CUBE = Store(
    "The cube of prototypes",
    "data/cube.zarr",
    (
        _CONDITION,
        _RUN,
        _REPEAT,
        _EPOCH,
        Coordinate(CHECKPOINT, (EPOCH,), TEXT, "name of the checkpoint"),
        _UNIT_LAYER,
        _CHANNEL,
    ),
    (
        Variable(
            IMAGE, (*_PROTOTYPE, Y, X, RGB), _UINT8, "the image the unit responds to most", "0-255, sRGB", 0
        ),
        Variable(LATENT, (*_PROTOTYPE, COMPONENT), _FLOAT16, "what regenerates the image exactly"),
        Variable(
            ACTIVATION,
            _PROTOTYPE,
            _FLOAT32,
            "response of the unit to exactly the stored, quantised image, without transforms; before its "
            "non-linearity, unless the recipe says after",
        ),
        Variable(
            ACTIVATION_TRACE, (*_PROTOTYPE, STEP), _FLOAT32, "response along the ascent, as the search saw it"
        ),
        Variable(STATUS, _PROTOTYPE, _UINT8, "state of the prototype", fill=Status.MISSING, states=Status),
    ),
)

RECEPTIVE_FIELDS = Store(
    "Receptive fields",
    "data/receptive_fields/<condition>-<run>.zarr",
    (
        _CONDITION,
        _RUN,
        _EPOCH,
        Coordinate(LAYER, (LAYER,), TEXT, "layer of the network"),
        Coordinate(PARAMETER, (PARAMETER,), TEXT, ", ".join(GAUSSIAN_PARAMETERS)),
    ),
    (
        Variable(MASK, (*_FIELD, Y, X), _FLOAT32, "the fitted Gaussian without offset, greatest value 1"),
        Variable(
            GRADIENT,
            (*_FIELD, Y, X),
            _FLOAT32,
            "squared mean gradient of the centre unit's pre-activation, summed over channels and RGB",
            "per squared pixel value in 0-1",
        ),
        Variable(
            GAUSSIAN,
            (*_FIELD, PARAMETER),
            _FLOAT32,
            "parameters of the fitted Gaussian; (0, 0) is the centre of the first pixel",
            "px; theta rad; amplitude and offset as gradient",
        ),
        Variable(R_SQUARED, _FIELD, _FLOAT32, "share of the map's variance that the Gaussian explains"),
        Variable(FIT_STATUS, _FIELD, _UINT8, "state of the fit", fill=FitStatus.MISSING, states=FitStatus),
    ),
)

DISTANCES = Store(
    "Distances between prototypes",
    "data/distances/<condition>-<run>.zarr",
    (
        _CONDITION,
        _RUN,
        _REPEAT,
        _EPOCH,
        _UNIT_LAYER,
        _CHANNEL,
        Coordinate(EMBEDDER, (EMBEDDER,), TEXT, "space in which the images are compared"),
        Coordinate(DISTANCE, (DISTANCE,), TEXT, "mse or cosine"),
        Coordinate(
            MASKING, (MASKING,), TEXT, "masked or unmasked: whether the images were multiplied by the mask"
        ),
        Coordinate(STEP, (STEP,), INTEGER, "interval between neighbouring kept epochs"),
        Coordinate(EPOCH_FROM, (STEP,), INTEGER, "epoch at which the interval begins"),
        Coordinate(EPOCH_TO, (STEP,), INTEGER, "epoch at which the interval ends"),
    ),
    (
        Variable(
            BETWEEN_UNITS,
            (*_PROTOTYPE, *_SPACE),
            _FLOAT32,
            "mean distance to every other live unit of the layer; its mean over units is the diversity (D4)",
        ),
        Variable(
            BETWEEN_EPOCHS,
            (CONDITION, RUN, REPEAT, STEP, UNIT, *_SPACE),
            _FLOAT32,
            "distance of the same unit between neighbouring kept epochs, not divided by their gap (D5)",
        ),
        Variable(
            BETWEEN_REPEATS,
            (CONDITION, RUN, EPOCH, UNIT, *_SPACE),
            _FLOAT32,
            "distance of the same unit between repeats, mean over pairs of repeats (D6)",
        ),
        Variable(LIVE_UNITS, _LAYER_STATE, _INT32, "number of units in the distances", "units", 0),
    ),
)

STORES = (CUBE, RECEPTIVE_FIELDS, DISTANCES)


def unit_chunk(layer_sizes: Iterable[int], limit: int = CHUNK_UNITS) -> int:
    """Units in a chunk: the largest number up to `limit` that divides every boundary between layers.

    So no chunk mixes layers: 16 for layers of 16, 32, 64, 128 units; 64 for 64, 128, 256, 512.
    """
    common = gcd(*layer_sizes)
    return max(size for size in range(1, min(common, limit) + 1) if common % size == 0)


def unit_labels(layers: Mapping[str, int | Sequence[int]]) -> tuple[NDArray[np.str_], NDArray[np.int64]]:
    """The coordinates `layer` and `channel` of all units, layer after layer.

    Args:
        layers: layer -> number of its channels, all of them; or those channels that are units.
    """
    chosen = [np.arange(units) if isinstance(units, int) else np.array(units) for units in layers.values()]
    names = np.repeat(np.array(list(layers), dtype=TEXT), [len(channels) for channels in chosen])
    return names, np.concatenate(chosen).astype(np.int64)


def layer_slices(layers: NDArray[np.str_]) -> dict[str, slice]:
    """Where each layer lies along the units, in their order.

    Args:
        layers: (U,), the layer of every unit; the units of a layer stand together.
    """
    names = [str(name) for name in layers]
    first = {name: names.index(name) for name in dict.fromkeys(names)}
    return {name: slice(start, start + names.count(name)) for name, start in first.items()}


def checkpoint_name(epoch: int) -> str:
    """The name of a checkpoint of a training from scratch."""
    return "untrained" if epoch == 0 else f"epoch {epoch}"


def data_dictionary() -> str:
    """The tables of all stores as Markdown."""
    return "\n\n".join(_section(store) for store in STORES) + "\n"


def _section(store: Store) -> str:
    lines = [f"### {store.title} (`{store.place}`)", ""]
    lines += ["| coordinate | along | type | meaning |", "|---|---|---|---|"]
    for axis in store.coordinates:
        lines.append(f"| `{axis.name}` | {axis.dims[0]} | {_type(axis.dtype)} | {axis.description} |")
    lines += ["", "| variable | dimensions | type | unit | fill | meaning |", "|---|---|---|---|---|---|"]
    for array in store.variables:
        fill = "NaN" if np.isnan(array.fill) else str(int(array.fill))
        lines.append(
            f"| `{array.name}` | {', '.join(array.dims)} | {_type(array.dtype)} | {array.units} | {fill} "
            f"| {array.description} |"
        )
    for array in store.variables:
        if array.states is not None:
            named = ", ".join(f"{int(state)} {state.name.lower()}" for state in array.states)
            lines += ["", f"`{array.name}`: {named}."]
    return "\n".join(lines)


def _type(dtype: np.dtype) -> str:
    return "text" if dtype == TEXT else str(dtype)
