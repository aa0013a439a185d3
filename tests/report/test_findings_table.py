"""The table of the findings: what it shows, and that it fits a terminal."""

import json

import pytest

from protoviz.analysis import findings
from protoviz.report.findings_table import table
from tests.reference import planted, planted_study

PROBE = {"logistic": 66.61, "svm": 65.0, "adam": 64.1, "untrained_logistic": 41.1}


def study(options, embedders=("pixels",)):
    """What metrics/findings.json holds."""
    made = planted_study.study(embedders=embedders, draws=20, **options)
    truth = {
        "repeats": (0, 1),
        "epochs": planted_study.PAPER.epochs,
        "layers": planted_study.PAPER.layers,
    } | options
    conditions, runs = options.get("conditions", ("clrjit", "keepclr")), options.get("runs", (1, 2, 3, 4))
    means = planted.means(
        conditions=conditions,
        runs=runs,
        repeats=truth["repeats"],
        epochs=truth["epochs"],
        layers=dict(truth["layers"]),
    )
    probes = [{"condition": c, "run": r, **PROBE} for c in conditions for r in runs]
    about = findings.about("procedural textures", means, probes, 10.0)
    return json.loads(json.dumps(findings.collect(made, about), allow_nan=False))


STUDIES = {
    "default": {"runs": (1, 2)},
    "least": {
        "epochs": (0,),
        "repeats": (0,),
        "runs": (1,),
        "conditions": ("blur",),
        "layers": (("layer1", 1),),
    },
    "long names": {
        "conditions": ("clrjit", "keepclr", "a_condition_with_quite_a_long_name"),
        "epochs": tuple(range(0, 90, 5)),
        "runs": (1, 2, 3),
    },
}


@pytest.mark.parametrize("options", list(STUDIES.values()), ids=list(STUDIES))
def test_table_fits_the_terminal(options):
    text = table(study(options))
    assert max(map(len, text.splitlines())) <= 100
    assert not [line for line in text.splitlines() if line != line.rstrip()]
    assert "nan" not in text
    assert "None" not in text


def test_table_shows_what_a_reader_asks_for():
    found = study({}, embedders=("reference", "pixels"))
    lines = table(found).splitlines()
    text = "\n".join(lines)
    assert lines[0] == "procedural textures"
    assert "  clrjit run 2                    66.6        65.0        64.1        41.1        10.0" in lines
    assert "F2  Layer2 diversity drops, then grows again; keepclr ends slightly higher" in lines
    elsewhere = "SUPPORTED; fixed masks supported, no masks supported, cosine supported, pixels supported;"
    assert f"    {elsewhere} the" in lines
    assert "        same in 11 of 11 other spaces" in lines
    row = next(line for line in lines if "diversity, epoch 1 / untrained" in line)
    effect = found["findings"][0]["effects"][0]
    low, high = effect["interval"]
    assert row.split() == (
        f"+ diversity, epoch 1 / untrained < 1 {effect['times']} {low} .. {high} 0.125 4 of 4".split()
    )
    heading = next(line for line in lines if "95 % interval" in line and "times" in line)
    assert "p >= 0.125" in heading
    assert "cannot go below 0.125 (0.029 if runs were not matched)" in " ".join(text.split())


def test_table_says_what_was_not_computed_and_marks_the_other_side():
    text = table(study({"repeats": (0,), "runs": (1, 2)}))
    assert "    NOT COMPUTED\n    not computed: the distance between repeats needs two repeats" in text
    turned = {"looks": lambda c, _layer, _t: (0.1, 0.2, 0.3) if c == "keepclr" else (0.4, 0.5, 0.6)}
    lines = table(study(turned)).splitlines()
    assert any(line.startswith("  - saturation in layer1") for line in lines)
    assert "    NOT SUPPORTED; fixed masks not supported, no masks not supported" in lines


def test_ratios_without_meaning_are_not_printed():
    found = study({"runs": (1, 2)})
    effect = found["findings"][0]["effects"][0]
    effect |= {"times": 0.5, "interval": [1e-6, 1e6]}
    assert "0.5  < 0.001 .. > 999" in table(found)


def described(conditions, layers, runs=(1, 2), **options):
    """What metrics/findings.json holds of a study of another form."""
    options = {"conditions": conditions, "layers": layers, "runs": runs, "embedders": ("pixels",)} | options
    made = planted_study.study(draws=25, **options)
    truth = planted_study.replace(planted_study.PAPER, **options)
    names = ("conditions", "runs", "repeats", "epochs")
    means = planted.means(**{name: getattr(truth, name) for name in names}, layers=dict(layers))
    about = findings.about("somebody's networks", means, [], None)
    return json.loads(json.dumps(findings.of_any(made, about, {}), allow_nan=False))


def test_table_of_any_study_shows_values_and_pairs():
    found = described(("plain", "blurred"), (("blocks.3", 6),), runs=(1, 2, 3))
    lines = table(found).splitlines()
    assert "Diversity: mean distance between two units; epoch 8" in lines
    at = lines.index("Diversity: mean distance between two units; epoch 8")
    (layer,) = found["measures"][0]["layers"]
    value, pair = layer["conditions"][0], layer["comparisons"][0]
    assert (
        lines[at + 1].split()
        == f"blocks.3 plain {value['value']} {value['interval'][0]} .. {value['interval'][1]}".split()
    )
    told = f"plain / blurred {pair['effect']} {pair['interval'][0]} .. {pair['interval'][1]} {pair['p']}"
    assert lines[at + 3].split() == [*told.split(), pair["verdict"], "3/3"]
    assert "Probe accuracy" not in "\n".join(lines)
    assert "    not computed: the study has no probe" in lines


def test_table_of_any_study_fits_the_terminal_and_is_no_book():
    deep = tuple((f"features.denseblock{k}.denselayer{k}.conv{k}", 2) for k in range(1, 12))
    names = ("plain", "a_condition_with_quite_a_long_name", "crop", "rotations", "n")
    text = table(described(names, deep))
    lines = text.splitlines()
    assert max(map(len, lines)) <= 100
    assert not [line for line in lines if line != line.rstrip()]
    assert "    and 3 layers more: metrics/findings.json" in lines
    assert "    and 4 comparisons more: metrics/findings.json" in lines
    assert "  features.denseblock11.denselayer11.conv11" in lines  # the last is never left out
    least = table(described(("only",), (("head", 1),), runs=(1,), epochs=(7,), repeats=(0,)))
    for word in ("nan", "None"):
        assert word not in text + least
    assert "With 1 run there is no interval" in least
