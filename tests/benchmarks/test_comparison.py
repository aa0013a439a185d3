"""Rows, ratios and the table, on results that are made up; and all of it once on a tiny network."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from benchmarks import comparison, diversity, evidence, ours, process, rates, subjects, synthesis
from benchmarks.methods import METHODS
from protoviz.analysis.distances import POINTS
from protoviz.config.synthesis import PRESETS
from protoviz.errors import StudyError

UNITS = {"layer1": [0, 1, 2], "layer2": [5]}
RATES = rates.Rates("", {"bfloat16": 100.0}, {"layer1": 4, "layer2": 8}, {"layer1": [1, 3], "layer2": [2, 6]})


def result(method, response, *, units=UNITS, repeat=0, images=None, **changed):
    task = process.Task("tiny", "net", method, units, repeat, "cpu", 1, 8)
    response = np.array(response, np.float32)
    values = {
        "seconds": 8.0,
        "seconds_once": 0.0,
        "forward": {"layer1": 12, "layer2": 4},
        "gradient": {"layer1": 3, "layer2": 1},
        "once": {},
        "share": 1.0,
        "peak": 100.0,
        "before": 60.0,
    }
    if images is None:
        images = np.zeros((len(response), 2, 2, 3), np.uint8)
    norm = np.ones(len(response), np.float32)
    return process.Result(task, **(values | changed), images=images, response=response, norm=norm)


def test_ratios_leave_out_what_is_dead_under_the_baseline():
    baseline = result("published", [1.0, -2.0, 4.0, 0.0])
    row = comparison.row([result("fast", [3.0, 1.0, 2.0, -1.0])], [baseline], RATES)
    assert row.ratios["layer1"] == comparison.Ratio(1.75, pytest.approx(0.75), 2)
    assert row.ratios["layer2"].units == 0
    assert (row.dead, row.woken, row.units) == (1, 1, 4)


def test_a_unit_that_dies_has_ratio_zero():
    row = comparison.row([result("fast", [np.nan, 1, 1, 1])], [result("published", [1, 1, 1, 1])], RATES)
    assert row.ratios["layer1"].low == pytest.approx(0.2)
    assert row.dead == 1


def test_ratios_pair_units_and_repeats():
    baselines = [result("published", [1, 2, 3, 4], repeat=r) for r in (1, 0)]
    baselines[0] = result("published", [10, 20, 30, 40], repeat=1)
    few = {"layer1": [1], "layer2": [5]}
    found = [result("cma", [2, 4], units=few), result("cma", [20, 80], units=few, repeat=1)]
    row = comparison.row(found, baselines, RATES)
    assert row.ratios["layer1"].median == 1.0
    assert row.ratios["layer2"].median == pytest.approx(1.5)


def test_evaluations_times_and_operations():
    fast = result("fast", [1, 1, 1, 1], seconds=2.0, peak=90.0)
    row = comparison.row([fast], [result("published", [1, 1, 1, 1])], RATES)
    assert (row.forward, row.gradient, row.seconds, row.faster) == (4.0, 1.0, 0.5, 4.0)
    assert (row.peak, row.own) == (90.0, 30.0)
    assert row.share == pytest.approx((12 * 1 + 4 * 2 + 3 * 3 + 1 * 6) / 2.0 / 100.0)


def test_what_is_done_once_is_shared_among_all_units_of_the_network():
    some = result("fast", [1, 1, 1, 1], seconds=10.0, seconds_once=6.0, once={"layer2": 3}, share=1 / 3)
    assert some.charged == pytest.approx(10 - 6 * 2 / 3)
    assert some.charged_forward == pytest.approx({"layer1": 12, "layer2": 2})


def test_table_has_a_column_for_each_layer_and_says_what_is_dead():
    baseline = result("published", [1.0, -2.0, 4.0, 0.0])
    rows = [comparison.row([found], [baseline], RATES) for found in (baseline, result("fast", [3, 1, 2, -1]))]
    head, rule, first, second = evidence.table(rows, {"published": "(b)", "fast": "(c)"}).splitlines()
    assert head.count("|") == rule.count("|") == first.count("|") == second.count("|")
    assert "| layer1 | layer2 |" in head
    assert "| 1.75 / 0.75 | all dead | 1 (1) |" in second
    assert "layer1: 1.75 / 0.75" in evidence.shortfalls(rows, "fast")
    assert "all" not in evidence.shortfalls(rows[:1], "published")


def test_stretch_fills_the_time():
    assert ours.stretch_to(4.0, forward=0, gradient=10) == pytest.approx(4.0)
    assert ours.stretch_to(4.0, forward=30, gradient=10) == pytest.approx(7.0)
    assert ours.stretch_to(0.5, forward=0, gradient=10) == 1.0
    assert ours.stretch_to(1e6, forward=0, gradient=10) == ours.MOST


def test_evaluations_of_presets():
    forward, gradient, once = ours.evaluations(PRESETS["paper"], UNITS)
    assert (forward["layer1"], gradient["layer1"], once.total()) == (3 * 602, 3 * 50, 0)
    fast = PRESETS["fast"]
    forward, gradient, once = ours.evaluations(fast, UNITS)
    assert once == {"layer2": fast.start.pool}
    assert (forward.total(), gradient.total()) == (fast.start.pool + 2 * 4, 4 * fast.ascent.steps)


def test_units_are_spread_over_a_layer():
    chosen = subjects.spread({"layer1": range(16), "layer2": range(3)}, 4)
    assert chosen == {"layer1": [2, 6, 10, 14], "layer2": [0, 1, 2]}
    assert subjects.spread(chosen, 1) == {"layer1": [10], "layer2": [1]}
    assert subjects.spread({"layer1": range(3)}, None) == {"layer1": [0, 1, 2]}


def test_operations_of_a_convolution_network_grow_with_depth():
    counted = rates.operations(subjects.load("tiny", "tiny", torch.device("cpu")))
    forward = [once for once, _ in counted.values()]
    assert forward == sorted(forward)
    assert all(1.5 < both / once < 3.1 for once, both in counted.values())


def test_agreement_by_chance_is_most_but_not_all():
    assert 0.6 < diversity.agreement_by_chance(2) < 0.95
    assert diversity.agreement_by_chance(4) > diversity.agreement_by_chance(2)


def test_diversity_is_the_mean_over_all_pairs_of_live_units():
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (4, 2, 2, 3), np.uint8) for _ in range(6)]
    responses = ([1, 1, 1, 1], [1, 1, 1, 1], [1, -1, 1, 1], *([1, 1, 1, 1] for _ in range(3)))
    made = [result("any", response, images=image) for response, image in zip(responses, images, strict=True)]
    results = {"published": made[:2], "fast": made[2:4], "unpooled": made[4:]}
    mask = np.array([[1, 0], [0.5, 0]], np.float32)
    flat = {"pixels": lambda shown: shown.reshape(len(shown), -1)}
    found = diversity.compare("net", results, flat, {"layer1": mask})
    first = next(each for each in found if (each.layer, each.distance) == ("layer1", "mse"))
    assert (first.units, first.masked, len(found)) == (2, True, 2 * len(POINTS))
    pair = (images[3][[0, 2]] / 255) * mask[:, :, None]
    assert first.means["fast"][1] == pytest.approx(np.mean((pair[0] - pair[1]) ** 2), rel=1e-5)


def test_diversity_agrees_only_within_the_repeats():
    means = {"published": [1.0, 1.2], "fast": [1.1, 1.15], "unpooled": [2.2, 2.2]}
    same = diversity.Compared("net", "layer1", "pixels", "mse", False, 9, means)
    other = dataclasses.replace(same, means=means | {"fast": [0.6, 0.7]})
    alone = dataclasses.replace(same, units=1, means={name: [np.nan, np.nan] for name in means})
    assert (same.agrees, other.agrees) == (True, False)
    assert same.spread == pytest.approx(0.2 / 1.1)
    lines = diversity.verdict([same, other, alone], 2)
    assert lines.startswith("1 of 2 agree")
    assert "-19.3 % (-40.9 to +2.3 %); without the pool +100.0 %" in lines
    assert "no layer" in diversity.verdict([alone], 2)
    assert diversity.table([same, other, alone]).count("\n") == 4


def test_missing_study_is_said_before_any_time_is_spent(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="run `protoviz repro`"):
        synthesis.main(["--study", "default"])
    with pytest.raises(SystemExit, match="run `protoviz repro`"):
        diversity.main([])
    with pytest.raises(StudyError, match="did you mean 'default'"):
        subjects.load("defalt", "x", torch.device("cpu"))


@pytest.mark.parametrize("method", sorted(set(METHODS) - {"published", "one_at_a_time", "paper"}))
def test_every_method_makes_an_image_for_every_unit(method):
    task = process.Task("tiny", "tiny", method, {"layer1": [0, 3], "layer2": [1]}, 0, "cpu", 1, 4)
    found = process.run_here(task)
    assert found.images.shape == (3, 32, 32, 3)
    assert found.response.shape == found.norm.shape == (3,)
    assert found.share == 3 / 60
    assert (found.seconds_once > 0) == METHODS[method].ours
    assert 0 < found.charged <= found.seconds
    assert found.peak >= found.before > 0
    assert sum(found.gradient.values()) >= 3 * 4


@pytest.mark.slow
@pytest.mark.usefixtures("forked_workers")
def test_table_from_end_to_end(tmp_path, capfd):
    target = tmp_path / "table.json"
    arguments = ["--study", "tiny", "--units", "1", "--threads", "1", "--steps", "4", "--json", str(target)]
    synthesis.main([*arguments, "--skip", *(set(METHODS) - {"published", "fast"})])
    printed = capfd.readouterr().out
    assert printed.count("| tiny |") == 2
    assert "- threads: 1" in printed
    rows = json.loads(target.read_text())["tiny"]["rows"]
    assert [row["method"] for row in rows] == ["published", "fast"]
    assert rows[0]["faster"] == 1.0
    assert rows[0]["ratios"]["layer4"]["median"] == 1.0
