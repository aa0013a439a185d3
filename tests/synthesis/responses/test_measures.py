"""Prototypes against natural images: literal loops, closed forms, ties, and units that do not respond."""

import math

import numpy as np
import pytest

from protoviz.synthesis.responses.measures import (
    mean_correlation,
    participation_ratio,
    percentile,
    ratio_to_maximum,
    strongest,
    varying,
)


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def test_strongest_are_sorted_and_ties_go_to_the_first():
    responses = np.array([[1, 5], [3, 5], [2, 0], [3, 5]], np.float32)
    rows, values = strongest(responses, 3)
    assert rows.tolist() == [[1, 3, 2], [0, 1, 3]]
    assert values.tolist() == [[3, 3, 2], [5, 5, 5]]


def test_percentile_is_the_count_of_smaller_responses(rng):
    responses = rng.integers(0, 6, (20, 3)).astype(np.float32)
    values = rng.integers(0, 7, (2, 4, 3)).astype(np.float32)
    found = percentile(values, responses)
    for index in np.ndindex(values.shape):
        below = sum(float(r) < float(values[index]) for r in responses[:, index[-1]])
        assert found[index] == pytest.approx(100 * below / 20)


def test_percentile_ends_at_0_and_100_and_keeps_what_is_missing():
    responses = np.array([[1.0], [2.0]])
    found = percentile(np.array([[0.5], [3.0], [1.0], [np.nan]]), responses)[:, 0]
    assert found[:3].tolist() == [0, 100, 0]
    assert math.isnan(found[3])


def test_ratio_only_where_an_image_drives_the_unit():
    responses = np.array([[1, -2, 0], [4, -1, -3]], np.float32)
    found = ratio_to_maximum(np.array([[8, 3, 3]], np.float32), responses)
    assert found[0, 0] == 2
    assert np.isnan(found[0, 1:]).all()


def test_units_together_have_one_dimension_and_apart_as_many_as_there_are(rng):
    one = rng.normal(size=(50, 1)) * np.arange(1, 6)
    assert participation_ratio(one) == pytest.approx(1)
    orthogonal = np.linalg.qr(rng.normal(size=(50, 6)) - 0)[0]
    orthogonal -= orthogonal.mean(0)
    orthogonal = np.linalg.qr(orthogonal)[0]
    assert participation_ratio(orthogonal + 7) == pytest.approx(6, rel=1e-6)


@pytest.mark.parametrize(("images", "units"), [(40, 5), (5, 12)])
def test_participation_ratio_is_that_of_the_eigenvalues(images, units, rng):
    responses = (rng.normal(size=(images, units)) * np.arange(1, units + 1)).astype(np.float32)
    values = np.linalg.eigvalsh(np.cov(responses.astype(np.float64).T))
    assert participation_ratio(responses) == pytest.approx(values.sum() ** 2 / (values**2).sum(), rel=1e-6)
    assert participation_ratio(1e25 * responses) == pytest.approx(participation_ratio(responses), rel=1e-5)


def test_mean_correlation_is_the_loop_over_pairs(rng):
    responses = rng.normal(size=(30, 4)) @ rng.normal(size=(4, 6))
    pairs = [
        abs(np.corrcoef(responses[:, i], responses[:, j])[0, 1]) for i in range(6) for j in range(6) if i != j
    ]
    assert mean_correlation(responses) == pytest.approx(np.mean(pairs))
    assert mean_correlation(-3 * responses + 2) == pytest.approx(np.mean(pairs))


def test_independent_units_correlate_as_said(rng):
    assert mean_correlation(rng.normal(size=(1000, 40))) == pytest.approx(
        math.sqrt(2 / (math.pi * 1000)), rel=0.1
    )


def test_silent_units_are_left_out(rng):
    responses = rng.normal(size=(30, 5))
    with_silent = np.insert(responses, 2, 0.0, axis=1)
    assert varying(with_silent).tolist() == [True, True, False, True, True, True]
    assert mean_correlation(with_silent) == mean_correlation(responses)
    assert participation_ratio(with_silent) == participation_ratio(responses)


def test_one_unit_none_and_one_image(rng):
    assert participation_ratio(rng.normal(size=(9, 1))) == pytest.approx(1)
    assert math.isnan(mean_correlation(rng.normal(size=(9, 1))))
    for silent in (np.zeros((9, 3)), rng.normal(size=(1, 3))):
        assert math.isnan(participation_ratio(silent))
        assert math.isnan(mean_correlation(silent))
