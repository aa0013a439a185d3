"""The stages `distances`, `metrics` and `findings`, one after the other, on toy stores."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from protoviz import files, layout, params, schema, stores
from protoviz.errors import StudyError
from stages import distances, findings, metrics
from tests.reference import prototypes as toy

CONDITIONS, RUNS, EPOCHS = ("clrjit", "keepclr"), (1, 2), (0, 2, 8)


@pytest.fixture
def study(tmp_path, monkeypatch):
    read = params.load(Path(__file__).parents[2] / "params.yaml")
    monkeypatch.chdir(tmp_path)
    return read.model_copy(
        update={
            "conditions": {name: {} for name in CONDITIONS},
            "runs": list(RUNS),
            "distances": read.distances.model_copy(update={"embedders": ["pixels"]}),
        }
    )


def write_inputs(condition, run):
    toy.write_cube(layout.prototypes(condition, run), toy.template((condition,), (run,), epochs=EPOCHS))
    mask = np.random.default_rng(run).random((1, 1, len(EPOCHS), len(toy.LAYERS), toy.SIZE, toy.SIZE))
    masks = xr.Dataset(
        {
            "mask": (schema.RECEPTIVE_FIELDS["mask"].dims, mask.astype(np.float32)),
            "fixed_mask": (schema.RECEPTIVE_FIELDS["fixed_mask"].dims, mask[0, 0, 0].astype(np.float32)),
        },
        {"condition": [condition], "run": [run], "epoch": list(EPOCHS), "layer": list(toy.LAYERS)},
    )
    stores.write_dataset(layout.receptive_fields(condition, run), masks)
    network = {"condition": condition, "run": run}
    files.write_json(
        layout.probe_metrics(condition, run), {"probe": {"logistic": 60.0 + run, "untrained_logistic": 40.0}}
    )
    curve = [{**network, "epoch": epoch, "readout": "logistic", "accuracy": 50 + epoch} for epoch in EPOCHS]
    files.write_csv(layout.probe_curve(condition, run), curve)
    files.write_csv(layout.training_curve(condition, run), [{**network, "epoch": 1, "loss": 5.0, "lr": 0.1}])


def run_all(study):
    files.write_json(layout.IMAGES / "classes.json", ["a", "b", "c", "d"])
    for condition in CONDITIONS:
        for run in RUNS:
            write_inputs(condition, run)
            distances.main(study, condition, run)
        metrics.main(study, condition)
    findings.main(study)


def digests(*roots):
    return {str(f): files.sha256(f) for root in roots for f in sorted(root.rglob("*")) if f.is_file()}


def test_stages_meet_in_their_files(study):
    run_all(study)
    numbers = files.read_json(layout.metrics("clrjit"))
    store = stores.open_dataset(layout.distances("clrjit", 1))
    assert store.sizes["unit"] == toy.UNITS
    last = [
        stores.open_dataset(layout.distances("clrjit", run))
        .between_units.sel(epoch=8, distance="mse", masking="masked")
        .values[..., :4, :]
        for run in RUNS
    ]
    assert numbers["layer1"]["diversity"] == pytest.approx(np.mean(last), rel=1e-3)
    assert numbers["probe"]["logistic"] == 61.5
    found = files.read_json(layout.FINDINGS)
    assert found["study"]["chance"] == 25
    assert found["study"]["prototypes"] == 4 * 2 * 3 * toy.UNITS
    assert [row["run"] for row in found["study"]["probe"]] == [1, 2, 1, 2]
    curves = {path.stem for path in layout.CURVES.iterdir()}
    assert {"diversity_layer1", "rate_of_change_layer2", "probe_logistic", "training_loss"} <= curves
    rows = files.read_csv(layout.CURVES / "between_repeats_layer2.csv")
    assert [(row["condition"], row["epoch"]) for row in rows[:3]] == [("clrjit", str(e)) for e in EPOCHS]
    assert len(rows) == 2 * 2 * 3


def test_stages_write_the_same_bytes_again(study):
    run_all(study)
    before = digests(layout.DATA / "distances", layout.METRICS)
    distances.main(study, "clrjit", 1)
    metrics.main(study, "clrjit")
    findings.main(study)
    assert digests(layout.DATA / "distances", layout.METRICS) == before


def test_missing_input_is_named(study):
    with pytest.raises(
        StudyError, match=r"receptive_fields/clrjit-1\.zarr: expected a file made by an earlier stage"
    ):
        distances.main(study, "clrjit", 1)
    with pytest.raises(
        StudyError, match=r"distances/clrjit-1\.zarr: expected a file made by an earlier stage"
    ):
        findings.main(study)


def test_spaces_of_networks_are_measured_like_pixels(study):
    spaces = {"embedders": ["mobilenet_v2:untrained", "pixels"], "batch_size": 8}
    small = study.model_copy(update={"distances": study.distances.model_copy(update=spaces)})
    write_inputs("clrjit", 1)
    distances.main(small, "clrjit", 1)
    store = stores.open_dataset(layout.distances("clrjit", 1))
    assert store.embedder.values.tolist() == spaces["embedders"]
    assert store.masking.values.tolist() == ["masked", "fixed", "unmasked"]
    for name in ("between_units", "between_epochs", "between_repeats"):
        assert np.isfinite(store[name]).all()
        assert (store[name] >= 0).all()
    distances.main(study, "clrjit", 1)
    alone = stores.open_dataset(layout.distances("clrjit", 1)).sel(embedder="pixels")
    np.testing.assert_array_equal(alone.between_units, store.between_units.sel(embedder="pixels"))
