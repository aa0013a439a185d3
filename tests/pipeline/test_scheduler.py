"""The order of stages and the estimate of the time left."""

import pytest

from protoviz.pipeline.scheduler import OTHERWISE, Schedule, longest_chains, seconds

STUDY = {
    "dataset": [],
    "reference": ["dataset"],
    "generator": ["reference"],
    "train@a-1": ["dataset"],
    "probe@a-1": ["train@a-1"],
    "synthesize@a-1": ["train@a-1", "generator"],
    "cube": ["synthesize@a-1"],
}


def test_the_longest_chain_that_waits() -> None:
    chains = longest_chains(
        {"a": [], "b": ["a"], "c": ["a", "b"], "d": ["a"]}, {"a": 1, "b": 2, "c": 4, "d": 8}
    )
    assert chains == {"a": 9, "b": 6, "c": 4, "d": 8}


def test_a_stage_of_a_matrix_takes_what_its_group_takes() -> None:
    assert seconds("train@clrjit-1") == seconds("train")
    assert seconds("unheard_of") == OTHERWISE


def test_what_holds_up_most_starts_first() -> None:
    schedule = Schedule(STUDY)
    assert schedule.start(0.0) == "dataset"
    assert schedule.start(0.0) is None
    schedule.finish("dataset", 10.0)
    assert [schedule.start(10.0), schedule.start(10.0), schedule.start(10.0)] == [
        "reference",
        "train@a-1",
        None,
    ]
    schedule.finish("train@a-1", 70.0)
    assert schedule.start(70.0) == "probe@a-1"
    schedule.finish("reference", 80.0)
    assert [schedule.start(80.0), schedule.start(80.0)] == ["generator", None]
    assert schedule.done == {"dataset": 10.0, "train@a-1": 60.0, "reference": 70.0}


def test_what_is_not_to_run_counts_as_done() -> None:
    assert Schedule({"cube": ["synthesize@a-1"]}).start(0.0) == "cube"


def test_the_time_left_follows_the_pace() -> None:
    schedule = Schedule({"x": [], "y": [], "z": []})
    assert schedule.seconds_left(0.0, 2) is None
    schedule.start(0.0)
    schedule.start(0.0)
    schedule.finish("x", 20.0)  # twice what was expected
    assert schedule.seconds_left(20.0, 1) == pytest.approx(20.0 + 1.0)  # z, and y, which should be done
    assert schedule.seconds_left(20.0, 2) == pytest.approx(20.0)
    schedule.finish("y", 20.0)
    schedule.start(20.0)
    schedule.finish("z", 40.0)
    assert schedule.seconds_left(40.0, 2) == 0.0


def test_the_time_left_is_never_less_than_the_longest_chain() -> None:
    schedule = Schedule({"w": [], "x": ["w"], "y": ["x"], "z": ["y"]})
    schedule.start(0.0)
    schedule.finish("w", 10.0)
    assert schedule.seconds_left(10.0, 8) == pytest.approx(30.0)


def test_the_callers_graph_is_left_alone() -> None:
    needs = {"cube": ["gone"], "figures": ["cube"]}
    Schedule(needs).start(0.0)
    assert needs == {"cube": ["gone"], "figures": ["cube"]}
