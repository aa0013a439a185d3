"""What the stores hold: dimensions, coordinates, variables, types, fill values, chunks, named states.

The one place where the dimensions and variables of the stores are defined (those of `responses` are in
schema_responses.py). The data dictionary of the site is made from it, and the templates against which every
store is checked when it is written.

    condition  run  repeat  epoch  unit  y  x  rgb      one prototype image, and what belongs to it
"""

from collections.abc import Iterable, Mapping, Sequence
from math import gcd

import numpy as np
from numpy.typing import NDArray

from protoviz.store.schema_types import Coordinate as Coordinate
from protoviz.store.schema_types import Store as Store
from protoviz.store.schema_types import Variable as Variable
from protoviz.store.states import FitStatus as FitStatus
from protoviz.store.states import Status as Status

CONDITION, RUN, REPEAT, EPOCH, UNIT = "condition", "run", "repeat", "epoch", "unit"
Y, X, RGB = "y", "x", "rgb"
COMPONENT, STEP, PARAMETER = "component", "step", "parameter"
CHECKPOINT, LAYER, CHANNEL = "checkpoint", "layer", "channel"
UNIT_LABELS = (LAYER, CHANNEL)
EMBEDDER, DISTANCE, MASKING = "embedder", "distance", "masking"
EPOCH_FROM, EPOCH_TO = "epoch_from", "epoch_to"
SIDE, UNIT_LAYER = "side", "unit_layer"
RANK = "rank"

IMAGE, LATENT, ACTIVATION = "image", "latent", "activation"
ACTIVATION_TRACE, STATUS, TRANSPARENCY = "activation_trace", "status", "transparency"
MASK, GRADIENT, GAUSSIAN = "mask", "gradient", "gaussian"
R_SQUARED, FIT_STATUS = "r_squared", "fit_status"
FIXED_MASK, BOX = "fixed_mask", "box"
UNIT_GAUSSIAN, UNIT_R_SQUARED, UNIT_FIT_STATUS = "unit_gaussian", "unit_r_squared", "unit_fit_status"
BETWEEN_UNITS, BETWEEN_EPOCHS, BETWEEN_REPEATS = "between_units", "between_epochs", "between_repeats"
LIVE_UNITS = "live_units"
VECTOR = "vector"

MASKED, FIXED, UNMASKED = "masked", "fixed", "unmasked"
MASKINGS = (MASKED, FIXED, UNMASKED)
SIDES = ("top", "bottom", "left", "right")
GAUSSIAN_PARAMETERS = ("amplitude", "x0", "y0", "sigma_x", "sigma_y", "theta", "offset")

TEXT = np.dtype(object)  # Python strings, as xarray reads them; zarr_io.py says how they are stored
TEXT_ENCODING = {"missing_value": ""}
INTEGER = np.dtype(np.int64)
CHUNK_UNITS = 64  # units in a chunk at most: 1.8 MB of images at 96 px, decoded in milliseconds


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
_UNIT_FIELD = (CONDITION, RUN, EPOCH, UNIT)
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
        Variable(
            LATENT,
            (*_PROTOTYPE, COMPONENT),
            _FLOAT16,
            "what regenerates the image exactly; not there where the recipe keeps none",
            optional=True,
        ),
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
        Variable(
            TRANSPARENCY,
            (*_PROTOTYPE, Y, X),
            _UINT8,
            "where the ascent has worked on the image: absolute gradients summed over its steps, 255 from "
            "their 80th percentile on; not there unless the recipe keeps it",
            "0-255, opacity",
            0,
            optional=True,
        ),
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
        Coordinate(SIDE, (SIDE,), TEXT, ", ".join(SIDES)),
        Coordinate(UNIT_LAYER, (UNIT,), TEXT, "layer of the unit"),
        _CHANNEL,
    ),
    (
        Variable(
            MASK,
            (*_FIELD, Y, X),
            _FLOAT32,
            "the fitted Gaussian, greatest value 1, in steps of 1/1023; without offset, unless the "
            "parameters keep it",
        ),
        Variable(
            FIXED_MASK,
            (LAYER, Y, X),
            _FLOAT32,
            "the Gaussian of the architecture, the same for all conditions, runs and epochs",
        ),
        Variable(
            BOX,
            (LAYER, SIDE),
            _INT32,
            "the theoretical receptive field, [top, bottom) and [left, right); may lie beyond the image",
            "px",
            0,
        ),
        Variable(
            GRADIENT,
            (*_FIELD, Y, X),
            _FLOAT32,
            "what is fitted, in steps of 1/4095 of the greatest; as-written: the squared mean gradient of a "
            "unit's response, summed over channels and RGB; paper: the mean absolute gradient of the "
            "channels' mean, averaged over RGB",
            "as-written: per squared pixel value in 0-1; paper: per normalised value",
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
        Variable(
            UNIT_GAUSSIAN,
            (*_UNIT_FIELD, PARAMETER),
            _FLOAT32,
            "the same of a unit's own field, where the parameters ask for it",
            "as gaussian",
        ),
        Variable(UNIT_R_SQUARED, _UNIT_FIELD, _FLOAT32, "the same of a unit's own field"),
        Variable(
            UNIT_FIT_STATUS,
            _UNIT_FIELD,
            _UINT8,
            "state of the fit of a unit's own field",
            fill=FitStatus.MISSING,
            states=FitStatus,
        ),
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
            MASKING,
            (MASKING,),
            TEXT,
            "what the images were multiplied by: masked: the network's own mask of that epoch; "
            "fixed: the one mask of the layer; unmasked: nothing",
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
        Variable(
            VECTOR,
            (CONDITION, RUN, EPOCH, UNIT, COMPONENT),
            _FLOAT16,
            "where the prototype lies in the main space (the first embedder, masked), mean over the repeats "
            "in which it has converged; not there where the parameters keep none, or of pixels",
            optional=True,
            by=EPOCH,
        ),
    ),
)

STORES = (CUBE, RECEPTIVE_FIELDS, DISTANCES)


def unit_chunk(layer_sizes: Iterable[int], limit: int = CHUNK_UNITS) -> int:
    """Units in a chunk: the largest number up to `limit` that divides every boundary between layers.

    So no chunk mixes layers: 16 for layers of 16, 32, 64, 128 units; 64 for 64, 128, 256, 512.

    >>> unit_chunk([64, 128, 256, 512])
    64
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

    >>> layer_slices(np.array(["layer1", "layer1", "layer2"]))
    {'layer1': slice(0, 2, None), 'layer2': slice(2, 3, None)}

    Args:
        layers: (U,), the layer of every unit; the units of a layer stand together.
    """
    names = [str(name) for name in layers]
    first = {name: names.index(name) for name in dict.fromkeys(names)}
    return {name: slice(start, start + names.count(name)) for name, start in first.items()}


def in_order(layer: NDArray[np.str_], channel: NDArray[np.int64]) -> bool:
    """Whether units of these layers and channels stand layer after layer, in each by ascending channel."""
    slices = layer_slices(layer).items()
    together = all((layer[at] == name).all() for name, at in slices)
    return together and all((np.diff(channel[at], prepend=-1) > 0).all() for _, at in slices)


def checkpoint_name(epoch: int) -> str:
    """The name of a checkpoint of a training from scratch."""
    return "untrained" if epoch == 0 else f"epoch {epoch}"
