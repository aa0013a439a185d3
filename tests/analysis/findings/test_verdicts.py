"""Verdicts: planted truths of both signs and of none, spaces, and studies that lack something."""

import json

import numpy as np
import pytest

from protoviz.analysis import findings
from protoviz.analysis.findings.collection import CLAIMS
from tests.reference import planted_study as planted

SUPPORTED, NOT, UNDECIDED, NONE = "supported", "not supported", "undecided", "not computed"
ABOUT = {"title": "made-up"}


def collected(study):
    """What the stage writes, through JSON, which knows no NaN: finding by its id."""
    text = json.dumps(findings.collect(study, ABOUT), allow_nan=False)
    return {found["id"]: found for found in json.loads(text)["findings"]}


def evaluated(name, **changes):
    """One finding in the main space."""
    study = planted.study(embedders=("pixels",), **changes)
    evidence = CLAIMS[name].compute(study, study.main_space)
    from protoviz.analysis.findings.evidence import estimated, of_claim

    effects = [estimated(effect, name) for effect in evidence.effects]
    verdict = of_claim([effect["verdict"] for effect in effects], whole=not evidence.missing)
    return verdict, effects, evidence.missing


def mirrored(function):
    """The same quantity with all effects turned round: one over it."""

    def turned(condition, layer, t):
        value = np.asarray(function(condition, layer, t), float)
        return 1 / value

    return turned


MIRROR = {
    "diversity": mirrored(planted.diversity),
    "apart": lambda c, layer, t: 0.01 / planted.apart(c, layer, t),
    "learnt": lambda c, layer, t: (
        (1.0 if t > 0.2 else 0.1) / (1.5 if c == "clrjit" and layer in planted.DEEP else 1)
    ),
    "looks": mirrored(planted.looks),
    "responses": mirrored(planted.responses),
    "modes": lambda *at: (6 / planted.modes(*at)[0], planted.modes(*at)[0] / 6),
    "matched": lambda _c, _l, t: (0.02, 0.9 - 0.3 * t, 0.01),
    "accuracy": lambda t, lead: 30 + 20 * t - 40 * t * lead,
}


def flat(_condition, _layer, _t):
    return 1.0


NOTHING = {
    "diversity": flat,
    "apart": lambda *_: 0.1,
    "learnt": lambda *_: 0.2,
    "looks": lambda *_: (0.4, 0.5, 0.3),
    "responses": lambda *_: (5.0, 0.3),
    "modes": lambda *_: (2.0, 0.5),
    "matched": lambda *_: (0.05, 1.0, 0.05),
    "accuracy": lambda t, _lead: 30 + 20 * t,
    "spread": 0.2,
    "seed": 1,
}


def cosine(condition, layer, t):
    """Another course of training, the same end."""
    return planted.diversity(condition, layer, t) * (1 + 3 * t * (1 - t))


@pytest.fixture(scope="module")
def paper():
    return collected(planted.study(embedders=("pixels",), cosine=cosine, modes=planted.modes))


@pytest.mark.parametrize("name", CLAIMS)
def test_planted_as_in_the_paper_is_supported(name, paper):
    found = paper[name]
    assert found["verdict"] == SUPPORTED, [
        (e["quantity"], e["times"], e["interval"]) for e in found["effects"]
    ]
    assert found["missing"] == []
    for effect in found["effects"]:
        assert effect["agreeing"] == "4 of 4"
        assert effect["p"] == effect["p_floor"]
        assert effect["p"] == 0.125 or name == "F14"  # which exchanges whole networks
        low, high = effect["interval"]
        assert low <= effect["times"] <= high


@pytest.mark.parametrize("name", [name for name in CLAIMS if name not in ("F4", "F5")])
def test_planted_the_other_way_is_not_supported(name):
    verdict, effects, _ = evaluated(name, **MIRROR)
    assert verdict == NOT, [(e["quantity"], e["times"], e["interval"]) for e in effects]


def test_f4_needs_other_dynamics_and_the_same_trend():
    verdict, effects, _ = evaluated("F4", cosine=planted.diversity, repeat_spread=0.05, spread=0.0)
    assert [effect["verdict"] for effect in effects] == [UNDECIDED, SUPPORTED]
    assert 0.5 < effects[0]["times"] < 2  # curves of one shape differ as repeats do
    assert evaluated("F4")[0] == UNDECIDED  # curves that are identical give no ratio
    verdict, effects, _ = evaluated("F4", diversity=cosine, cosine=mirrored(planted.diversity))
    assert [effect["verdict"] for effect in effects] == [SUPPORTED, NOT]
    assert verdict == NOT


def test_f5_sees_repeats_and_runs_that_share_nothing():
    verdict, effects, _ = evaluated("F5", opposed_repeats=True)
    assert (verdict, effects[0]["verdict"]) == (NOT, NOT)
    verdict, effects, _ = evaluated("F5", apart=lambda *_: 9.0)
    assert (verdict, effects[1]["verdict"]) == (NOT, NOT)
    verdict, effects, _ = evaluated("F5", diversity=flat, spread=0.3, repeat_spread=0.0)
    assert (verdict, effects[2]["verdict"]) == (UNDECIDED, UNDECIDED)


@pytest.mark.parametrize("name", [name for name in CLAIMS if name not in ("F4", "F5", "F6", "F9")])
def test_nothing_planted_is_undecided(name):
    verdict, effects, _ = evaluated(name, **NOTHING)
    assert verdict == UNDECIDED, [(e["quantity"], e["times"], e["interval"]) for e in effects]


def test_a_claim_on_all_networks_fails_with_one():
    def late_in_one(condition, layer, t):
        late = (condition, layer) == ("keepclr", "layer2") and t > 0.9
        return 3.0 if late else planted.learnt(condition, layer, t)

    assert evaluated("F6")[0] == SUPPORTED
    verdict, effects, _ = evaluated("F6", learnt=late_in_one)
    assert verdict == NOT
    assert effects[0]["parts"]["keepclr layer2"] < 1 < effects[0]["parts"]["keepclr layer1"]


def test_f6_tells_learning_from_noise():
    """The first step is the greatest only because repeats of the untrained network lie far apart."""

    def noisy_at_first(_condition, _layer, t):
        return 4.0 if t == 0 else 0.1

    _, effects, _ = evaluated("F6", apart=noisy_at_first, learnt=lambda _c, _l, t: 0.5 + (t > 0.2))
    assert [effect["verdict"] for effect in effects] == [SUPPORTED, NOT]


def test_units_that_never_settle_do_not_settle_early():
    assert evaluated("F9")[0] == SUPPORTED
    assert evaluated("F9", learnt=lambda *_: 0.2)[0] == NOT


def test_sizes_are_ratios():
    found = {
        e["quantity"]: e["times"] for e in evaluated("F1", spread=0.0, repeat_spread=0.0, unit_spread=0.0)[1]
    }
    keep, jit = (0.4 * (1 + x) for x in (0.6, 0.3))
    assert found["final diversity, keepclr / clrjit"] == pytest.approx(keep / jit, rel=5e-3)
    ends = [planted.diversity(c, "layer1", 1 / 8) for c in ("clrjit", "keepclr")]
    assert found["diversity, epoch 1 / untrained"] == pytest.approx(np.sqrt(np.prod(ends)), rel=5e-3)
    assert found["diversity, epoch 8 / epoch 1"] == pytest.approx(
        np.sqrt(keep * jit / np.prod(ends)), rel=5e-3
    )


def test_growth_is_that_of_a_line():
    def exponential(condition, _layer, t):
        return np.exp((2 if condition == "clrjit" else 1) * t)

    effects = evaluated("F3", diversity=exponential, spread=0.0, repeat_spread=0.0, unit_spread=0.0)[1]
    found = {effect["quantity"]: effect["times"] for effect in effects}
    assert found["growth in the first half of training, keepclr"] == pytest.approx(np.exp(0.5), rel=5e-3)
    assert found["growth in the second half, clrjit"] == pytest.approx(np.exp(1.0), rel=5e-3)
    assert found["growth in the second half, clrjit / keepclr"] == pytest.approx(np.exp(0.5), rel=5e-3)


def test_spaces_are_named_with_their_verdicts(paper):
    assert paper["F1"]["space"] == "pixels mse masked"
    assert paper["F1"]["elsewhere"] == {"fixed": SUPPORTED, "unmasked": SUPPORTED, "cosine": UNDECIDED}
    assert len(paper["F1"]["by_space"]) == 5
    assert set(paper["F4"]["elsewhere"]) == {"fixed", "unmasked"}
    assert set(paper["F10"]["by_space"]) == {"pixels mse fixed", "pixels mse unmasked"}
    assert paper["F11"]["by_space"] == {}


def test_a_verdict_that_does_not_survive_fixed_masks_says_so():
    study = planted.study(embedders=("reference", "vgg16"))
    for runs in study.distances:
        for store in runs:
            change = store["between_epochs"]
            change.loc[{"masking": "fixed", "step": 0}] = 0.2
            change.loc[{"embedder": "vgg16", "step": 0}] = 0.2
    found = collected(study)["F6"]
    assert found["verdict"] == SUPPORTED
    assert found["elsewhere"]["fixed"] == NOT
    assert found["elsewhere"]["vgg16"] == NOT
    assert found["elsewhere"]["unmasked"] == SUPPORTED


LEAST = {
    "one run": {"runs": (1,)},
    "one repeat": {"repeats": (0,)},
    "one epoch": {"epochs": (0,)},
    "two epochs": {"epochs": (0, 8)},
    "one condition": {"conditions": ("keepclr",)},
    "other conditions": {"conditions": ("clrjit", "blur")},
    "one layer": {"layers": (("layer2", 4),)},
    "a layer of one channel": {"layers": (("layer1", 1), ("layer3", 2), ("layer4", 1))},
    "the least": {
        "runs": (1,),
        "repeats": (0,),
        "epochs": (0,),
        "conditions": ("blur",),
        "layers": (("stem", 1),),
    },
}


@pytest.mark.parametrize("name", LEAST)
@pytest.mark.filterwarnings("error")
def test_what_cannot_be_computed_says_why(name):
    found = collected(planted.study(embedders=("pixels",), **LEAST[name]))
    assert list(found) == list(CLAIMS)
    for one in found.values():
        if one["verdict"] == NONE or not one["effects"]:
            assert one["missing"], one["id"]
            assert "Not computed" in one["statement"]
        for effect in one["effects"]:
            assert effect["verdict"] != NONE or one["missing"]


PAIR = "the comparison needs the conditions clrjit and keepclr; the study has keepclr"


@pytest.mark.parametrize(
    ("options", "name", "reason"),
    [
        ({"repeats": (0,)}, "F8", "the distance between repeats needs two repeats"),
        ({"repeats": (0,)}, "F7", "telling learning from the noise of the synthesis needs two repeats"),
        ({"epochs": (0,)}, "F1", "the drop needs the untrained network and a trained epoch"),
        ({"epochs": (0, 8)}, "F1", "growth needs two trained epochs"),
        ({"epochs": (0, 1, 8)}, "F1", "levelling off needs two trained epochs in each half of training"),
        ({"epochs": (0, 1, 8)}, "F3", "late growth needs two kept epochs in the second half of training"),
        ({"epochs": (0, 8)}, "F6", "a peak needs two steps, three kept epochs"),
        ({"epochs": (0, 4, 8)}, "F9", "settling by epoch 2.4 needs a kept epoch between 1 and that"),
        ({"epochs": (0,)}, "F8", "growth needs the untrained network and a trained epoch"),
        ({"layers": (("layer2", 3),)}, "F1", "layer1 needed; the study has layer2"),
        ({"layers": (("layer3", 3),)}, "F3", "layer4 needed; the study has layer3"),
        ({"runs": (1, 2)}, "F5", "consistency over runs needs three runs"),
        ({"runs": (1, 2)}, "F13", "what is said of pairs of runs needs three runs"),
        ({"epochs": (0,)}, "F13", "what training adds needs the untrained network and a trained epoch"),
        ({"conditions": ("keepclr",)}, "F10", PAIR),
    ],
)  # fmt: skip
def test_reasons(options, name, reason):
    verdict, _, missing = evaluated(name, **options)
    assert reason in missing
    assert verdict in (UNDECIDED, NONE)  # a claim is not supported by a part of it


def test_one_run_gives_sizes_without_intervals():
    found = collected(planted.study(runs=(7,), embedders=("pixels",)))["F2"]
    assert found["verdict"] == UNDECIDED
    assert [effect["interval"] for effect in found["effects"]] == [None] * 3
    assert all(effect["agreeing"] == "1 of 1" for effect in found["effects"])
    assert any("an interval needs two runs" in line for line in found["missing"])
    assert "With 1 run there is no interval" in findings.note(1)


def test_a_dead_layer_is_a_gap_and_not_a_number():
    study = planted.study(embedders=("pixels",))
    for store in study.distances[0]:  # all units of layer3 in clrjit
        for name in ("between_units", "between_epochs", "between_repeats"):
            store[name].values[..., 12:18, :, :, :] = np.nan
    found = collected(study)
    assert found["F3"]["verdict"] == SUPPORTED
    assert set(found["F3"]["effects"][-1]["parts"]) == {"layer4"}
    assert any("layer3: 4 of 4 runs have no live units" in line for line in found["F3"]["missing"])
    assert [effect["verdict"] for effect in found["F8"]["effects"]] == [SUPPORTED, SUPPORTED, NONE]
    assert found["F8"]["verdict"] == UNDECIDED  # what could not be computed supports nothing
    assert "clrjit layer3" not in found["F8"]["effects"][0]["parts"]
    assert any("layers 3-4 / layers 1-2: 4 of 4 runs" in line for line in found["F8"]["missing"])


def test_all_units_dead_is_said_and_not_computed():
    study = planted.study(embedders=("pixels",), epochs=(0, 1, 2, 4, 8))
    for runs in study.distances:
        for store in runs:
            for name in ("between_units", "between_epochs", "between_repeats"):
                store[name].values[:] = np.nan
    found = collected(study)
    for name in ("F1", "F2", "F3", "F6", "F7", "F8", "F9"):
        assert found[name]["verdict"] == NONE
        assert found[name]["missing"]


def test_numbers_do_not_depend_on_what_else_is_computed():
    whole = collected(planted.study(runs=(1, 2)))["F2"]
    alone = collected(planted.study(runs=(1, 2), embedders=("reference",)))["F2"]
    assert whole["effects"] == alone["effects"]


def test_stores_are_unchanged():
    study = planted.study(runs=(1, 2), embedders=("pixels",))
    before = study.distances[0][0].copy(deep=True)
    findings.collect(study, ABOUT)
    assert before.identical(study.distances[0][0])


def test_the_note_gives_the_rates_at_which_the_rule_is_wrong():
    assert "misses the truth in up to 12 % of studies" in findings.note(2)
    assert "cannot go below 0.5 (0.33 if runs were not matched), so no verdict here is" in findings.note(2)
    assert "cannot go below 0.25 (0.1 if" in findings.note(3)
    assert findings.note(6).endswith("(0.0022 if runs were not matched).")
