"""The schema of the maps of prototypes: where UMAP puts each of them."""

import numpy as np

from protoviz.store.schema import (
    CHANNEL,
    CONDITION,
    EPOCH,
    INTEGER,
    LAYER,
    REPEAT,
    RUN,
    TEXT,
    UNIT,
    Coordinate,
    Store,
    Variable,
)

AXIS, SEED = "axis", "seed"
POSITION, POSITION_SEEDS = "position", "position_seeds"
POSITION_ALONE, POSITION_ALIGNED = "position_alone", "position_aligned"

_FLOAT32 = np.dtype(np.float32)
_PROTOTYPE = (CONDITION, RUN, REPEAT, EPOCH, UNIT)

PROJECTION = Store(
    "Maps of the prototypes",
    "data/projection/<study>.zarr",
    (
        Coordinate(CONDITION, (CONDITION,), TEXT, "augmentation variant; of study B the name of the network"),
        Coordinate(RUN, (RUN,), INTEGER, "seed of the training"),
        Coordinate(REPEAT, (REPEAT,), INTEGER, "independent repetition of the synthesis"),
        Coordinate(EPOCH, (EPOCH,), INTEGER, "epochs of training behind the network, or the stage's number"),
        Coordinate(LAYER, (UNIT,), TEXT, "layer of the unit"),
        Coordinate(CHANNEL, (UNIT,), INTEGER, "channel of the unit within its layer"),
        Coordinate(SEED, (SEED,), INTEGER, "seed of UMAP"),
        Coordinate(AXIS, (AXIS,), TEXT, "x or y"),
    ),
    (
        Variable(POSITION, (*_PROTOTYPE, AXIS), _FLOAT32, "place on one map of all epochs"),
        Variable(POSITION_SEEDS, (*_PROTOTYPE, SEED, AXIS), _FLOAT32, "the same for several seeds"),
        Variable(POSITION_ALONE, (*_PROTOTYPE, AXIS), _FLOAT32, "place on the map of its epoch alone"),
        Variable(
            POSITION_ALIGNED,
            (*_PROTOTYPE, AXIS),
            _FLOAT32,
            "place on the map of its epoch, held near the places of the same unit in neighbouring epochs",
        ),
    ),
)
