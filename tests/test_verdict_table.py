"""The table of the findings: what it shows, and that it fits a terminal."""

import json

import pytest

from protoviz import findings
from protoviz.verdict_table import table
from tests.reference import planted


def study(means):
    """What metrics/findings.json holds."""
    probes = [
        {
            "condition": str(c),
            "run": int(r),
            "logistic": 66.61,
            "svm": 65.0,
            "adam": 64.1,
            "untrained_logistic": 41.1,
        }
        for c in means.condition.values
        for r in means.run.values
    ]
    return json.loads(json.dumps(findings.collect("procedural textures", means, probes, 10.0)))


STUDIES = {
    "default": {},
    "least": {
        "epochs": (0,),
        "repeats": (0,),
        "runs": (1,),
        "conditions": ("blur",),
        "layers": {"layer1": 1},
    },
    "long names": {
        "conditions": ("clrjit", "keepclr", "a_condition_with_quite_a_long_name"),
        "epochs": range(0, 90, 2),
    },
}


@pytest.mark.parametrize("options", list(STUDIES.values()), ids=list(STUDIES))
def test_table_fits_the_terminal(options):
    text = table(study(planted.means(**options, embedders=("pixels",))))
    assert max(map(len, text.splitlines())) <= 100
    assert not [line for line in text.splitlines() if line != line.rstrip()]
    assert "nan" not in text


def test_table_shows_what_a_reader_asks_for():
    text = table(study(planted.means()))
    lines = text.splitlines()
    assert lines[0] == "procedural textures"
    assert "1,440 prototypes, of which 0 % are left out as dead or diverged (0 % in trained networks)" in text
    assert "  clrjit run 2                    66.6        65.0        64.1        41.1        10.0" in lines
    assert "F1  Layer1 diversity drops in the first epochs, grows again; keepclr ends higher" in lines
    assert "    AS IN THE PAPER, 20 of 20; other spaces: 7 as in the paper" in lines
    assert f"    {'diversity at the last epoch, keepclr against clrjit, %':<78}            4 of 4" in lines
    assert "      layer1 +14.3 (+14.1 .. +14.7)" in lines
    assert "cannot go below p = 0.33" in " ".join(text.split())


def test_table_says_what_was_not_computed():
    text = table(study(planted.means(repeats=(0,), embedders=("pixels",))))
    assert (
        "    NOT COMPUTED, 0 of 0\n    not computed: the distance between repeats needs two repeats" in text
    )
