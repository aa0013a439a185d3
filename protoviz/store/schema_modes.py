"""The schema of modes: how many different images drive each unit, and one image of each."""

import numpy as np

from protoviz.store.schema import (
    CHANNEL,
    CONDITION,
    EPOCH,
    INTEGER,
    LAYER,
    RGB,
    RUN,
    TEXT,
    UNIT,
    Coordinate,
    Store,
    Variable,
    X,
    Y,
)

START, MODE = "start", "mode"
COUNT, REACHING, MEETING, SPREAD = "modes", "reaching", "meeting", "spread"
NOISE, THRESHOLD = "noise", "threshold"
MODE_OF_START, START_ACTIVATION = "mode_of_start", "start_activation"
MODE_IMAGE, MODE_STARTS = "mode_image", "mode_starts"

_INT32, _FLOAT32 = np.dtype(np.int32), np.dtype(np.float32)
_UNITS = (CONDITION, RUN, EPOCH, UNIT)
_DISTANCE = "mean squared error in the main space"

MODES = Store(
    "Modes of units",
    "data/modes/<condition>-<run>.zarr",
    (
        Coordinate(CONDITION, (CONDITION,), TEXT, "augmentation variant the network was trained under"),
        Coordinate(RUN, (RUN,), INTEGER, "seed of the training"),
        Coordinate(EPOCH, (EPOCH,), INTEGER, "epochs of training behind the network; 0 = untrained"),
        Coordinate(LAYER, (UNIT,), TEXT, "layer of the unit"),
        Coordinate(CHANNEL, (UNIT,), INTEGER, "channel of the unit within its layer"),
        Coordinate(START, (START,), INTEGER, "independent start of the synthesis, apart from the repeats"),
        Coordinate(MODE, (MODE,), INTEGER, "place among the unit's modes, 0 = the one of most starts"),
    ),
    (
        Variable(
            COUNT,
            _UNITS,
            _INT32,
            "different images that drive the unit, a lower bound: clusters of the starts that reach; 0 where "
            "none is alive; a mode of a share q of the starts is missed with probability (1 - q)^starts",
            "modes",
            -1,
        ),
        Variable(
            REACHING,
            _UNITS,
            _INT32,
            "starts that reach the share (attributes) of the unit's best activation",
            "starts",
            -1,
        ),
        Variable(
            MEETING,
            _UNITS,
            _FLOAT32,
            "chance that two of them are of one mode, whatever their number; NaN where fewer than two reach",
        ),
        Variable(
            SPREAD,
            _UNITS,
            _FLOAT32,
            "mean distance between them over that between two units of the layer; NaN where fewer than "
            "two reach",
        ),
        Variable(
            NOISE,
            _UNITS,
            _FLOAT32,
            "distance between start 0 and its twin, ascended under other transforms; NaN where one of "
            "them does not reach",
            _DISTANCE,
        ),
        Variable(
            THRESHOLD,
            _UNITS,
            _FLOAT32,
            "distance beyond which images are of two modes, from the noise of the layer at the epoch; NaN "
            "where no unit of it has any",
            _DISTANCE,
        ),
        Variable(
            MODE_OF_START,
            (*_UNITS, START),
            _INT32,
            "mode of each start; -1: of a start that does not reach",
            fill=-1,
        ),
        Variable(START_ACTIVATION, (*_UNITS, START), _FLOAT32, "response of the unit to exactly its image"),
        Variable(
            MODE_STARTS, (*_UNITS, MODE), _INT32, "starts of each mode; 0: there is no such mode", "starts", 0
        ),
        Variable(
            MODE_IMAGE,
            (*_UNITS, MODE, Y, X, RGB),
            np.dtype(np.uint8),
            "the image nearest to all others of its mode; black: there is no such mode",
            "0-255, sRGB",
            0,
        ),
    ),
)
