"""Named states of prototypes and of fits, as the stores hold them: never NaN or zero for "failed"."""

from enum import IntEnum


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
