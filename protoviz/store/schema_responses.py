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
INNER = "inner_layer"
SIMILARITY, SIMILARITY_OWN, SIMILARITY_UNRELATED = "similarity", "similarity_own", "similarity_unrelated"
ALONG, FAITHFULNESS, COMPARED_LAYERS = "faithfulness_along", "faithfulness", "compared_layers"
SHOWN, RESPONSE = "shown", "response"

_INT32, _FLOAT32 = np.dtype(np.int32), np.dtype(np.float32)
_FLOAT16 = np.dtype(np.float16)
_NETWORK = (
    Coordinate(CONDITION, (CONDITION,), TEXT, "augmentation variant the network was trained under"),
    Coordinate(RUN, (RUN,), INTEGER, "seed of the training"),
    Coordinate(REPEAT, (REPEAT,), INTEGER, "independent repetition of the synthesis"),
)
_ALONG = "in a layer on the way to the unit, as far as the unit sees it; NaN in layers that it does not see"
_SPEARMAN = "Spearman's rank correlation of a layer's values for two images, mean over pairs of"
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
        Coordinate(
            INNER, (INNER,), TEXT, "layer on the way to the units, in the network's order", optional=True
        ),
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
        Variable(
            SIMILARITY,
            (CONDITION, RUN, REPEAT, EPOCH, UNIT, INNER),
            _FLOAT32,
            f"{_SPEARMAN} the prototype and the natural images that drive the unit most, {_ALONG}, or where "
            "the prototype has not converged",
            optional=True,
        ),
        Variable(
            SIMILARITY_OWN,
            (CONDITION, RUN, EPOCH, UNIT, INNER),
            _FLOAT32,
            "the same, of two natural images that drive the unit most",
            optional=True,
        ),
        Variable(
            SIMILARITY_UNRELATED,
            (CONDITION, RUN, EPOCH, UNIT, INNER),
            _FLOAT32,
            "the same, of one of these and one that drives another unit of its layer most",
            optional=True,
        ),
        Variable(
            ALONG,
            (CONDITION, RUN, REPEAT, EPOCH, UNIT, INNER),
            _FLOAT32,
            "similarity less similarity_unrelated, over the mean over units of similarity_own less "
            "similarity_unrelated: 1 where the layer sees the prototype as the natural images, 0 where "
            "as those of others; NaN, too, in layers in which that mean cannot be told from zero",
            optional=True,
        ),
        Variable(
            FAITHFULNESS,
            (CONDITION, RUN, REPEAT, EPOCH, UNIT),
            _FLOAT32,
            "faithfulness_along as one number, the ratio of its two parts summed over layers; NaN where the "
            "prototype has not converged or no layer tells images of different units apart",
            optional=True,
        ),
        Variable(
            COMPARED_LAYERS,
            (CONDITION, RUN, EPOCH, LAYER),
            _INT32,
            "number of layers on the way to a layer's units that tell images of different units apart",
            "layers",
            0,
            optional=True,
        ),
        Variable(
            RESPONSE,
            (CONDITION, RUN, EPOCH, SHOWN, UNIT),
            _FLOAT16,
            "the unit's response to some of the images, less its mean over them; the attribute shown_images "
            "says which: rows of data/images/test.npy; NaN for a unit whose responses do not differ; not "
            "there where the parameters keep none",
            "deviation of the responses of its layer",
            optional=True,
            by=EPOCH,
        ),
    ),
)
# What a store holds where the study looks at faithfulness.
OF_FAITHFULNESS = (SIMILARITY, SIMILARITY_OWN, SIMILARITY_UNRELATED, ALONG, FAITHFULNESS, COMPARED_LAYERS)

STORES = (NATURAL,)
