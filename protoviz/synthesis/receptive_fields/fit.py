"""A 2-D Gaussian fitted to the map of a receptive field; without its offset it is the mask (R4).

    g(x, y) = offset + amplitude * exp(-(u^2 / sigma_x^2 + v^2 / sigma_y^2) / 2)
    u =  cos(theta) (x - x0) + sin(theta) (y - y0)
    v = -sin(theta) (x - x0) + cos(theta) (y - y0)

x is the column and y the row, in px; the centre of the first pixel is (0, 0). The authors left the
offset in the mask, so that a broad fit masked nothing; here it is removed, unless asked for.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from protoviz.store.gaussian2d import Map, Parameters, along_axes, gaussian, mask
from protoviz.store.schema import FitStatus

# Bounds of the fit. A unit looks from within the image, and its field may be wider than it: up to four
# images, beyond which a Gaussian is flat to 1 %. The offset is a floor, which all but a tenth of the pixels
# exceed; were it free, it would absorb the broad field of a deep unit and leave a peak at its edge.
FLOOR_QUANTILE = 0.1
SMALLEST_SIGMA = 0.5  # px
LARGEST_SIGMA = 4.0  # images
LARGEST_AMPLITUDE = 20.0  # times the greatest value of the map
FLAT = 1e-6  # a map whose range is smaller than this share of its size has no structure
TOLERANCE = 1e-6  # relative, of the squared error at which the fit stops
EVALUATIONS = 200


@dataclass(frozen=True)
class GaussianFit:
    """A fitted Gaussian.

    Args:
        mask: float32 (H, W) within [0, 1], the Gaussian without offset, greatest value 1.
        parameters: of the Gaussian; NaN where there is none (flat, not finite).
        r_squared: share of the map's variance that it explains; NaN where there is none.
        status: how it came about.
    """

    mask: NDArray[np.float32]
    parameters: Parameters
    r_squared: float
    status: FitStatus


def fit_gaussian(gradient_map: NDArray[np.floating], keep_offset: bool = False) -> GaussianFit:
    """Fit a Gaussian to a map (H, W) by least squares. A map without one is recorded, not an error.

    `keep_offset` leaves the offset in the mask, as the authors' code did (preset `paper`).

    If least squares fails or explains less than the Gaussian with the map's second moments, the latter is
    returned. If the map has no structure at all, the mask is 1 everywhere.
    """
    values = np.asarray(gradient_map, dtype=np.float64)
    if not np.isfinite(values).all():
        return _without(values.shape, FitStatus.NOT_FINITE)
    scale = float(np.abs(values).max())
    if np.ptp(values) <= FLAT * scale:
        return _without(values.shape, FitStatus.FLAT)
    scaled = values / scale
    moments = _moments(scaled)
    status, best = FitStatus.FITTED, moments
    fits = [fit for start in (moments, _half_maximum(scaled)) if (fit := _least_squares(scaled, start))]
    if fits:
        best = min(fits, key=lambda fit: _squared_error(scaled, fit))
    variance = float(((scaled - scaled.mean()) ** 2).sum())
    gained = (_squared_error(scaled, best) - _squared_error(scaled, moments)) / variance
    if not fits or gained > TOLERANCE:
        status, best = FitStatus.MOMENTS, moments
    r_squared = 1 - _squared_error(scaled, best) / variance
    rescaled = best._replace(amplitude=best.amplitude * scale, offset=best.offset * scale)
    return GaussianFit(mask(rescaled, values.shape, keep_offset), _canonical(rescaled), r_squared, status)


def jacobian(parameters: Parameters, shape: tuple[int, ...]) -> Map:
    """Derivatives of `gaussian` with respect to its parameters, (H * W, 7)."""
    amplitude, _, _, sigma_x, sigma_y, theta, _ = parameters
    u, v = along_axes(parameters, shape)
    bell = np.exp(-((u / sigma_x) ** 2 + (v / sigma_y) ** 2) / 2)
    peak = amplitude * bell
    by_u, by_v = u / sigma_x**2, v / sigma_y**2
    columns = (
        bell,
        peak * (by_u * np.cos(theta) - by_v * np.sin(theta)),
        peak * (by_u * np.sin(theta) + by_v * np.cos(theta)),
        peak * by_u * u / sigma_x,
        peak * by_v * v / sigma_y,
        peak * u * v * (1 / sigma_y**2 - 1 / sigma_x**2),
        np.ones_like(bell),
    )
    return np.stack([column.ravel() for column in columns], axis=1)


def _squared_error(values: Map, parameters: Parameters) -> float:
    return float(((gaussian(parameters, values.shape) - values) ** 2).sum())


def _least_squares(values: Map, start: Parameters) -> Parameters | None:
    """The best parameters near a start; None where the optimiser gives up."""
    height, width = values.shape
    side = max(height, width)
    margin = 1e-6
    largest = LARGEST_SIGMA * side
    floor = max(float(np.quantile(values, FLOOR_QUANTILE)), 4 * margin)
    lower = Parameters(0, 0, 0, SMALLEST_SIGMA, SMALLEST_SIGMA, -np.inf, 0)
    upper = Parameters(LARGEST_AMPLITUDE, width - 1, height - 1, largest, largest, np.inf, floor)
    inside = np.clip(start, np.add(lower, margin), np.subtract(upper, margin))
    try:
        result = least_squares(
            lambda p: (gaussian(Parameters(*p), values.shape) - values).ravel(),
            inside,
            jac=lambda p: jacobian(Parameters(*p), values.shape),
            bounds=(lower, upper),
            x_scale=(1, side / 4, side / 4, side / 4, side / 4, 1, 1),
            max_nfev=EVALUATIONS,
            ftol=TOLERANCE,
            xtol=TOLERANCE,
        )
    except (ValueError, np.linalg.LinAlgError):
        return None
    return Parameters(*map(float, result.x)) if result.success else None


def _moments(values: Map) -> Parameters:
    """The Gaussian with the centre and the second moments of the map above its lowest tenth."""
    floor = float(np.quantile(values, FLOOR_QUANTILE))
    weights = np.clip(values - floor, 0, None)
    if weights.sum() == 0:  # at least nine tenths of the map are its greatest value
        floor = float(values.min())
        weights = values - floor
    weights = weights / weights.sum()
    y, x = np.indices(values.shape, dtype=np.float64)
    x0, y0 = float((weights * x).sum()), float((weights * y).sum())
    dx, dy = x - x0, y - y0
    cross = float((weights * dx * dy).sum())
    covariance = [[float((weights * dx * dx).sum()), cross], [cross, float((weights * dy * dy).sum())]]
    variances, axes = np.linalg.eigh(covariance)
    sigmas = np.sqrt(np.clip(variances, SMALLEST_SIGMA**2, None))
    theta = float(np.arctan2(axes[1, 0], axes[0, 0]))
    shape = Parameters(1.0, x0, y0, float(sigmas[0]), float(sigmas[1]), theta, 0.0)
    bell = gaussian(shape, values.shape)
    # The amplitude that fits best over the floor, in closed form.
    amplitude = float((bell * (values - floor)).sum() / (bell * bell).sum())
    return shape._replace(amplitude=amplitude, offset=floor)


def _half_maximum(values: Map) -> Parameters:
    """A round Gaussian with the area above half of the range: a start that noise far away does not widen."""
    floor, top = float(np.median(values)), float(values.max())
    above = values >= (floor + top) / 2
    y, x = np.nonzero(above)
    sigma = max(SMALLEST_SIGMA, float(np.sqrt(above.sum() / (2 * np.pi * np.log(2)))))
    return Parameters(top - floor, float(x.mean()), float(y.mean()), sigma, sigma, 0.0, floor)


def _canonical(parameters: Parameters) -> Parameters:
    """The same Gaussian with theta in [-pi/4, pi/4): sigma_x stays the width nearer to the x axis."""
    quarter_turns = int(np.floor(parameters.theta / (np.pi / 2) + 0.5))
    turned = parameters._replace(theta=parameters.theta - quarter_turns * np.pi / 2)
    if quarter_turns % 2:
        turned = turned._replace(sigma_x=parameters.sigma_y, sigma_y=parameters.sigma_x)
    return turned


def _without(shape: tuple[int, ...], status: FitStatus) -> GaussianFit:
    return GaussianFit(np.ones(shape, dtype=np.float32), Parameters(*([_NAN] * 7)), _NAN, status)


_NAN = float("nan")
MISSING = _without((0, 0), FitStatus.MISSING)  # for a unit whose own field nobody asked for
