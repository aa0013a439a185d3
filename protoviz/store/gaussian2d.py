"""A 2-D Gaussian on a pixel grid, the form of every receptive field, and the mask that it makes.

    g(x, y) = offset + amplitude * exp(-(u^2 / sigma_x^2 + v^2 / sigma_y^2) / 2)
    u =  cos(theta) (x - x0) + sin(theta) (y - y0)
    v = -sin(theta) (x - x0) + cos(theta) (y - y0)

x is the column and y the row, in px; the centre of the first pixel is (0, 0).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Map = NDArray[np.float64]


class Parameters(NamedTuple):
    """The seven numbers of the Gaussian: lengths in px, theta in rad within [-pi/4, pi/4)."""

    amplitude: float
    x0: float
    y0: float
    sigma_x: float
    sigma_y: float
    theta: float
    offset: float


def mask(parameters: Parameters, shape: tuple[int, ...], keep_offset: bool = False) -> NDArray[np.float32]:
    """The Gaussian on a pixel grid, scaled so that its greatest pixel is exactly 1.

    The offset is left out; `keep_offset` leaves it in and cuts negative values off at 0.

    >>> mask(Parameters(2.0, 1.0, 0.0, 1.0, 1.0, 0.0, 5.0), (1, 3)).round(3)
    array([[0.607, 1.   , 0.607]], dtype=float32)
    """
    if keep_offset:
        values = gaussian(parameters, shape)
        return (values / values.max()).clip(0, 1).astype(np.float32)
    quadratic = _quadratic(parameters, shape)
    # In the exponent, so that a centre far outside the image does not end in 0 / 0.
    scaled: NDArray[np.float32] = np.exp(-(quadratic - quadratic.min()) / 2).astype(np.float32)
    return scaled


def gaussian(parameters: Parameters, shape: tuple[int, ...]) -> Map:
    """The Gaussian with its offset on a pixel grid (H, W)."""
    values: Map = parameters.offset + parameters.amplitude * np.exp(-_quadratic(parameters, shape) / 2)
    return values


def along_axes(parameters: Parameters, shape: tuple[int, ...]) -> tuple[Map, Map]:
    """The coordinates u and v of every pixel, (H, W) each."""
    y, x = np.indices(shape, dtype=np.float64)
    dx, dy = x - parameters.x0, y - parameters.y0
    cos, sin = np.cos(parameters.theta), np.sin(parameters.theta)
    return cos * dx + sin * dy, cos * dy - sin * dx


def _quadratic(parameters: Parameters, shape: tuple[int, ...]) -> Map:
    u, v = along_axes(parameters, shape)
    distance: Map = (u / parameters.sigma_x) ** 2 + (v / parameters.sigma_y) ** 2
    return distance
