"""The table of presets: what differs, how it is said, and that the command prints it."""

import subprocess
import sys
from pathlib import Path

import pytest

from protoviz.config import diff, params

ROOT = Path(__file__).parents[2]
ONE = {
    "title": "one",
    "train": {"lr": 0.1, "keep": [0, 1, 2, 3]},
    "runs": [1],
    "conditions": {"a": {"x": 1}, "b": {}},
}
TWO = {"title": "one", "train": {"lr": 0.1, "keep": [0, 4]}, "runs": [1], "conditions": {"a": {"x": 2}}}


def test_only_what_differs_is_there_under_its_full_name():
    found = diff.differences({"one": ONE, "two": TWO})
    assert found == {
        "train.keep": {"one": [0, 1, 2, 3], "two": [0, 4]},
        "conditions.a.x": {"one": 1, "two": 2},
        "conditions.b": {"one": {}},
    }
    assert diff.differences({"one": ONE, "same": ONE}) == {}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (1e-4, "0.0001"),
        (list(range(101)), "0 to 100"),
        ([0, 1, 2, 4, 6], "0, 1, 2, 4, 6"),
        ([False, 1, 2, 3], "false, 1, 2, 3"),
        ("https://example.org/a/b.pt", ".../b.pt"),
        ("as-written", "as-written"),
    ],
)
def test_values_are_said_as_in_yaml(value, text):
    assert diff.said(value) == text


def test_long_values_are_wrapped_and_not_said_twice():
    long = {"embedders": ["a_long_name"] * 12, "x": 1}
    lines = diff.table({"default": {"embedders": [], "x": 2}, "paper": long, "other": long}).splitlines()
    assert max(map(len, lines)) <= 100
    row = next(line for line in lines if line.startswith("embedders"))
    assert row.endswith("as paper")
    assert sum("a_long_name" in line for line in lines) > 2
    assert lines[-1] == "2 parameters differ, of 2."


def test_the_command_prints_the_studies_of_the_paper_beside_the_default():
    command = [sys.executable, "-m", "protoviz", "presets"]
    lines = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    assert lines[0].split() == ["parameter", "params.yaml", "paper", "paper-b", "as-written"]
    assert max(map(len, lines)) <= 100
    rows = {line.split()[0]: line.split()[1:] for line in lines[1:] if line and not line.startswith(" ")}
    presets = [f"presets/{name}.yaml" for name in ("paper", "paper-b", "as-written")]
    studies = [params.load(ROOT / name) for name in ("params.yaml", *presets)]
    assert rows["synthesis.ascent.steps"] == [str(study.synthesis.ascent.steps) for study in studies]
    assert rows["augment.vf_prob"] == ["0.5", "0.5", "0.5", "0"]
    assert "train.momentum" not in rows
