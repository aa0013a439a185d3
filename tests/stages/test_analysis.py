"""The stages `distances`, `appearance`, `metrics` and `findings`, one after the other, on toy stores."""

import numpy as np
import pytest

from protoviz import files, layout
from protoviz.analysis.findings import CLAIMS
from protoviz.errors import StudyError
from protoviz.pipeline import executor
from protoviz.store import zarr_io
from protoviz.store.schema_appearance import APPEARANCE, SETTLING
from stages import appearance, distances, findings, metrics
from tests.reference import analysed
from tests.reference import prototypes as toy
from tests.reference.analysed import EPOCHS, RUNS, analyse


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return analysed.study()


def digests(*roots):
    return {str(f): files.sha256(f) for root in roots for f in sorted(root.rglob("*")) if f.is_file()}


def test_stages_meet_in_their_files(study):
    analyse(study)
    numbers = files.read_json(layout.metrics("clrjit"))
    store = zarr_io.open_dataset(layout.distances("clrjit", 1))
    assert store.sizes["unit"] == toy.UNITS
    last = [
        zarr_io.open_dataset(layout.distances("clrjit", run))
        .between_units.sel(epoch=8, distance="mse", masking="masked")
        .values[..., :4, :]
        for run in RUNS
    ]
    assert numbers["layer1"]["diversity"] == pytest.approx(np.mean(last), rel=1e-3)
    assert numbers["probe"]["logistic"] == 61.5
    for place, kind in ((layout.appearance, APPEARANCE), (layout.units, SETTLING)):
        written = zarr_io.open_dataset(place("keepclr", 2))
        assert set(written.data_vars) == {variable.name for variable in kind.variables}
    saturation = [zarr_io.open_dataset(layout.appearance("clrjit", run)).saturation for run in RUNS]
    last = np.mean([values.sel(epoch=8).values[..., :4] for values in saturation])
    assert numbers["layer1"]["saturation"] == pytest.approx(last, rel=1e-3)
    found = files.read_json(layout.FINDINGS)
    assert [one["id"] for one in found["findings"]] == list(CLAIMS)
    assert found["findings"][10]["verdict"] != "not computed"
    assert found["study"]["chance"] == 25
    assert found["study"]["prototypes"] == 4 * 2 * 3 * toy.UNITS
    assert [row["run"] for row in found["study"]["probe"]] == [1, 2, 1, 2]
    matched = zarr_io.open_dataset(layout.MATCHING)
    assert matched.sizes["pair"] == 4
    mean = matched.share_matched.sel(epoch=8).values[0, 0]  # of the one pair of runs of clrjit
    assert numbers["layer1"]["share_matched"] == pytest.approx(float(mean), rel=1e-3)
    assert {row["layer"] for row in found["prediction"]["rows"]} == {"layer1", "layer2"}
    assert (matched.prototype_partner >= 0).all()  # of pixels, made of the prototypes again
    curves = {path.stem for path in layout.CURVES.iterdir()}
    assert {"share_matched_layer1", "agreement_layer2"} <= curves
    assert {
        "diversity_layer1",
        "learning_layer2",
        "saturation_layer1",
        "probe_logistic",
        "training_loss",
    } <= curves
    rows = files.read_csv(layout.CURVES / "between_repeats_layer2.csv")
    assert [(row["condition"], row["epoch"]) for row in rows[:3]] == [("clrjit", str(e)) for e in EPOCHS]
    assert len(rows) == 2 * 2 * 3


@pytest.mark.usefixtures("forked_workers")
def test_stages_write_the_same_bytes_again_also_of_workers_side_by_side(study, monkeypatch):
    analyse(study)
    before = digests(layout.DATA, layout.METRICS)
    monkeypatch.setenv(executor.WORKERS, "2")
    distances.main(study, "clrjit", 1)
    appearance.main(study, "clrjit", 1)
    metrics.main(study, "clrjit")
    findings.main(study)
    assert digests(layout.DATA, layout.METRICS) == before


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
    analysed.write_inputs("clrjit", 1)
    distances.main(small, "clrjit", 1)
    store = zarr_io.open_dataset(layout.distances("clrjit", 1))
    assert store.embedder.values.tolist() == spaces["embedders"]
    assert store.masking.values.tolist() == ["masked", "fixed", "unmasked"]
    for name in ("between_units", "between_epochs", "between_repeats"):
        assert np.isfinite(store[name]).all()
        assert (store[name] >= 0).all()
    distances.main(study, "clrjit", 1)
    alone = zarr_io.open_dataset(layout.distances("clrjit", 1)).sel(embedder="pixels")
    np.testing.assert_array_equal(alone.between_units, store.between_units.sel(embedder="pixels"))
