"""Prototypes against natural images: what each unit responds to, and how a layer's units share the work.

Responses (N, C) are those of the C units of a layer to N images, as `activation` is to a prototype. No torch.
"""

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.floating]


def strongest(responses: Float, count: int) -> tuple[NDArray[np.int64], Float]:
    """The images to which each unit responds most, and its responses to them.

    Args:
        responses: (N, C).
        count: how many, at most N.

    Returns:
        Rows of `responses`, (C, count), from the greatest response downwards; of equal ones the first image
        comes first. And the responses, (C, count).
    """
    order = np.argsort(-responses, axis=0, kind="stable")[:count]
    return order.T, np.take_along_axis(responses, order, axis=0).T


def percentile(values: Float, responses: Float) -> NDArray[np.float64]:
    """The share of images, in %, to which each unit responds less than a value.

    Args:
        values: (..., C), for instance the activations of prototypes; NaN stays NaN.
        responses: (N, C).

    Returns:
        (..., C).
    """
    ranked = np.sort(responses, axis=0)
    below = np.empty(values.shape)
    for unit in range(values.shape[-1]):
        below[..., unit] = np.searchsorted(ranked[:, unit], values[..., unit], side="left")
    below *= 100 / len(responses)
    below[np.isnan(values)] = np.nan
    return below


def ratio_to_maximum(values: Float, responses: Float) -> NDArray[np.float64]:
    """A value over the unit's greatest response to an image.

    Args:
        values: (..., C).
        responses: (N, C).

    Returns:
        (..., C); NaN where no image drives the unit above zero, since such a ratio says nothing.
    """
    greatest = responses.max(axis=0).astype(np.float64)
    return values / np.where(greatest > 0, greatest, np.nan)


def varying(responses: Float) -> NDArray[np.bool_]:
    """Whether each unit's responses differ at all, (C,)."""
    different: NDArray[np.bool_] = (responses != responses[:1]).any(axis=0) & np.isfinite(responses).all(
        axis=0
    )
    return different


def participation_ratio(responses: Float) -> float:
    """The number of dimensions that responses (N, C) fill.

    (sum l)^2 / sum l^2 of the eigenvalues of their covariance: 1 if all units vary together, C if they
    vary independently and alike. From N images it cannot exceed N - 1, and is too low by about PR^2 / N:
    compare numbers for the same N. NaN where no unit varies.

    >>> together = np.outer(np.arange(4.0), [1.0, 2.0])  # both units vary as one
    >>> round(participation_ratio(together), 6)
    1.0
    """
    centred = _centred(responses)
    if not centred.size:
        return float("nan")
    # From the smaller of the two products, which have the same eigenvalues but for zeros.
    gram = centred.T @ centred if centred.shape[1] <= len(centred) else centred @ centred.T
    return float(np.trace(gram) ** 2 / (gram**2).sum())


def mean_correlation(responses: Float) -> float:
    """The mean absolute Pearson correlation over all pairs of varying units; NaN where there is no pair.

    Independent units have about sqrt(2 / (pi N)), not 0.
    """
    centred = _centred(responses)
    count = centred.shape[1]
    if count < 2:
        return float("nan")
    unit = centred / np.linalg.norm(centred, axis=0)
    correlation = np.abs(unit.T @ unit)
    return float((correlation.sum() - np.trace(correlation)) / (count * (count - 1)))


def _centred(responses: Float) -> NDArray[np.float64]:
    """The varying units' responses about their means, scaled to a range in which squares are safe."""
    kept = responses[:, varying(responses)].astype(np.float64)
    if not kept.size:
        return kept
    kept -= kept.mean(0)
    centred: NDArray[np.float64] = kept / np.abs(kept).max()
    return centred
