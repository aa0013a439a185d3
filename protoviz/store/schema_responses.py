"""The schema of what the networks themselves say of natural images."""

import numpy as np

from protoviz.store.schema import (
    CHANNEL,
    CONDITION,
    EPOCH,
    INTEGER,
    LAYER,
    RANK,
    REPEAT,
    RUN,
    TEXT,
    UNIT,
    UNIT_LAYER,
)
from protoviz.store.schema_types import Coordinate, Store, Variable

TOP_IMAGE, TOP_RESPONSE = "top_image", "top_response"
PERCENTILE, RATIO_TO_MAXIMUM = "percentile", "ratio_to_maximum"
PARTICIPATION_RATIO, MEAN_CORRELATION = "participation_ratio", "mean_correlation"
VARYING_UNITS = "varying_units"

_INT32, _FLOAT32 = np.dtype(np.int32), np.dtype(np.float32)
_NETWORK = (
    Coordinate(CONDITION, (CONDITION,), TEXT, "augmentation variant the network was trained under"),
    Coordinate(RUN, (RUN,), INTEGER, "seed of the training"),
    Coordinate(REPEAT, (REPEAT,), INTEGER, "independent repetition of the synthesis"),
)
_LAYER = Coordinate(LAYER, (LAYER,), TEXT, "layer of the network")

NATURAL = Store(
    "Natural images and units",
    "data/natural/<condition>-<run>.zarr",
    (
        *_NETWORK,
        Coordinate(EPOCH, (EPOCH,), INTEGER, "epochs of training behind the network; 0 = untrained"),
        Coordinate(UNIT_LAYER, (UNIT,), TEXT, "layer of the unit"),
        Coordinate(CHANNEL, (UNIT,), INTEGER, "channel of the unit within its layer"),
        Coordinate(RANK, (RANK,), INTEGER, "place among the images, 0 = the one the unit responds to most"),
        _LAYER,
    ),
    (
        Variable(
            TOP_IMAGE,
            (CONDITION, RUN, EPOCH, UNIT, RANK),
            _INT32,
            "the images of the data set that the unit responds to most: rows of data/images/test.npy",
            fill=-1,
        ),
        Variable(TOP_RESPONSE, (CONDITION, RUN, EPOCH, UNIT, RANK), _FLOAT32, "the unit's response to them"),
        Variable(
            PERCENTILE,
            (CONDITION, RUN, REPEAT, EPOCH, UNIT),
            _FLOAT32,
            "share of the images to which the unit responds less than to its prototype; NaN where the "
            "prototype has not converged",
            "%",
        ),
        Variable(
            RATIO_TO_MAXIMUM,
            (CONDITION, RUN, REPEAT, EPOCH, UNIT),
            _FLOAT32,
            "activation of the prototype over the greatest response to an image; NaN where the prototype has "
            "not converged or no image drives the unit above zero",
        ),
        Variable(
            PARTICIPATION_RATIO,
            (CONDITION, RUN, EPOCH, LAYER),
            _FLOAT32,
            "dimension of a layer's responses to the images: squared sum of the eigenvalues of their "
            "covariance over the sum of their squares; NaN where no unit varies",
            "dimensions",
        ),
        Variable(
            MEAN_CORRELATION,
            (CONDITION, RUN, EPOCH, LAYER),
            _FLOAT32,
            "mean absolute Pearson correlation of two units' responses to the images; NaN where fewer than "
            "two units vary",
        ),
        Variable(
            VARYING_UNITS,
            (CONDITION, RUN, EPOCH, LAYER),
            _INT32,
            "number of units whose responses to the images differ, which those two speak of",
            "units",
            0,
        ),
    ),
)

STORES = (NATURAL,)
