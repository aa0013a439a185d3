"""F13, of pairs of runs: the contributions of runs, their interval, and studies without enough of them."""

import itertools

import numpy as np
import pytest

from protoviz.analysis import findings
from protoviz.analysis.findings import pairs, seeds, statistics
from protoviz.analysis.findings.evidence import estimated
from tests.reference import planted_study as planted


def mean_of(table):
    """The mean over all pairs of some runs, as a loop."""

    def of(runs):
        return np.array(np.mean([table[a, b] for a, b in itertools.combinations(runs, 2)]))

    return of


def test_contributions_have_the_mean_over_pairs():
    rng = np.random.default_rng(0)
    table = rng.normal(size=(6, 6))
    found = pairs.contributions(mean_of(table), range(6))
    assert found.mean() == pytest.approx(float(mean_of(table)(range(6))))
    others = [np.mean([table[min(a, b), max(a, b)] for b in range(6) if b != a]) for a in range(6)]
    # Leaving a run out changes the mean by what the run is above it in its pairs.
    assert np.corrcoef(found, others)[0, 1] == pytest.approx(1)


@pytest.mark.parametrize("runs", [3, 5])
@pytest.mark.parametrize("shared", [0.0, 1.0, 3.0])
def test_the_interval_holds_the_truth_though_pairs_are_not_independent(runs, shared):
    """Were pairs taken for replicates, an effect of runs would make it too narrow."""
    missed = naive = 0
    for study in range(300):
        rng = np.random.default_rng([study, runs, int(shared * 10)])
        own = shared * rng.normal(size=runs)
        table = own[:, None] + own + rng.normal(size=(runs, runs))
        values = pairs.contributions(mean_of(table), range(runs))
        found = statistics.interval(np.broadcast_to(values, (401, runs)), "test", study)
        missed += not found.low <= 0 <= found.high
        each = np.array([table[a, b] for a, b in itertools.combinations(range(runs), 2)])
        wrong = statistics.interval(np.broadcast_to(each, (401, len(each))), "test", study)
        naive += not wrong.low <= 0 <= wrong.high
    assert missed / 300 <= 0.09
    if shared == 3.0:
        assert naive / 300 > 0.1


def test_effects_are_ratios_of_means_over_pairs():
    study = planted.study(embedders=("pixels",), spread=0.0)
    effects = [estimated(one, "F13") for one in seeds.f13(study, study.main_space).effects]
    assert [one["times"] for one in effects] == pytest.approx(
        [0.9 / 0.05, 1.9, 1.9 / 1.1, 0.6 / 0.05], rel=5e-3
    )
    assert set(effects[0]["parts"]) == {
        f"{c} layer{k}" for c in planted.PAPER.conditions for k in range(1, 5)
    }


def test_networks_that_share_nothing_are_not_the_same():
    decided = 0
    for seed in range(20):
        study = planted.study(
            embedders=("pixels",), seed=seed, spread=0.2, matched=lambda *_: (0.05, 1.0, 0.05)
        )
        effects = [estimated(one, "F13") for one in seeds.f13(study, study.main_space).effects]
        decided += sum(one["verdict"] == "supported" for one in effects[:2])
    assert decided <= 4  # of 40, half of 5 % each


def test_no_partner_at_all_is_less_than_chance_and_no_gap():
    study = planted.study(embedders=("pixels",), matched=lambda *_: (0.0, 1.0, 0.0))
    effects = [estimated(one, "F13") for one in seeds.f13(study, study.main_space).effects]
    assert effects[0]["times"] == pytest.approx(0.5 / 36 / 0.05, rel=1e-2)
    assert all(one["times"] is not None for one in effects)


def test_a_general_study_is_told_the_shares():
    study = planted.study(embedders=("pixels",), conditions=("blue", "red"))
    about = {"conditions": ["blue", "red"], "probe": []}
    told = {one["name"]: one for one in findings.describe(study, about, matched=False)["measures"]}
    for name, value in (("share_matched", 0.9), ("matched_correlation", 0.38), ("agreement", 0.6)):
        first = told[name]["layers"][0]["conditions"][0]
        assert first["value"] == pytest.approx(value, rel=0.1)
        assert first["interval"][0] < first["value"] < first["interval"][1]
    few = findings.describe(
        planted.study(embedders=("pixels",), conditions=("blue",), runs=(1, 2)),
        {"conditions": ["blue"], "probe": []},
        matched=False,
    )
    told = {one["name"]: one for one in few["measures"]}
    assert told["share_matched"]["missing"] == ["what is said of pairs of runs needs three runs"]
