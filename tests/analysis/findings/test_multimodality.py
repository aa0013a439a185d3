"""F12: planted growth of modes is found, none is not, and what is not known is said."""

import numpy as np
import pytest

from protoviz.analysis import metrics
from protoviz.analysis.findings import CLAIMS, describe, evidence, multimodality, prediction
from tests.reference import planted_study
from tests.reference.planted_study import modes


def still(_condition, _layer, _t):
    return 1.5, 0.6


SMALL = {"embedders": ("reference",), "repeats": (0,), "epochs": (0, 4, 8)}


def f12(**changes):
    """Verdict, effects by their names, what is missing."""
    study = planted_study.study(**{"modes": modes, **SMALL, **changes})
    found = multimodality.f12(study, study.main_space)
    effects = [evidence.estimated(effect, "F12") for effect in found.effects]
    missing = [*found.missing, *(line for effect in effects for line in effect["missing"])]
    verdict = evidence.of_claim([effect["verdict"] for effect in effects], whole=not found.missing)
    return verdict, {effect["quantity"].split(",")[0]: effect for effect in effects}, missing


def test_growth_is_found_where_it_is_planted():
    verdict, effects, _ = f12()
    assert verdict == "supported"
    assert CLAIMS["F12"].compute is multimodality.f12
    grown = effects["modes of a unit"]
    # (1.5 + 2) / 1.5 in layers 3-4 of clrjit, (1.5 + 1) / 1.5 elsewhere: the geometric mean of 8.
    wanted = (2.333**2 * 1.667**6) ** (1 / 8)
    assert grown["times"] == pytest.approx(wanted, rel=0.1)
    assert grown["interval"][0] < wanted < grown["interval"][1]
    assert effects["that growth of modes in layers 3-4"]["times"] == pytest.approx(1.4, rel=0.15)


def test_without_growth_nothing_is_supported():
    """Of studies in which modes stay as they are, few are called either way by any effect."""
    wrong = 0
    for seed in range(20):
        verdict, effects, _ = f12(modes=still, seed=seed, draws=40)
        wrong += verdict == "supported"
        wrong += sum(one["verdict"] != "undecided" for one in effects.values()) > 1
    assert wrong <= 3


def test_the_means_are_those_of_the_units_that_something_drives():
    study = planted_study.study(modes=modes, draws=20, **SMALL)
    measured = study.measures(study.main_space)["modes"].isel(draw=0)
    for i, networks in enumerate(study.modes):
        for j, store in enumerate(networks):
            counts = store.modes.values[0, 0]
            for k, layer in enumerate(measured.layer.values):
                own = counts[:, store.layer.values == layer]
                slow = [np.mean([value for value in row if value > 0]) for row in own]
                np.testing.assert_allclose(measured.values[i, j, :, k], slow, rtol=1e-5)


def test_what_was_not_started_again_is_said_or_left_out():
    verdict, _, missing = f12(modes=None)
    assert verdict == "not computed"
    assert "no units were started again" in missing[0]
    verdict, effects, _ = f12(modes_runs=(1, 3), modes_epochs=(0, 8))
    assert set(effects["modes of a unit"]["per_run"]) == {"1", "3"}
    assert verdict in ("supported", "undecided")
    _, _, missing = f12(modes_epochs=(8,))
    assert "untrained network" in missing[0]
    _, effects, missing = f12(runs=(1,))
    assert effects["modes of a unit"]["interval"] is None
    assert any("an interval needs two runs" in line for line in missing)
    _, effects, missing = f12(conditions=("clrjit",))
    assert len(effects) == 2
    assert "the comparison needs the conditions clrjit and keepclr" in missing[0]


def test_any_study_has_the_measure():
    about = {"conditions": ["a", "b"], "probe": []}
    named = {"conditions": ("a", "b"), **SMALL}
    study = planted_study.study(modes=modes, draws=30, **named)
    found = {one["name"]: one for one in describe(study, about, matched=False)["measures"]}
    assert len(found["modes"]["layers"]) == len(found["meeting"]["layers"]) == 4
    assert found["modes"]["when"] == "epoch 8"
    assert found["modes"]["layers"][0]["conditions"][0]["value"] == pytest.approx(2.5, rel=0.1)
    some = planted_study.study(modes=modes, draws=30, modes_runs=(1, 2), **named)
    found = {one["name"]: one for one in describe(some, about, matched=False)["measures"]}
    assert found["modes"]["missing"] == ["units were started again in run 1, 2 alone"]
    none = planted_study.study(draws=30, **named)
    found = {one["name"]: one for one in describe(none, about, matched=False)["measures"]}
    assert "no units were started again" in found["modes"]["missing"][0]


def test_metrics_and_curves_have_the_means():
    study = planted_study.study(modes=modes)
    means = [
        [
            metrics.explained(metrics.layer_means(one), modes=again)
            for one, again in zip(*networks, strict=True)
        ]
        for networks in zip(study.distances, study.modes, strict=True)
    ]
    combined = metrics.combine(means)
    numbers = metrics.summary(combined.sel(condition=["clrjit"]), [])
    last = study.modes[0][0].modes.values[0, 0, -1]
    assert set(metrics.MODES) <= set(numbers["layer4"])
    each = [one.modes.values[0, 0, -1][one.layer.values == "layer4"].mean() for one in study.modes[0]]
    assert numbers["layer4"]["modes"] == pytest.approx(np.mean(each), rel=1e-3)
    assert last[0] == 0  # the unit that nothing drives is in layer1 and does not count there
    shown = [one.modes.values[0, 0, -1][1:6].mean() for one in study.modes[0]]
    assert numbers["layer1"]["modes"] == pytest.approx(np.mean(shown), rel=1e-3)
    predicted = prediction.predicted(combined, study.accuracy)
    told = [row["layer"] for row in predicted["rows"] if row["measure"] == "modes"]
    assert told == [*combined.layer.values]
    curves = metrics.curves(combined, [], [])
    assert len(curves["modes_layer3"]) == 2 * len(study.distances[0]) * 7
