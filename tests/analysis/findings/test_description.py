"""The findings of any study: what was planted is found, nothing else, and what is missing is said."""

import json

import numpy as np
import pytest

from protoviz.analysis import findings
from protoviz.analysis.findings import contrasts, statistics
from protoviz.config.learning import Augment
from tests.reference import planted, planted_study
from tests.reference.compared import compared

LAYERS = (("blocks.0", 6), ("blocks.3", 6))


def alike(_condition, _layer, t):
    return 1 + 0.5 * t


def described(matched=False, probes=None, **options):
    """What `describe` says of a planted study, as JSON that has been read again."""
    options = {"layers": LAYERS, "conditions": ("plain", "blurred"), "embedders": ("pixels",)} | options
    made = planted_study.study(**options)
    return json.loads(
        json.dumps(findings.describe(made, about(options, probes), matched=matched), allow_nan=False)
    )


def about(options, probes=None):
    truth = planted_study.replace(
        planted_study.PAPER, **{name: value for name, value in options.items() if name != "draws"}
    )
    names = ("conditions", "runs", "repeats", "epochs")
    means = planted.means(**{name: getattr(truth, name) for name in names}, layers=dict(truth.layers))
    return findings.about("made up", means, probes or [], 10.0 if probes else None)


def of(found, name, layer="blocks.3"):
    measure = next(one for one in found["measures"] if one["name"] == name)
    return next(one for one in measure["layers"] if one["layer"] == layer)


def test_planted_differences_are_found_with_their_size():
    def twice(condition, layer, t):
        return (2.0 if condition == "plain" and layer == "blocks.3" else 1.0) * (1 + t)

    def vivid(condition, _layer, _t):
        return (0.5 if condition == "plain" else 0.25), 0.5, 0.3

    for matched in (False, True):
        found = described(matched, diversity=twice, looks=vivid)
        (pair,) = of(found, "diversity")["comparisons"]
        assert pair["verdict"] == "higher"
        assert pair["effect"] == pytest.approx(2, rel=0.1)
        assert pair["interval"][0] < 2 < pair["interval"][1]
        assert pair["elsewhere"] == {"fixed": "higher", "unmasked": "higher", "cosine": "higher"}
        assert pair["p"] == pair["p_floor"] == (0.125 if matched else 0.0286)
        assert of(found, "diversity", "blocks.0")["comparisons"][0]["verdict"] == "undecided"
        assert of(found, "saturation")["comparisons"][0]["effect"] == pytest.approx(2, rel=0.1)
        assert set(of(found, "saturation")["comparisons"][0]["elsewhere"]) == {"fixed", "unmasked"}
        # It doubles in both conditions.
        assert of(found, "diversity_growth")["conditions"][0]["value"] == pytest.approx(2, rel=0.1)
        assert of(found, "diversity_growth")["comparisons"][0]["verdict"] == "undecided"


def test_values_are_the_means_of_what_was_measured():
    made = planted_study.study(layers=LAYERS, conditions=("plain", "blurred"), embedders=("pixels",))
    found = described()
    space = {"embedder": "pixels", "distance": "mse", "masking": "masked"}
    units = {"unit": slice(6, 12)}
    runs = [
        {
            "diversity": store.between_units.sel(space).isel(units).isel(epoch=-1).mean().item(),
            "rate_of_change": store.between_epochs.sel(space).isel(units).mean().item(),
            "apart": store.between_repeats.sel(space).isel(units).isel(epoch=-1).mean().item(),
        }
        for store in made.distances[1]
    ]
    for name in ("diversity", "rate_of_change"):
        blurred = of(found, name)["conditions"][1]
        each = [run[name] for run in runs]
        assert list(blurred["per_run"].values()) == pytest.approx(each, rel=5e-3)
        assert blurred["value"] == pytest.approx(np.exp(np.mean(np.log(each))), rel=5e-3)
        assert blurred["interval"][0] < blurred["value"] < blurred["interval"][1]
    consistent = [1 - run["apart"] / run["diversity"] for run in runs]
    assert of(found, "consistency")["conditions"][1]["value"] == pytest.approx(np.mean(consistent), rel=5e-3)
    assert of(found, "consistency")["comparisons"][0]["scale"] == "difference"


def test_probe_accuracies_are_compared_in_points():
    probes = [
        {"condition": c, "run": r, "logistic": 60.0 + r + 10 * (c == "plain"), "untrained_logistic": 40.0}
        for c in ("plain", "blurred")
        for r in (1, 2, 3, 4)
    ]
    found = described(True, probes)
    names = [one["name"] for one in found["measures"] if one["name"].startswith("probe")]
    assert names == ["probe_logistic"]
    whole = of(found, "probe_logistic", None)
    assert [one["value"] for one in whole["conditions"]] == [72.5, 62.5]
    assert whole["comparisons"][0] | {"effect": 10.0, "interval": [10.0, 10.0]} == whole["comparisons"][0]


@pytest.mark.parametrize("matched", [False, True])
@pytest.mark.parametrize("runs", [2, 4])
def test_where_nothing_differs_comparisons_are_quiet_as_often_as_is_said(matched, runs):
    rng = np.random.default_rng([runs, matched])
    studies, told, low = 500, 0, 0
    for study in range(studies):
        common = rng.normal(size=runs) if matched else 0.0
        one, other = (
            np.exp(common + 0.3 * rng.normal(size=runs) + 0.05 * rng.normal(size=(81, runs)))
            for _ in range(2)
        )
        found = contrasts.compared(one, other, str(study), ratio=True, matched=matched)
        told += found["verdict"] in ("higher", "lower")
        low += found["p"] <= 0.05
    said = statistics.error_rate(runs) if matched else statistics.error_rate_of_difference(runs)
    assert told / studies <= said + 0.02
    assert told > 0  # intervals are no wider than they have to be
    assert low / studies <= 0.07


def test_a_study_without_differences_says_so_of_nearly_all():
    same = {"diversity": alike, "apart": lambda *_: 0.2, "learnt": lambda *_: 0.3}
    found = described(looks=lambda *_: (0.3, 0.5, 0.3), **same, seed=3)
    pairs = [pair for one in found["measures"] for layer in one["layers"] for pair in layer["comparisons"]]
    told = [pair for pair in pairs if pair["verdict"] != "undecided"]
    assert len(pairs) == 32
    assert len(told) <= 4
    assert f"{len(pairs)} are made here" in found["note"]


def test_one_of_everything_is_described_and_the_rest_said():
    found = described(conditions=("only",), runs=(3,), repeats=(0,), epochs=(50,), layers=(("head", 4),))
    said = {one["name"]: one["missing"] for one in found["measures"]}
    assert said["diversity"] == []
    assert said["diversity_growth"] == ["growth needs two epochs; the study has one"]
    assert said["rate_of_change"] == ["a change needs two epochs; the study has one"]
    assert said["consistency"] == ["consistency over repeats needs two repeats; the study has one"]
    assert said["settling_epoch"] == ["settling needs three epochs; the study has 1"]
    assert said["probe"] == ["the study has no probe"]
    (only,) = of(found, "diversity", "head")["conditions"]
    assert only["interval"] is None
    assert of(found, "diversity", "head")["comparisons"] == []
    assert "With 1 run there is no interval" in found["note"]


def test_a_layer_without_live_units_has_no_numbers():
    made = planted_study.study(layers=LAYERS, conditions=("plain", "blurred"), embedders=("pixels",))
    made.distances[0][1].between_units[..., 6:, :, :, :] = np.nan
    found = findings.describe(
        made, about({"layers": LAYERS, "conditions": ("plain", "blurred")}), matched=False
    )
    dead = of(found, "diversity")
    assert dead["conditions"][0]["value"] is None
    assert list(dead["conditions"][0]["per_run"]) == ["1", "3", "4"]
    assert dead["comparisons"][0]["verdict"] == "not computed"
    assert dead["missing"] == ["plain: too few live units in run 2"]
    assert of(found, "diversity", "blocks.0")["missing"] == []
    json.dumps(found, allow_nan=False)


def test_what_is_not_above_zero_is_compared_by_its_difference():
    grey = described(looks=lambda c, *_: (0.0, 0.5, 0.3) if c == "plain" else (0.2, 0.5, 0.3))
    found = of(grey, "saturation")
    assert found["conditions"][0]["value"] == 0
    assert found["comparisons"][0]["scale"] == "difference"
    assert found["comparisons"][0]["effect"] == pytest.approx(-0.2, rel=0.1)
    assert found["comparisons"][0]["verdict"] == "lower"


def test_every_pair_of_five_conditions_is_compared():
    names = ("plain", "blurred", "cropped_at_random", "rot", "none")
    found = described(conditions=names, runs=(1, 2), draws=40)
    pairs = [(pair["first"], pair["second"]) for pair in of(found, "diversity")["comparisons"]]
    assert len(pairs) == len(set(pairs)) == 10
    assert "cannot go below 0.333" in found["note"]


JITTER, PLAIN = Augment(cj_prob=0.8), Augment(cj_prob=0.0)


@pytest.mark.parametrize(
    ("augmentations", "is_paper"),
    [
        ({"clrjit": JITTER, "keepclr": PLAIN}, True),
        ({"clrjit": JITTER, "keepclr": PLAIN, "blur": PLAIN}, True),
        ({"clrjit": JITTER, "keepclr": JITTER}, False),
        ({"clrjit": PLAIN, "keepclr": JITTER}, False),
        ({"keepclr": PLAIN}, False),
        ({"jitter": JITTER, "plain": PLAIN}, False),
        ({}, False),  # trained elsewhere
    ],
)
def test_the_form_of_the_paper(augmentations, is_paper):
    assert findings.of_the_paper(augmentations) is is_paper


def test_each_form_has_its_findings():
    names = ("clrjit", "keepclr", "blurred_more")
    options = {
        "conditions": names,
        "layers": planted_study.PAPER.layers,
        "embedders": ("pixels",),
        "draws": 30,
    }
    study, said = planted_study.study(**options), about(options)
    both = findings.of_any(study, said, {"clrjit": JITTER, "keepclr": PLAIN, "blurred_more": PLAIN})
    assert [one["id"] for one in both["findings"]] == list(findings.CLAIMS)
    assert "kind" not in both
    assert both["beside"]["kind"] == "general"
    assert "within each run" in both["beside"]["note"]
    foreign = findings.of_any(study, said, {})
    assert foreign["kind"] == "general"
    assert "taken not to be matched" in foreign["note"]


def faithful(of, options):
    """A planted study whose prototypes are so faithful: (condition, layer) -> the mean of its units."""
    made = planted_study.study(**options)
    truth = planted_study.replace(planted_study.PAPER, **{k: v for k, v in options.items() if k != "draws"})

    def store(natural, condition, run):
        layers = dict(truth.layers)
        seed = 100 * truth.conditions.index(condition) + run
        options = {"seed": seed, "spread": 0.3}
        return compared(natural, layers, truth.repeats, lambda layer, _t: of(condition, layer), **options)

    stores = [
        [store(natural, condition, run) for run, natural in zip(truth.runs, networks, strict=True)]
        for condition, networks in zip(truth.conditions, made.responses, strict=True)
    ]
    return planted_study.replace(made, responses=stores)


def test_faithfulness_is_a_measure_with_an_interval_and_no_claim():
    options = {"layers": planted_study.PAPER.layers, "embedders": ("pixels",)}
    study = faithful(lambda name, layer: 0.9 if (name, layer) == ("keepclr", "layer4") else 0.2, options)
    found = findings.of_any(study, about(options), {"clrjit": JITTER, "keepclr": PLAIN})
    assert [one["id"] for one in found["findings"]] == list(findings.CLAIMS)
    assert [one["name"] for one in found["beside"]["measures"]] == ["faithfulness"]
    clrjit, keepclr = of(found["beside"], "faithfulness", "layer4")["conditions"]
    assert clrjit["interval"][0] < 0.2 < clrjit["interval"][1]
    assert keepclr["interval"][0] < 0.9 < keepclr["interval"][1]
    (pair,) = of(found["beside"], "faithfulness", "layer4")["comparisons"]
    assert (pair["scale"], pair["verdict"]) == ("difference", "lower")
    assert pair["effect"] == pytest.approx(-0.7, abs=0.15)
    assert of(found["beside"], "faithfulness", "layer2")["comparisons"][0]["verdict"] == "undecided"
    without = findings.of_any(
        planted_study.study(**options), about(options), {"clrjit": JITTER, "keepclr": PLAIN}
    )
    assert "beside" not in without


def test_where_faithfulness_was_not_measured_it_is_said():
    measure = next(one for one in described()["measures"] if one["name"] == "faithfulness")
    assert measure["layers"] == []
    assert measure["missing"] == ["prototypes were not compared with natural images along the layers"]
