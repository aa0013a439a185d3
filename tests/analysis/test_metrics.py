"""Measures: means over live units, the numbers of a condition, the curves."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from protoviz import files
from protoviz.analysis import metrics, settling
from protoviz.errors import StudyError
from protoviz.store import schema
from tests.reference import planted, planted_study
from tests.reference.compared import compared

LAYERS = {"layer1": 2, "layer2": 3}
PROBE = {"logistic": 66.61, "svm": 60.0, "adam": 64.0, "untrained_logistic": 41.0}


def store(condition="clrjit", run=1, seed=0, repeats=2, epochs=(0, 1, 4)):
    """A distance store of random numbers in which the second unit of layer1 is dead at epoch 4."""
    rng = np.random.default_rng(seed)
    names, channels = schema.unit_labels(LAYERS)
    coordinates = {
        "condition": np.array([condition], dtype=schema.TEXT),
        "run": [run],
        "repeat": np.arange(repeats),
        "epoch": list(epochs),
        "layer": ("unit", names),
        "channel": ("unit", channels),
        "embedder": np.array(["reference", "pixels"], dtype=schema.TEXT),
        "distance": np.array(["mse", "cosine"], dtype=schema.TEXT),
        "masking": np.array(schema.MASKINGS, dtype=schema.TEXT),
        "step": np.arange(len(epochs) - 1),
        "epoch_from": ("step", list(epochs[:-1])),
        "epoch_to": ("step", list(epochs[1:])),
    }
    axes = {name: len(value) for name, value in coordinates.items() if not isinstance(value, tuple)} | {
        "unit": 5
    }
    arrays = {
        variable.name: (variable.dims, rng.random([axes[d] for d in variable.dims], dtype=np.float32))
        for variable in schema.DISTANCES.variables[:3]
    }
    found = xr.Dataset(arrays, coordinates)
    found["between_units"].values[:, :, :, -1, 1] = np.nan
    live = np.full((1, 1, repeats, len(epochs), 2), (2, 3), np.int32)
    live[..., -1, 0] = 1
    found["live_units"] = (schema.DISTANCES["live_units"].dims, live)
    return found


def test_means_are_over_the_live_units_of_a_layer():
    given = store()
    found = metrics.layer_means(given)
    here = {
        "condition": "clrjit",
        "run": 1,
        "embedder": "pixels",
        "distance": "cosine",
        "masking": "unmasked",
    }
    raw = given.between_units.sel(here)
    assert found.diversity.sel(here).sel(repeat=1, epoch=4, layer="layer1") == pytest.approx(
        float(raw.sel(repeat=1, epoch=4)[0])
    )
    assert found.diversity.sel(here).sel(repeat=0, epoch=1, layer="layer2") == pytest.approx(
        float(raw.sel(repeat=0, epoch=1)[2:].astype(np.float64).mean())
    )
    assert found.live_units.sel(layer="layer1", epoch=4).values.tolist() == [[[1, 1]]]
    assert found.units.values.tolist() == [2, 3]


def test_layer_without_live_units_has_no_mean_and_makes_no_noise():
    given = store()
    given.between_units.values[:, :, :, :, :2] = np.nan
    found = metrics.layer_means(given)
    assert np.isnan(found.diversity.sel(layer="layer1")).all()
    assert np.isfinite(found.diversity.sel(layer="layer2")).all()


def test_networks_are_combined_under_their_names():
    stores = [[store(c, r, seed=10 * i + r) for r in (1, 2)] for i, c in enumerate(["keepclr", "clrjit"])]
    means = [[metrics.layer_means(s) for s in runs] for runs in stores]
    whole = metrics.combine(means)
    assert list(whole.condition.values) == ["keepclr", "clrjit"]
    for i, j in np.ndindex(2, 2):
        at = whole.sel(condition=["keepclr", "clrjit"][i], run=j + 1)
        for name in ("diversity", "rate_of_change", "between_repeats", "live_units"):
            one = means[i][j][name].isel(condition=0, run=0)
            np.testing.assert_array_equal(at[name].transpose(*one.dims), one)
    assert whole.units.dims == ("layer",)


def test_stores_of_different_epochs_are_not_combined():
    means = [metrics.layer_means(store(run=1)), metrics.layer_means(store(run=2, epochs=(0, 1, 8)))]
    with pytest.raises(StudyError, match="distance stores: expected the same epochs"):
        metrics.combine([means])


def test_summary_is_the_mean_over_runs_and_repeats_at_the_last_epoch():
    stores = [store(run=1, seed=1), store(run=2, seed=2)]
    found = metrics.summary(
        metrics.combine([[metrics.layer_means(s) for s in stores]]), [PROBE, {**PROBE, "logistic": 66.01}]
    )
    main = {"embedder": "reference", "distance": "mse", "masking": "masked"}
    layer2 = {"unit": slice(2, 5)}
    expected = {
        "diversity": [s.between_units.sel(main).sel(epoch=4).isel(layer2) for s in stores],
        "diversity_unmasked": [s.between_units.sel({**main, "masking": "unmasked"}).sel(epoch=4).isel(layer2)
                               for s in stores],
        "diversity_pixels": [s.between_units.sel({**main, "embedder": "pixels"}).sel(epoch=4).isel(layer2)
                             for s in stores],
        "first_change": [s.between_epochs.sel(main).isel(step=0).isel(layer2) for s in stores],
        "last_change": [s.between_epochs.sel(main).isel(step=1).isel(layer2) for s in stores],
        "between_repeats": [s.between_repeats.sel(main).sel(epoch=4).isel(layer2) for s in stores],
    }  # fmt: skip
    for name, arrays in expected.items():
        assert found["layer2"][name] == pytest.approx(np.mean([a.values for a in arrays]), rel=1e-3), name
    assert found["layer1"]["excluded_percent"] == 50
    assert found["layer2"]["excluded_percent"] == 0
    assert found["probe"] == {"logistic": 66.31, "svm": 60.0, "adam": 64.0, "untrained_logistic": 41.0}


def test_summary_leaves_out_what_cannot_be_computed():
    given = store(repeats=1, epochs=(0,))
    given.between_units.values[..., :2, :, :, :] = np.nan
    given.between_repeats.values[:] = np.nan
    found = metrics.summary(metrics.layer_means(given), [PROBE])
    assert set(found["layer1"]) == {"excluded_percent"}
    assert set(found["layer2"]) == {"diversity", "diversity_unmasked", "diversity_pixels", "excluded_percent"}
    json.dumps(found, allow_nan=False)


def test_summary_has_no_pixels_twice_where_they_are_the_main_space():
    found = metrics.summary(planted.means(embedders=("pixels",), conditions=("clrjit",)), [PROBE])
    assert "diversity_pixels" not in found["layer1"]


def explained(run=1, **changes):
    """The layer means of one planted network with what explains them, and its stores."""
    made = planted_study.study(runs=(run,), embedders=("pixels",), **changes)
    distances, appearance, natural = (of[0][0] for of in (made.distances, made.appearance, made.responses))
    settled = settling.units(distances, metrics.main_space(metrics.layer_means(distances)))
    means = metrics.explained(metrics.layer_means(distances), settled, appearance, natural)
    return means, distances, appearance, natural


def test_explanations_are_what_they_say():
    means, distances, appearance, natural = explained()
    space = {"embedder": "pixels", "distance": "mse", "masking": "masked"}
    here = distances.sel(space).isel(condition=0, run=0)
    layer2 = slice(6, 12)
    apart = here.between_repeats.isel(unit=layer2).astype(float).mean("unit").values
    step = here.between_epochs.isel(unit=layer2).astype(float).mean("unit").transpose("repeat", "step").values
    found = means.sel(space).isel(condition=0, run=0).sel(layer="layer2")
    np.testing.assert_allclose(
        found.learning.transpose("repeat", "step"), step - (apart[1:] + apart[:-1]) / 2, rtol=1e-12
    )
    diverse = here.between_units.isel(unit=layer2).astype(float).mean(("unit", "repeat")).values
    np.testing.assert_allclose(found.consistency, 1 - apart / diverse)
    assert found.settling_epoch_of_layer.values.tolist() == [1, 1]
    assert found.settling_epoch.values.tolist() == [1, 1]
    np.testing.assert_allclose(
        found.saturation,
        appearance.saturation.isel(condition=0, run=0, unit=layer2).astype(float).mean("unit"),
    )
    np.testing.assert_array_equal(found.participation_ratio, natural.participation_ratio.values[0, 0, :, 1])


def test_explanations_are_in_the_summary_and_the_curves():
    means = metrics.combine([[explained(run)[0] for run in (1, 2)]])
    numbers = metrics.summary(means, [PROBE])["layer4"]
    at_end = means.sel(layer="layer4").isel(epoch=-1)
    assert numbers["high_frequency"] == pytest.approx(float(at_end.high_frequency.mean()), rel=1e-3)
    assert numbers["participation_ratio"] == pytest.approx(15, rel=0.1)
    assert numbers["mean_correlation"] == pytest.approx(0.2, rel=0.1)
    assert numbers["settling_epoch"] == numbers["settling_epoch_of_layer"] == 1
    assert numbers["first_learning"] > 10 * numbers["last_learning"]
    assert 0 < numbers["consistency"] < 1
    curves = metrics.curves(means, [], [])
    for name in ("learning", "consistency", "saturation", "warmth", "high_frequency", "mean_correlation"):
        assert f"{name}_layer1" in curves
    assert len(curves["learning_layer1"]) == 2 * 2 * 6
    assert len(curves["participation_ratio_layer3"]) == 2 * 7


def test_faithfulness_is_the_mean_of_units():
    made = planted_study.study(runs=(1,), embedders=("pixels",))
    layers = dict(planted_study.PAPER.layers)
    natural = compared(made.responses[0][0], layers, (0, 1), lambda layer, t: len(layer) * t, spread=0.1)
    natural.faithfulness.values[..., 3] = np.nan  # no prototype
    means = metrics.explained(metrics.layer_means(made.distances[0][0]), natural=natural)
    own = natural.faithfulness.values[0, 0].astype(float)[..., [0, 1, 2, 4, 5]].mean(-1)
    found = means.faithfulness.isel(condition=0, run=0).sel(layer="layer1").transpose("repeat", "epoch")
    np.testing.assert_allclose(found, own, rtol=1e-6)
    numbers = metrics.summary(means, [])
    assert numbers["layer1"]["faithfulness"] == pytest.approx(own[:, -1].mean(), rel=1e-3)
    assert len(metrics.curves(metrics.combine([[means]]), [], [])["faithfulness_layer4"]) == 2 * 7


def test_one_epoch_and_one_repeat_are_explained_as_far_as_they_go():
    means, *_ = explained(repeats=(0,), epochs=(0,))
    numbers = metrics.summary(means, [PROBE])["layer1"]
    assert {"saturation", "participation_ratio", "diversity"} <= set(numbers)
    assert not {"consistency", "settling_epoch", "first_learning"} & set(numbers)
    json.dumps(numbers, allow_nan=False)
    assert not [name for name in metrics.curves(means, [], []) if name.startswith(("learning", "consist"))]


def test_curves_hold_all_conditions_in_long_rows():
    means = planted.means(noise=0)
    probe = [
        {"condition": "clrjit", "run": "1", "epoch": "0", "readout": "svm", "accuracy": "41.2"},
        {"condition": "keepclr", "run": "2", "epoch": "8", "readout": "svm", "accuracy": "50.1"},
    ]
    training = [{"condition": "clrjit", "run": "1", "epoch": "1", "loss": "4.8", "lr": "0.12"}]
    found = metrics.curves(means, probe, training)
    measures = ("diversity", "rate_of_change", "between_repeats")
    assert set(found) == {f"{m}_layer{k}" for m in measures for k in (1, 2, 3, 4)} | {
        "probe_svm",
        "training_loss",
    }
    assert len(found["diversity_layer3"]) == 2 * 2 * 2 * 5
    assert found["diversity_layer3"][0] == {
        "condition": "clrjit",
        "run": 1,
        "repeat": 0,
        "epoch": 0,
        "value": "1",
    }
    assert found["diversity_layer3"][-1] == {
        "condition": "keepclr",
        "run": 2,
        "repeat": 1,
        "epoch": 8,
        "value": "1.4",
    }
    last = found["rate_of_change_layer1"][3]
    assert last == {"condition": "clrjit", "run": 1, "repeat": 0, "epoch_from": 4, "epoch": 8, "value": "0.3"}
    assert found["between_repeats_layer4"][4] == {"condition": "clrjit", "run": 1, "epoch": 8, "value": "0.4"}
    assert found["probe_svm"][1] == {"condition": "keepclr", "run": "2", "epoch": "8", "value": "50.1"}
    assert found["training_loss"] == [{"condition": "clrjit", "run": "1", "epoch": "1", "value": "4.8"}]


def test_curves_of_one_repeat_have_no_empty_file():
    found = metrics.curves(planted.means(repeats=(0,), epochs=(0,)), [], [])
    assert set(found) == {f"diversity_layer{k}" for k in (1, 2, 3, 4)}


def test_dvc_plots_shows_one_panel_for_each_curve_coloured_by_condition(tmp_path):
    template = Path(__file__).parents[2] / ".dvc" / "plots" / "by_condition.json"
    (tmp_path / ".dvc" / "plots").mkdir(parents=True)
    (tmp_path / ".dvc" / "config").write_text("[core]\n    no_scm = true\n    analytics = false\n")
    shutil.copy(template, tmp_path / ".dvc" / "plots")
    (tmp_path / "dvc.yaml").write_text("plots: [{curves: {template: by_condition, x: epoch, y: value}}]\n")
    curves = metrics.curves(planted.means(embedders=("pixels",)), [], [])
    for name, rows in curves.items():
        files.write_csv(tmp_path / "curves" / f"{name}.csv", rows)
    subprocess.run(
        [sys.executable, "-m", "dvc", "plots", "show", "-o", "out"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        env={**os.environ, "DVC_SITE_CACHE_DIR": str(tmp_path / "site")},
    )
    page = (tmp_path / "out" / "index.html").read_text()
    assert page.count("var spec = ") == len(curves) == 12
    assert page.count('"range": ["#0072B2", "#D55E00"') == 12
    assert "DVC_METRIC" not in page
