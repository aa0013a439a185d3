"""Evidence: how single values become a verdict."""

import numpy as np
import pytest
import xarray as xr

from protoviz.evidence import Part, direction, effect, gaps, least_p, rounded, sequences

PAPER, OPPOSITE, MIXED, NOT = "as in the paper", "opposite", "mixed", "not computed"


def part(*values, side="above", bound=0.0):
    array = xr.DataArray(
        [list(values)], {"layer": ["layer1"], "run": range(1, len(values) + 1)}, ("layer", "run")
    )
    return Part("growth", "%", side, array, bound)


def test_direction_needs_every_value():
    def of(*values):
        return direction((part(*values),))

    assert of(1, 2) == PAPER
    assert of(-1, -2) == OPPOSITE
    assert of(1, -2) == MIXED
    assert of(0, 1) == MIXED
    assert of(0, 0) == MIXED
    assert of(np.nan, 1) == PAPER
    assert of(np.nan, np.nan) == NOT


def test_direction_knows_side_and_bound():
    assert direction((part(0.5, 0.9, side="below", bound=1.0),)) == PAPER
    assert direction((part(0.5, 0.9, bound=1.0),)) == OPPOSITE
    assert direction((part(1, 2), part(-1, side="below"))) == PAPER
    assert direction((part(1, 2), part(-1))) == MIXED


def test_effect_names_mean_and_range_to_three_digits():
    assert effect(part(1.23456, 2, np.nan)) == {
        "quantity": "growth",
        "unit": "%",
        "paper": "above",
        "bound": 0.0,
        "layers": {"layer1": {"mean": 1.62, "least": 1.23, "greatest": 2.0}},
        "agrees": "2 of 2",
        "direction": PAPER,
    }


def test_sequences_say_where_each_value_is_from_and_gaps_where_there_is_none():
    found = part(1.23456, np.nan)
    assert sequences(found) == [{"quantity": "growth", "run": 1, "layer": "layer1", "value": 1.23}]
    assert gaps(found) == [
        "growth, layer1: 1 of 2 values, for want of live units or of a change to compare with"
    ]


def test_rounding_keeps_digits_and_drops_the_sign_of_zero():
    assert [rounded(v) for v in (1234.5, 0.00123456, -0.0)] == [1230.0, 0.00123, 0.0]
    assert str(rounded(-0.0)) == "0.0"


@pytest.mark.parametrize(("runs", "p"), [(1, 1.0), (2, 1 / 3), (3, 0.1), (4, 2 / 70)])
def test_least_p_of_a_permutation_test(runs, p):
    assert least_p(runs) == pytest.approx(p)
