"""Findings: planted truths of both signs, and studies from which some cannot be computed."""

import json
import re

import numpy as np
import pytest
import xarray as xr

from protoviz import findings
from protoviz.evidence import direction
from protoviz.metrics import main_space
from tests.reference import planted

PAPER, OPPOSITE, MIXED, NOT = "as in the paper", "opposite", "mixed", "not computed"


def study(means):
    """What the stage writes, through JSON."""
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
    return json.loads(
        json.dumps(findings.collect("procedural textures", means, probes, 10.0), allow_nan=False)
    )


def finding(name, means):
    return next(f for f in study(means)["findings"] if f["id"] == name)


def parts(name, means):
    """Quantity -> part, in the main space."""
    return {part.quantity: part for part in findings.FINDINGS[name](means.sel(main_space(means))).parts}


def verdicts(name, means):
    return {quantity: direction((part,)) for quantity, part in parts(name, means).items()}


def sizes(name, means, layer):
    return {
        quantity: float(part.values.sel(layer=layer).mean()) for quantity, part in parts(name, means).items()
    }


@pytest.fixture(scope="module")
def paper():
    return study(planted.means())


def changed(**by_measure):
    """The paper's measures with some replaced: name -> function of (condition, layer, progress)."""

    def measure(condition, layer, progress):
        diversity, repeats = planted.as_in_the_paper(condition, layer, progress)
        if "diversity" in by_measure:
            diversity = by_measure["diversity"](condition, layer, progress)
        if "repeats" in by_measure:
            repeats = by_measure["repeats"](condition, layer, progress)
        return diversity, repeats

    return planted.means(measure)


@pytest.mark.parametrize("place", range(4))
def test_planted_as_in_the_paper(place, paper):
    found = paper["findings"][place]
    assert found["id"] == ["F1", "F3", "F6", "F8"][place]
    assert found["direction"] == PAPER
    assert found["other_spaces"] == {PAPER: 7}
    assert found["missing"] == []
    count = len(found["per_run"])
    assert found["agrees"] == f"{count} of {count}"
    assert found["space"] == "reference mse masked"
    assert found["n"] == {"runs": 2, "repeats": 2}


def swapped(means):
    """The same study with the names of the two conditions exchanged."""
    return means.assign_coords(condition=means.condition.values[::-1])


FALL = "diversity, epoch 1 against untrained, "
RECOVERY = "diversity, last epoch against lowest since, "


def test_f1_knows_each_of_its_signs():
    rising = changed(diversity=lambda c, _, t: 1 + t + 0.1 * (c == "keepclr") * t)
    assert verdicts("F1", rising)[FALL + "clrjit"] == OPPOSITE
    assert verdicts("F1", rising)[RECOVERY + "clrjit"] == PAPER
    falling = changed(diversity=lambda c, _, t: 2 - t + 0.1 * (c == "keepclr") * t)
    assert verdicts("F1", falling)[FALL + "keepclr"] == PAPER
    assert verdicts("F1", falling)[RECOVERY + "keepclr"] == OPPOSITE
    assert direction(tuple(parts("F1", falling).values())) == MIXED
    other = swapped(planted.means())
    assert verdicts("F1", other)["diversity at the last epoch, keepclr against clrjit"] == OPPOSITE


def test_f1_sizes_are_percent_of_what_they_are_compared_with():
    given = {0: 2.0, 1: 1.0, 2: 1.5, 4: 1.6, 8: 1.75}
    means = planted.means(
        lambda c, _, t: (given[round(8 * t)] * (1.2 if c == "keepclr" else 1.0), 1.0), noise=0
    )
    assert sizes("F1", means, "layer1") == pytest.approx(
        {
            FALL + "clrjit": -50,
            RECOVERY + "clrjit": 75,
            FALL + "keepclr": -50,
            RECOVERY + "keepclr": 75,
            "diversity at the last epoch, keepclr against clrjit": 20,
        }
    )


def test_f3_knows_each_of_its_signs():
    other = verdicts("F3", swapped(planted.means()))
    assert other["diversity at the last epoch, clrjit against keepclr"] == OPPOSITE
    assert other["slope of diversity, epochs 4 to 8, clrjit - keepclr"] == OPPOSITE
    late_fall = changed(diversity=lambda c, _, t: 2 - t if c == "clrjit" else 1 - 0.9 * t)
    assert verdicts("F3", late_fall) == {
        "diversity at the last epoch, clrjit against keepclr": PAPER,
        "slope of diversity, epochs 4 to 8, clrjit": OPPOSITE,
        "slope of diversity, epochs 4 to 8, clrjit - keepclr": OPPOSITE,
    }


def test_f3_slope_is_that_of_least_squares():
    epochs = (0, 4, 6, 7, 8)
    rise = {0: 0.0, 4: 1.0, 6: 1.1, 7: 1.6, 8: 1.5}
    means = planted.means(
        lambda c, _, t: (1 + rise[round(8 * t)] * (c == "clrjit"), 1.0), epochs=epochs, noise=0
    )
    found = sizes("F3", means, "layer3")
    slope = np.polyfit([4, 6, 7, 8], [2.0, 2.1, 2.6, 2.5], 1)[0]
    assert found["slope of diversity, epochs 4 to 8, clrjit"] == pytest.approx(100 * slope / 2.3)
    assert found["slope of diversity, epochs 4 to 8, clrjit - keepclr"] == pytest.approx(100 * slope / 1.65)


def test_f6_knows_its_sign():
    assert set(verdicts("F6", planted.means(first_step=0.1)).values()) == {OPPOSITE}
    means = planted.means()
    means.rate_of_change.values[0, 1, 0, 2, 3] = 5
    found = finding("F6", means)
    assert found["direction"] == MIXED
    assert found["agrees"] == "31 of 32"
    assert [row for row in found["per_run"] if row["value"] < 1] == [
        {
            "quantity": "first step against the greatest later step, clrjit",
            "condition": "clrjit",
            "run": 2,
            "repeat": 0,
            "layer": "layer4",
            "value": 0.2,
        }
    ]


def test_f8_knows_each_of_its_signs():
    shrinking = changed(repeats=lambda _c, _layer, t: 1 - 0.5 * t)
    assert (
        verdicts("F8", shrinking)["distance between repeats, last epoch against untrained, clrjit"]
        == OPPOSITE
    )
    other = verdicts("F8", swapped(planted.means()))
    assert other["distance between repeats, last epoch against untrained, clrjit"] == PAPER
    assert other["that growth, clrjit - keepclr"] == OPPOSITE
    assert other["greatest in layers 3-4 of clrjit - greatest elsewhere"] == OPPOSITE
    shallow = changed(
        repeats=lambda c, layer, t: 1 + t * (9 if layer == "layer1" else 3 if c == "clrjit" else 1)
    )
    assert verdicts("F8", shallow)["that growth, clrjit - keepclr"] == PAPER
    assert verdicts("F8", shallow)["greatest in layers 3-4 of clrjit - greatest elsewhere"] == OPPOSITE


def test_other_spaces_are_counted_by_their_verdict():
    means = planted.means()
    means.rate_of_change.loc[{"embedder": "pixels", "distance": "mse", "step": 0}] = 0.01
    found = finding("F6", means)
    assert found["direction"] == PAPER
    assert found["other_spaces"] == {PAPER: 5, OPPOSITE: 2}
    assert found["by_space"]["pixels mse unmasked"] == "opposite, 0 of 32"


def test_other_conditions_are_measured_and_the_comparison_is_not():
    f1, f3, f6, f8 = study(planted.means(conditions=("clrjit", "blur"), embedders=("pixels",)))["findings"]
    assert f1["missing"] == [
        "the comparison needs the conditions clrjit and keepclr; the study has clrjit, blur"
    ]
    assert FALL + "blur" in [effect["quantity"] for effect in f1["effect"]]
    assert (f3["direction"], f3["effect"]) == (NOT, [])
    assert f3["statement"].startswith("Cannot be computed: the comparison needs")
    assert f6["direction"] == PAPER
    assert "Not computed: the comparison needs" in f8["statement"]


@pytest.mark.parametrize(
    ("options", "name", "reason"),
    [
        ({"repeats": (0,)}, "F8", "the distance between repeats needs two repeats"),
        ({"epochs": (0,)}, "F1", "the fall needs the untrained network and a trained epoch"),
        ({"epochs": (0,)}, "F3", "slopes need two kept epochs in the second half of training"),
        ({"epochs": (0,)}, "F6", "a peak needs two steps, three kept epochs"),
        ({"epochs": (0,)}, "F8", "growth needs the untrained network and a trained epoch"),
        ({"epochs": (0, 8)}, "F1", "the recovery needs two trained epochs"),
        ({"epochs": (0, 1, 8)}, "F3", "slopes need two kept epochs in the second half of training"),
        ({"layers": {"layer2": 3}}, "F1", "layer1 needed; the study has layer2"),
        ({"layers": {"layer3": 3}}, "F3", "layer4 needed; the study has layer3"),
        (
            {"conditions": ("keepclr",)},
            "F3",
            "the comparison needs the conditions clrjit and keepclr; .* keepclr",
        ),
    ],
)
def test_what_cannot_be_computed_says_why(options, name, reason):
    means = planted.means(**options)
    evidence = findings.FINDINGS[name](means.sel(main_space(means)))
    assert re.search(reason, " ".join(evidence.missing))


def test_one_run_is_enough_for_directions_and_nothing_more():
    found = study(planted.means(runs=(7,), embedders=("pixels",)))
    assert [f["direction"] for f in found["findings"]] == [PAPER] * 4
    assert found["note"].startswith("With 1 run a condition")
    assert "p = 1.00" in found["note"]


def test_dead_layer_is_a_gap_and_not_a_number():
    means = planted.means()
    means.diversity.loc[{"condition": "clrjit", "run": 2, "repeat": 0, "layer": "layer3", "epoch": 8}] = (
        np.nan
    )
    means.live_units.loc[{"condition": "clrjit", "run": 2, "repeat": 0, "layer": "layer3", "epoch": 8}] = 1
    found = finding("F3", means)
    assert found["direction"] == PAPER
    assert found["agrees"] == "21 of 21"
    assert "diversity at the last epoch, clrjit against keepclr, layer3: 1 of 4 values" in found["missing"][0]


def test_prototypes_that_change_in_the_first_step_only_have_no_peak():
    means = planted.means()
    means.rate_of_change.loc[{"step": slice(1, None)}] = 0  # the first step would be infinitely greater
    assert set(verdicts("F6", means).values()) == {NOT}
    assert [part.agreeing for part in parts("F6", means).values()] == [0, 0]


def test_excluded_units_are_counted_over_all_and_over_trained_networks():
    means = planted.means()
    means.live_units.loc[{"epoch": 0, "layer": "layer4"}] = 7
    found = study(means)["study"]
    assert found["prototypes"] == 2 * 2 * 2 * 5 * 36
    assert found["excluded_percent"] == 5.0
    assert found["excluded_percent_trained"] == 0


def test_means_are_unchanged():
    means = planted.means(embedders=("pixels",))
    before = means.copy(deep=True)
    study(means)
    xr.testing.assert_identical(means, before)
