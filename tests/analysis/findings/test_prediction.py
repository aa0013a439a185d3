"""Prediction of accuracy: literal oracles, what is planted, and what shares the trend of training alone."""

import itertools
import json
import statistics

import numpy as np
import pytest

from protoviz.analysis.findings import prediction
from protoviz.analysis.findings.prediction import exact_p, exchanges, fisher, partial, predicted
from tests.reference import planted

C, R, E = 2, 5, 6


def tables(kind, seed, conditions=C, runs=R, epochs=E):
    """(measure, accuracy): both rise with the epoch; beyond that they share what `kind` says."""
    rng = np.random.default_rng(seed)
    trend = np.linspace(0, 10, epochs)
    own = rng.normal(size=(conditions, runs, 1))  # of each network, at all epochs
    noise = rng.normal(size=(2, conditions, runs, epochs))
    measure = trend + own + 0.5 * noise[0]
    if kind == "drives":
        return measure, 3 * trend + 2 * (measure - trend) + 0.5 * noise[1]
    if kind == "conditions":  # which differ in both
        apart = 4 * np.arange(conditions)[:, None, None]
        measure = measure + apart
        return measure, trend + apart + rng.normal(size=(conditions, runs, 1)) + 0.5 * noise[1]
    return measure, 3 * trend + rng.normal(size=(conditions, runs, 1)) + 0.5 * noise[1]


def literal(measure, accuracy, within):
    """Residuals one by one, the textbook's correlation."""
    first, second = [], []
    for c, r, e in np.ndindex(measure.shape):
        others = [(c, k) for k in range(measure.shape[1])] if within else list(np.ndindex(measure.shape[:2]))
        for found, table in ((first, measure), (second, accuracy)):
            found.append(table[c, r, e] - statistics.fmean(table[*other, e] for other in others))
    return statistics.correlation(first, second)


@pytest.mark.parametrize("within", [False, True])
def test_as_the_textbook_has_it(within):
    for seed in range(3):
        measure, accuracy = tables("trend", seed)
        wanted = literal(measure, accuracy, within)
        assert partial(measure, accuracy, within=within) == pytest.approx(wanted, abs=1e-9)
    assert np.isnan(partial(np.full((C, R, E), 0.1), accuracy, within=within))


def test_exchanges_are_of_whole_networks_each_once():
    across = [tuple(one) for one in exchanges(2, 3, within=False)]
    assert len(across) == len(set(across)) == 6 * 2**3
    assert across[0] == tuple(range(6))
    for order in across:  # what stands in one run stays together
        assert all(order[r] % 3 == order[3 + r] % 3 for r in range(3))
    inside = [tuple(one) for one in exchanges(2, 3, within=True)]
    assert len(inside) == len(set(inside)) == 6
    assert all(order[r] + 3 == order[3 + r] for order in inside for r in range(3))
    drawn = [tuple(one) for one in exchanges(3, 8, within=False)]
    assert len(drawn) == prediction.MOST
    assert drawn[0] == tuple(range(24))
    assert all(sorted(one) == list(range(24)) for one in drawn[:50])


@pytest.mark.parametrize("within", [False, True])
def test_p_is_that_of_the_literal_loop(within):
    measures = [tables("trend", seed, runs=3)[0] for seed in (0, 1)]
    accuracy = tables("trend", 2, runs=3)[1]
    values = []
    orders = itertools.permutations(range(3))
    swaps = [[(0, 1)] * 3] if within else list(itertools.product([(0, 1), (1, 0)], repeat=3))
    for order, swap in itertools.product(orders, swaps):
        moved = np.array([[accuracy[swap[r][c], order[r]] for r in range(3)] for c in range(2)])
        values.append(sum(literal(measure, moved, within) for measure in measures))
    observed = sum(literal(measure, accuracy, within) for measure in measures)
    p, floor = exact_p(measures, accuracy, within=within)
    assert p == pytest.approx(np.mean(np.abs(values) >= abs(observed) - 1e-12))
    assert floor == pytest.approx(1 / len(values))


def test_what_drives_accuracy_is_found_and_what_shares_the_trend_is_not():
    for within in (False, True):
        measure, accuracy = tables("drives", 0)
        assert partial(measure, accuracy, within=within) > 0.9
        p, floor = exact_p([measure], accuracy, within=within)
        assert p <= 2 * floor < 0.05
        z = fisher(measure, accuracy, within=within)
        assert (z > 0).all()
        raw = np.corrcoef(*(table.ravel() for table in tables("trend", 1)))[0, 1]
        assert raw > 0.9
        assert abs(partial(*tables("trend", 1), within=within)) < 0.6


def test_two_conditions_that_differ_are_not_runs_that_do():
    across = [partial(*tables("conditions", seed), within=False) for seed in range(20)]
    inside = [partial(*tables("conditions", seed), within=True) for seed in range(20)]
    assert np.mean(across) > 0.6
    assert abs(np.mean(inside)) < 0.2


@pytest.mark.parametrize("within", [False, True])
@pytest.mark.parametrize("runs", [3, 5])
def test_nulls_keep_the_error_rate(within, runs):
    p, beyond = [], []
    for seed in range(300):
        measure, accuracy = tables("trend", 100 + seed, runs=runs)
        found = prediction._numbers(measure, accuracy, "null", within=within)
        p.append(found["p"])
        beyond.append(not found["interval"][0] <= 0 <= found["interval"][1])
    assert np.mean(np.array(p) <= 0.05) <= 0.05 + 2.6 * np.sqrt(0.05 * 0.95 / 300)
    assert np.mean(beyond) <= 0.1


def means(driven=True, epochs=(0, 1, 2, 4, 8), **other):
    """Layer means, to which a read-out's accuracy belongs; layer1 drives it, or nothing does."""
    found = planted.means(runs=(1, 2, 3, 4), epochs=epochs, noise=0.2, **other)
    diverse = found.diversity.isel(embedder=0, distance=0, masking=0).mean("repeat")
    own = diverse.sel(layer="layer1").values
    rng = np.random.default_rng(1)
    base = own if driven else rng.normal(size=own.shape)
    named = found.condition.values.tolist(), found.run.values.tolist(), epochs
    rows = []
    for (c, r, e), readout in itertools.product(np.ndindex(own.shape), ("svm", "logistic")):
        accuracy = 50 + 10 * base[c, r, e] + 5 * e + 0.1 * rng.normal()
        labels = (named[0][c], str(named[1][r]), str(named[2][e]), readout, f"{accuracy:.6f}")
        names = ("condition", "run", "epoch", "readout", "accuracy")
        rows.append(dict(zip(names, labels, strict=True)))
    return found, rows


def test_rows_of_a_study():
    found, rows = means()
    found = found.assign(faithfulness=found.diversity * 0.5)  # whatever is there by name joins
    told = predicted(found, prediction.accuracies(rows, found))
    told = json.loads(json.dumps(told, allow_nan=False))
    assert told["readout"] == "logistic"
    assert {row["measure"] for row in told["rows"]} == {"diversity", "faithfulness"}
    assert "consistency: not measured" in told["missing"]
    first = next(row for row in told["rows"] if row["layer"] == "layer1")
    assert first["given_epoch"]["r"] > 0.99
    assert first["within_conditions"]["r"] > 0.99
    floor = pytest.approx(1 / (24 * 16), abs=1e-4)
    assert first["given_epoch"]["p"] == first["given_epoch"]["p_floor"] == floor
    low, high = first["given_epoch"]["interval"]
    assert 0.9 < low <= first["given_epoch"]["r"] <= high
    assert first["epochs"] == 5
    assert "cannot go below 0.0026, within conditions below 0.042" in told["note"]


def test_epochs_and_runs_in_which_a_measure_is_unknown_do_not_count():
    found, rows = means()
    some = found.diversity.where((found.epoch >= 2) & (found.run != 4))
    found = found.assign(diversity=some)
    told = predicted(found, prediction.accuracies(rows, found))
    assert told["rows"][0]["epochs"] == 3
    assert told["rows"][0]["given_epoch"]["p_floor"] == pytest.approx(1 / (6 * 8), abs=1e-4)
    nothing = predicted(found.assign(diversity=some * np.nan), prediction.accuracies(rows, found))
    assert nothing["rows"] == []
    assert "diversity in layer1: not known at any epoch of all networks" in nothing["missing"]


def test_studies_that_lack_something():
    found, rows = means()
    assert predicted(found, prediction.accuracies([], found))["missing"] == ["the study has no probe"]
    one = found.isel(run=[0], condition=[0])
    told = predicted(one, prediction.accuracies(rows, one))
    assert told["missing"] == ["prediction over networks needs three; the study has 1 network"]
    runs = found.isel(condition=[0])
    told = predicted(runs, prediction.accuracies(rows, runs))["rows"][0]
    assert told["given_epoch"]["r"] == told["within_conditions"]["r"]
    names = ["a", "b", "clrjit", "keepclr"]
    conditions, rows = means(conditions=names)
    conditions = conditions.isel(run=[0])
    named = rows
    told = predicted(conditions, prediction.accuracies(named, conditions))["rows"][0]
    assert told["within_conditions"] is None
    assert told["given_epoch"]["interval"] is None
    alone = found.isel(epoch=[0])
    assert predicted(alone, prediction.accuracies(rows, alone))["rows"][0]["epochs"] == 1
