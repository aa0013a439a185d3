"""The schema of which unit of one network is which unit of another."""

import numpy as np

from protoviz.store.schema import CHANNEL, EPOCH, INTEGER, LAYER, TEXT, UNIT, UNIT_LAYER
from protoviz.store.schema_types import Coordinate, Store, Variable

PAIR = "pair"
FIRST, SECOND = ("first_condition", "first_run"), ("second_condition", "second_run")
PARTNER, CORRELATION = "partner", "correlation"
PROTOTYPE_PARTNER, PROTOTYPE_DISTANCE = "prototype_partner", "prototype_distance"
SHARE_MATCHED, SHARE_BEYOND_SPACE = "share_matched", "share_beyond_space"
MATCHED, SHUFFLED, TURNED = "matched_correlation", "shuffled_correlation", "turned_correlation"
AGREEMENT, AGREEMENT_BY_CHANCE = "agreement", "agreement_by_chance"
COMPARED_UNITS = "compared_units"
NO_PARTNER = -1

_INT32, _FLOAT32 = np.dtype(np.int32), np.dtype(np.float32)
_OF_UNIT, _OF_LAYER = (PAIR, EPOCH, UNIT), (PAIR, EPOCH, LAYER)
_BEST = "of the assignment in which each unit has one partner and the sum of"

MATCHING = Store(
    "Units matched over networks",
    "data/matching.zarr",
    (
        Coordinate(FIRST[0], (PAIR,), TEXT, "condition of the first network, whose units are counted"),
        Coordinate(FIRST[1], (PAIR,), INTEGER, "run of the first network"),
        Coordinate(SECOND[0], (PAIR,), TEXT, "condition of the second network, whose channels are named"),
        Coordinate(SECOND[1], (PAIR,), INTEGER, "run of the second network"),
        Coordinate(EPOCH, (EPOCH,), INTEGER, "epochs of training behind both networks; 0 = untrained"),
        Coordinate(UNIT_LAYER, (UNIT,), TEXT, "layer of the unit"),
        Coordinate(CHANNEL, (UNIT,), INTEGER, "channel of the unit within its layer"),
        Coordinate(LAYER, (LAYER,), TEXT, "layer of the networks"),
    ),
    (
        Variable(
            PARTNER,
            _OF_UNIT,
            _INT32,
            f"channel of the unit's partner by responses to natural images, {_BEST} correlations is "
            "greatest; -1 where one of the two has none, or responses were not kept",
            fill=NO_PARTNER,
        ),
        Variable(CORRELATION, _OF_UNIT, _FLOAT32, "Pearson's correlation of the two units' responses"),
        Variable(
            PROTOTYPE_PARTNER,
            _OF_UNIT,
            _INT32,
            f"channel of the unit's partner by prototypes, {_BEST} distances is least; -1 "
            "where one of the two has no converged prototype, or vectors were not kept",
            fill=NO_PARTNER,
        ),
        Variable(
            PROTOTYPE_DISTANCE,
            _OF_UNIT,
            _FLOAT32,
            "distance of the two units' prototypes in the main space, each the mean over repeats",
        ),
        Variable(
            SHARE_MATCHED,
            _OF_LAYER,
            _FLOAT32,
            "share of units that are more correlated with their partner than all but a share `error` (an "
            "attribute) of units with the best partner where one network saw the images in another order",
        ),
        Variable(
            SHARE_BEYOND_SPACE,
            _OF_LAYER,
            _FLOAT32,
            "the same where the second network's units are random directions in the space of its responses: "
            "what is shared beyond a common space",
        ),
        Variable(MATCHED, _OF_LAYER, _FLOAT32, "mean correlation of units and their partners"),
        Variable(SHUFFLED, _OF_LAYER, _FLOAT32, "the same with images in another order for one network"),
        Variable(
            TURNED, _OF_LAYER, _FLOAT32, "the same with the second network's units as random directions"
        ),
        Variable(
            AGREEMENT,
            _OF_LAYER,
            _FLOAT32,
            "share of units whose partner by responses is their partner by prototypes",
        ),
        Variable(AGREEMENT_BY_CHANCE, _OF_LAYER, _FLOAT32, "the same with partners dealt out at random"),
        Variable(
            COMPARED_UNITS,
            _OF_LAYER,
            _INT32,
            "number of units whose responses vary, in the network that has more of them",
            "units",
            0,
        ),
    ),
)
