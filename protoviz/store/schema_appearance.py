"""The schema of what is derived from prototypes and their distances for every unit: appearance, settling."""

import numpy as np

from protoviz.store.schema import (
    CHANNEL,
    CONDITION,
    EPOCH,
    FIXED,
    INTEGER,
    LAYER,
    MASKED,
    MASKINGS,
    REPEAT,
    RUN,
    TEXT,
    UNIT,
    UNMASKED,
    Coordinate,
    Store,
    Variable,
)

BAND = "band"
SATURATION, HUE, WARMTH = "saturation", "hue", "warmth"
SPECTRUM, HIGH_FREQUENCY = "spectrum", "high_frequency"
SETTLING_EPOCH = "settling_epoch"

_FLOAT32 = np.dtype(np.float32)
_PROTOTYPE = (CONDITION, RUN, REPEAT, EPOCH, UNIT)
_NETWORK = (
    Coordinate(CONDITION, (CONDITION,), TEXT, "augmentation variant the network was trained under"),
    Coordinate(RUN, (RUN,), INTEGER, "seed of the training"),
    Coordinate(REPEAT, (REPEAT,), INTEGER, "independent repetition of the synthesis"),
)
_EPOCH = Coordinate(EPOCH, (EPOCH,), INTEGER, "epochs of training behind the network; 0 = untrained")
_UNIT = (
    Coordinate(LAYER, (UNIT,), TEXT, "layer of the unit"),
    Coordinate(CHANNEL, (UNIT,), INTEGER, "channel of the unit within its layer"),
)
_MEASURES = (
    (SATURATION, (), "1", "greatest minus least of R, G, B over the greatest, each summed over the image"),
    (HUE, (), "rad", "circular mean of the hue, pixels by their chroma: red 0, green 2/3 pi; NaN: no colour"),
    (WARMTH, (), "1", "mean of (1 + cos(hue - orange)) / 2, pixels by their chroma; NaN: no colour"),
    (SPECTRUM, (BAND,), "1", "share of the brightness's variance in each octave band; NaN: uniform image"),
    (
        HIGH_FREQUENCY,
        (),
        "1",
        "share of waves shorter than 8 px, bands from 1/8 cycle per pixel; NaN: uniform",
    ),
)
_WITHIN = {
    MASKED: "within the network's own mask of that epoch",
    FIXED: "within the one mask of the layer",
    UNMASKED: "in the whole image",
}


def appearance_name(measure: str, masking: str) -> str:
    """The variable that holds a measure of appearance: its plain name within the network's own mask."""
    return measure if masking == MASKED else f"{measure}_{masking}"


APPEARANCE = Store(
    "Appearance of prototypes",
    "data/appearance/<condition>-<run>.zarr",
    (
        *_NETWORK,
        _EPOCH,
        *_UNIT,
        Coordinate(BAND, (BAND,), np.dtype(np.float64), "lower edge of the octave band, cycles per pixel"),
    ),
    tuple(
        Variable(
            appearance_name(measure, masking),
            (*_PROTOTYPE, *along),
            _FLOAT32,
            f"{description}; {_WITHIN[masking]}; NaN where the prototype has not converged",
            units,
        )
        for masking in MASKINGS
        for measure, along, units, description in _MEASURES
    ),
)

SETTLING = Store(
    "Settling of units",
    "data/units/<condition>-<run>.zarr",
    (*_NETWORK, *_UNIT),
    (
        Variable(
            SETTLING_EPOCH,
            (CONDITION, RUN, REPEAT, UNIT),
            _FLOAT32,
            "epoch from which on the prototype changes at most half as fast as before, by least squares, in "
            "the main space, without the noise of the synthesis; the last epoch for units that never settle; "
            "NaN where a prototype has not converged or fewer than three epochs are kept",
            "epochs",
        ),
    ),
)

STORES = (APPEARANCE, SETTLING)
