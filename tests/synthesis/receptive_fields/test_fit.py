"""Gaussian fits: planted Gaussians found in px, and every kind of map that has none."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from protoviz.store.schema import GAUSSIAN_PARAMETERS, FitStatus
from protoviz.synthesis.receptive_fields import fit as fitting
from protoviz.synthesis.receptive_fields.fit import Parameters, fit_gaussian, gaussian, jacobian, mask

SHAPE = (64, 64)
PLANTED = {
    "centred": Parameters(3.0, 31.0, 31.0, 4.0, 4.0, 0.0, 0.0),
    "narrow": Parameters(1.0, 31.0, 31.0, 1.0, 1.5, 0.0, 0.0),
    "elongated": Parameters(2.0, 31.0, 31.0, 3.0, 9.0, 0.0, 0.0),
    "rotated": Parameters(2.0, 30.0, 34.0, 3.0, 9.0, 0.5, 0.0),
    "rotated back": Parameters(2.0, 30.0, 34.0, 9.0, 4.0, -0.7, 0.0),
    "with offset": Parameters(2.0, 28.5, 31.2, 6.0, 8.0, 0.3, 1.0),
    "off centre": Parameters(1.0, 12.3, 50.7, 5.0, 7.0, -0.3, 0.1),
    "clipped at a corner": Parameters(1.0, 2.0, 61.0, 8.0, 12.0, 0.4, 0.05),
    "centre at the edge": Parameters(1.0, 0.5, 30.0, 12.0, 10.0, 0.0, 0.0),
    "tiny values": Parameters(1e-12, 31.0, 31.0, 5.0, 8.0, 0.2, 1e-13),
    "huge values": Parameters(1e12, 31.0, 31.0, 5.0, 8.0, 0.2, 1e11),
    "broader than the image": Parameters(1.0, 31.0, 31.0, 80.0, 60.0, 0.2, 0.0),
}
EACH = pytest.mark.parametrize("planted", PLANTED.values(), ids=PLANTED)


@EACH
def test_planted_gaussian_is_found(planted):
    fit = fit_gaussian(gaussian(planted, SHAPE))
    assert fit.r_squared > 0.99999
    assert_allclose(gaussian(fit.parameters, SHAPE), gaussian(planted, SHAPE), atol=1e-3 * planted.amplitude)
    if planted.sigma_x != planted.sigma_y:
        assert fit.parameters.theta == pytest.approx(planted.theta, abs=0.01)
    assert fit.status is FitStatus.FITTED
    assert_allclose(fit.parameters[1:5], planted[1:5], atol=0.05)  # px


# The curvature of a Gaussian broader than the image is lost in noise.
NARROWER = {name: planted for name, planted in PLANTED.items() if planted.sigma_x <= SHAPE[1] / 2}


@pytest.mark.parametrize("planted", NARROWER.values(), ids=NARROWER)
def test_noise_moves_it_little(planted):
    noise = np.random.default_rng(3).standard_normal(SHAPE)
    fit = fit_gaussian(gaussian(planted, SHAPE) * (1 + 0.1 * noise))
    assert fit.status is FitStatus.FITTED
    assert fit.r_squared > 0.8
    assert_allclose(fit.parameters[1:5], planted[1:5], atol=1)  # px


@EACH
def test_mask_is_the_gaussian_without_offset_scaled_to_one(planted):
    found = fit_gaussian(gaussian(planted, SHAPE)).mask
    without_offset = gaussian(planted._replace(offset=0.0), SHAPE)
    assert found.dtype == np.float32
    assert found.max() == 1
    assert found.min() >= 0
    assert_allclose(found, without_offset / without_offset.max(), atol=1e-3)


@pytest.mark.parametrize("factor", [1e-9, 7.0, 1e9])
def test_scale_of_the_map_does_not_matter(factor):
    planted = gaussian(PLANTED["rotated"], SHAPE)
    one, other = fit_gaussian(planted), fit_gaussian(factor * planted)
    assert_allclose(other.mask, one.mask, atol=1e-6)
    assert other.parameters.amplitude == pytest.approx(factor * one.parameters.amplitude)


def test_transposed_map_has_the_transposed_mask():
    values = gaussian(PLANTED["off centre"], SHAPE)
    one, other = fit_gaussian(values), fit_gaussian(values.T)
    assert_allclose(other.mask, one.mask.T, atol=1e-4)
    assert (other.parameters.x0, other.parameters.y0) == pytest.approx((one.parameters.y0, one.parameters.x0))


def test_map_need_not_be_square():
    planted = Parameters(1.0, 20.0, 8.0, 5.0, 3.0, 0.0, 0.0)
    fit = fit_gaussian(gaussian(planted, (24, 40)))
    assert fit.mask.shape == (24, 40)
    assert_allclose(fit.parameters, planted, atol=0.01)


def test_angle_is_within_an_eighth_of_a_turn():
    for turn in np.linspace(-3, 3, 13):
        found = fit_gaussian(gaussian(Parameters(1.0, 30.0, 30.0, 4.0, 9.0, turn, 0.0), SHAPE)).parameters
        assert -np.pi / 4 <= found.theta < np.pi / 4
        assert sorted((found.sigma_x, found.sigma_y)) == pytest.approx([4, 9], abs=0.01)


def test_derivatives_are_those_of_the_gaussian():
    at = np.array(PLANTED["off centre"])
    exact = jacobian(Parameters(*at), (9, 9))
    for k in range(7):
        step = 1e-6 * np.eye(7)[k]
        above, below = gaussian(Parameters(*(at + step)), (9, 9)), gaussian(Parameters(*(at - step)), (9, 9))
        assert_allclose(exact[:, k], ((above - below) / 2e-6).ravel(), atol=1e-8)


def test_centre_stays_within_the_image():
    fit = fit_gaussian(gaussian(Parameters(1.0, -6.0, 30.0, 12.0, 10.0, 0.0, 0.0), SHAPE))
    assert fit.parameters.x0 == pytest.approx(0, abs=1e-3)
    assert fit.parameters.y0 == pytest.approx(30, abs=0.5)
    assert fit.r_squared > 0.97


def test_broad_field_is_not_taken_for_an_offset():
    """A deep unit looks everywhere, and hardest at an edge: its mask is broad, no peak at that edge."""
    broad = gaussian(Parameters(0.35, 24.0, 24.0, 24.0, 24.0, 0.0, 0.0), SHAPE)
    peak = gaussian(Parameters(0.65, 0.0, 0.0, 1.5, 1.5, 0.0, 0.0), SHAPE)
    assert fit_gaussian(broad + peak).mask.mean() > 0.25


def test_parameters_are_named_as_in_the_store():
    assert Parameters._fields == GAUSSIAN_PARAMETERS


@pytest.mark.parametrize("value", [0.0, 1.0, -3.0, 1e-30])
def test_flat_map_masks_nothing(value):
    fit = fit_gaussian(np.full(SHAPE, value))
    assert fit.status is FitStatus.FLAT
    assert (fit.mask == 1).all()
    assert np.isnan((*fit.parameters, fit.r_squared)).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_map_that_is_not_finite_masks_nothing(value):
    values = gaussian(PLANTED["centred"], SHAPE)
    values[3, 4] = value
    fit = fit_gaussian(values)
    assert fit.status is FitStatus.NOT_FINITE
    assert (fit.mask == 1).all()
    assert np.isnan((*fit.parameters, fit.r_squared)).all()


def single_pixel():
    values = np.zeros(SHAPE)
    values[20, 40] = 1
    return values


def one_pixel_less():
    return 1 - single_pixel()


def clipped():
    return np.minimum(gaussian(PLANTED["elongated"], SHAPE), 0.8)


def two_bumps():
    left, right = (
        Parameters(1.0, 12.0, 32.0, 4.0, 4.0, 0.0, 0.0),
        Parameters(1.0, 52.0, 32.0, 4.0, 4.0, 0.0, 0.0),
    )
    return gaussian(left, SHAPE) + gaussian(right, SHAPE)


def ring():
    y, x = np.indices(SHAPE)
    return (np.abs(np.hypot(x - 31, y - 31) - 20) < 2).astype(float)


def ramp():
    return np.indices(SHAPE)[1].astype(float)


def noise():
    return np.random.default_rng(0).random(SHAPE)


def negative():
    return -gaussian(PLANTED["centred"], SHAPE)


def extremes():
    values = np.zeros(SHAPE)
    values[::2] = np.finfo(np.float32).max
    return values


ODD = [single_pixel, one_pixel_less, clipped, two_bumps, ring, ramp, noise, negative, extremes]


@pytest.mark.parametrize("make", ODD)
def test_any_other_map_has_a_mask_and_a_state(make):
    fit = fit_gaussian(make())
    assert fit.status in (FitStatus.FITTED, FitStatus.MOMENTS)
    assert np.isfinite((*fit.parameters, fit.r_squared)).all()
    assert fit.mask.shape == SHAPE
    assert fit.mask.max() == 1
    assert fit.mask.min() >= 0
    assert fit.r_squared <= 1


def test_quality_tells_a_gaussian_from_what_is_none():
    assert fit_gaussian(clipped()).r_squared > 0.9
    assert fit_gaussian(two_bumps()).r_squared < 0.7
    assert fit_gaussian(noise()).r_squared < 0.05


def test_failed_fit_falls_back_on_the_moments(monkeypatch):
    def give_up(*_, **__):
        raise ValueError("residuals are not finite in the initial point")

    planted = PLANTED["rotated"]
    monkeypatch.setattr("protoviz.synthesis.receptive_fields.fit.least_squares", give_up)
    fit = fit_gaussian(gaussian(planted, SHAPE))
    assert fit.status is FitStatus.MOMENTS
    assert fit.r_squared > 0.9
    assert_allclose(fit.parameters[1:3], planted[1:3], atol=0.5)
    assert fit.mask.max() == 1


@pytest.mark.parametrize("size", [1, 2, 3])
def test_smallest_maps(size):
    fit = fit_gaussian(np.random.default_rng(0).random((size, size)))
    assert fit.mask.shape == (size, size)
    assert fit.mask.max() == 1


def test_centre_far_outside_still_has_a_greatest_value_of_one():
    found = mask(Parameters(1.0, -1e6, 0.0, 1.0, 1.0, 0.0, 0.0), (5, 5))
    assert_array_equal(found[0], [1, 0, 0, 0, 0])


def test_map_of_the_caller_is_unchanged():
    values = gaussian(PLANTED["rotated"], SHAPE).astype(np.float32)
    before = values.copy()
    fit_gaussian(values)
    assert_array_equal(values, before)


def test_a_fit_of_a_noisy_map_takes_few_evaluations(monkeypatch):
    """Each from two starts: that the Jacobian is given, exactly, saves a number for every parameter."""
    calls = []
    usual = fitting.gaussian
    monkeypatch.setattr(fitting, "gaussian", lambda *given: calls.append(0) or usual(*given))
    values = gaussian(PLANTED["rotated"], SHAPE) * (1 + 0.1 * np.random.default_rng(0).standard_normal(SHAPE))
    fit_gaussian(values)
    assert 0 < len(calls) < 60
