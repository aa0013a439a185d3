"""Learning apart from noise, and change points: known truths, and a slow search."""

import numpy as np
import pytest
import xarray as xr

from protoviz.analysis import settling
from protoviz.store import schema
from protoviz.store.schema_appearance import SETTLING
from tests.reference import planted_study as planted


def literal(change, epochs):
    """The change point of one unit by trying all, with the sum of squares written out."""
    gaps = np.diff(epochs)
    rates = change / gaps
    best, least = epochs[-1], np.inf
    for k in range(1, len(rates)):
        levels = [np.average(part, weights=w) for part, w in ((rates[:k], gaps[:k]), (rates[k:], gaps[k:]))]
        if levels[0] <= 0 or levels[1] > 0.5 * levels[0]:
            continue
        squares = (gaps[:k] * (rates[:k] - levels[0]) ** 2).sum() + (
            gaps[k:] * (rates[k:] - levels[1]) ** 2
        ).sum()
        if squares < least:
            best, least = epochs[k], squares
    return best


def test_change_points_are_those_of_a_slow_search():
    rng = np.random.default_rng(0)
    epochs = np.array([0, 1, 2, 4, 8, 16, 17])
    change = rng.gamma(1.0, 1.0, (3, 50, 6)) - 0.2
    found = settling.settling_epochs(change, epochs)
    assert found.shape == (3, 50)
    assert found.ravel().tolist() == [literal(row, epochs) for row in change.reshape(-1, 6)]
    assert len(set(found.ravel())) > 3


def test_a_step_is_found_where_it_is():
    epochs = np.arange(0, 101, 10)
    for at in (10, 30, 90):
        rate = np.where(epochs[1:] <= at, 1.0, 0.2)
        assert settling.settling_epochs(rate * 10, epochs) == at


def test_what_never_slows_down_by_half_never_settles():
    epochs = np.arange(0, 101, 10)
    assert settling.settling_epochs(np.full(10, 3.0), epochs) == 100
    assert settling.settling_epochs(np.linspace(1, 2, 10), epochs) == 100
    assert settling.settling_epochs(np.where(epochs[1:] <= 30, 1.0, 0.6), epochs) == 100
    assert settling.settling_epochs(np.zeros(10), epochs) == 100


def test_uneven_gaps_are_rates():
    epochs = np.array([0, 1, 2, 10, 20])
    assert settling.settling_epochs(np.array([1.0, 1.0, 8.0, 1.0]), epochs) == 10


def test_gaps_and_single_steps_have_no_change_point():
    assert np.isnan(settling.settling_epochs(np.array([1.0, np.nan, 0.1]), np.arange(4)))
    assert np.isnan(settling.settling_epochs(np.array([[1.0], [2.0]]), np.arange(2))).all()
    assert np.isnan(settling.settling_epochs(np.empty((2, 0)), np.arange(1))).all()


def test_learning_is_the_distance_of_what_the_noise_surrounds():
    """Prototypes are a truth and independent noise; the distance of the truths comes out."""
    rng = np.random.default_rng(1)
    dimension, units = 400, 500
    truth = np.array([0.0, 0.5, 0.5])[:, None, None] * np.ones((3, units, dimension))
    deviation = np.array([0.8, 0.3, 0.1])[:, None, None]
    repeats = truth + deviation * rng.normal(size=(2, 3, units, dimension))
    apart = ((repeats[0] - repeats[1]) ** 2).mean(-1)
    change = ((repeats[:, 1:] - repeats[:, :-1]) ** 2).mean(-1)
    learnt = settling.learning(
        xr.DataArray(change, dims=("repeat", "step", "unit")),
        xr.DataArray(apart, {"epoch": [0, 1, 2]}, ("epoch", "unit")),
    )
    assert learnt.dims == ("repeat", "step", "unit")
    assert learnt.mean(("repeat", "unit")).values == pytest.approx([0.25, 0.0], abs=0.01)


def test_store_follows_the_schema_and_one_repeat_is_taken_as_it_is():
    store = planted.study(runs=(3,)).distances[0][0]
    space = {"embedder": "pixels", "distance": "mse", "masking": "fixed"}
    found = settling.units(store, space)
    assert found["settling_epoch"].dims == SETTLING["settling_epoch"].dims
    assert found["settling_epoch"].dtype == np.float32
    assert (found["settling_epoch"] == 1).all()
    assert found.attrs == {"space_embedder": "pixels", "space_distance": "mse", "space_masking": "fixed"}
    alone = settling.units(store.isel(repeat=[0]), space)["settling_epoch"]
    raw = (
        store["between_epochs"].sel(space).isel(condition=0, run=0, repeat=0).transpose("unit", "step").values
    )
    expected = settling.settling_epochs(raw.astype(float), store["epoch"].values)
    assert alone.values[0, 0, 0].tolist() == expected.tolist()
    dead = store.copy(deep=True)
    dead["between_epochs"].values[:, :, 0, 1, 4] = np.nan
    settled = settling.units(dead, space)["settling_epoch"]
    assert np.isnan(settled.values[0, 0, 0, 4])
    assert np.isfinite(settled.values).sum() == settled.size - 1
    assert schema.layer_slices(found["layer"].values)
