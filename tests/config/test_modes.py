"""The section `modes`: what is asked for is there, and what cannot be is refused in words."""

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from protoviz.config import params
from protoviz.errors import StudyError

ROOT = Path(__file__).parents[2]


def parsed(steps=8, **changes):
    raw = YAML(typ="safe").load(ROOT / "params.yaml")
    raw["modes"] |= changes
    raw["synthesis"]["ascent"]["steps"] = steps
    return params.parse(raw, "params.yaml")


def test_the_default_starts_nothing_again():
    assert parsed().modes.runs == []


def test_epochs_are_those_of_the_study_in_their_order():
    assert parsed().modes.of([0, 1, 3]) == [0, 1, 3]
    assert parsed(epochs=[12, 0]).modes.of([0, 1, 3, 6, 12]) == [0, 12]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"runs": [7]}, "modes.runs: expected some of 1, 2, 3, found 7"),
        ({"epochs": [5]}, "modes.epochs: expected some of 0, 1, 3, 6, 12, found 5"),
        ({"runs": [1], "steps": 0}, "an ascent of no steps leaves nothing to chance"),
        ({"restarts": 0}, "modes.restarts: expected a number of at least 1"),
        ({"share": 1.5}, "modes.share: expected a number of at most 1"),
        ({"confidence": 1.0}, "modes.confidence: expected a number below 1"),
        ({"method": "luck"}, "modes.method"),
        ({"runs": [1, 1]}, "each entry once"),
    ],
)
def test_what_cannot_be_is_refused(changes, words):
    with pytest.raises(StudyError) as refusal:
        parsed(**changes)
    assert words in str(refusal.value)
