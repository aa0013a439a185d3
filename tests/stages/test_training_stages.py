"""Study B end to end, with a small network: images, training, prototypes, maps, verdicts, figures, card."""

import shutil
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from protoviz import files, layout
from protoviz.config import params
from protoviz.errors import StudyError
from protoviz.models import checkpoints, finetuned, resnet
from protoviz.pipeline import executor
from protoviz.report.dataset_card import checksum
from protoviz.store import attributes, cube, schema, schema_projection, zarr_io
from stages import (
    dataset,
    dataset_card,
    domain,
    figures_stages,
    findings_stages,
    projection_stages,
    synthesize_stages,
    train_stages,
)
from tests.reference import prototypes as toy

pytestmark = pytest.mark.slow

SIZE = 32
TRAINING = {"epochs": 1, "view_size": SIZE, "batch_size": 10, "precision": "float32"}


def small() -> params.Params:
    read = params.load(Path(__file__).parents[2] / "presets/learnt-prior.yaml")
    images = {"size": SIZE, "unlabeled": 1, "reference": 0, "train": 30, "test": 10}
    staged, maps = read.training_stages, read.projection
    synthesis = staged.synthesis.model_copy(
        update={"ascent": staged.synthesis.ascent.model_copy(update={"steps": 8}), "precision": "float32"}
    )
    return read.model_copy(
        update={
            "images": read.images.model_copy(update=images),
            "training_stages": staged.model_copy(
                update={
                    "network": staged.network.model_copy(update={"model": "test_byobnet", "size": SIZE}),
                    "pretrain": staged.pretrain.model_copy(update=TRAINING),
                    "finetune": staged.finetune.model_copy(update=TRAINING),
                    "domain": staged.domain.model_copy(update={"train": 20, "test": 10}),
                    "synthesis": synthesis,
                }
            ),
            "projection": maps.model_copy(
                update={
                    "umap": maps.umap.model_copy(update={"epochs": 150}),
                    "permutations": 39,
                    "resamples": 40,
                    "seeds": [0, 1],
                }
            ),
        }
    )


def write_encoder() -> None:
    network = resnet.initial("resnet18", 4, 1000)
    identity = checkpoints.Checkpoint("reference", 1000, 1, "resnet18", 4, initial_weights="")
    checkpoints.save(layout.REFERENCE_ENCODER, network, identity)


def analyse(study: params.Params) -> None:
    for stage in (synthesize_stages, projection_stages, findings_stages):
        stage.main(study)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    read = small()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(executor.WORKERS, "1")
        patch.chdir(tmp_path_factory.mktemp("stages"))
        write_encoder()
        for stage in (dataset, domain, train_stages):
            stage.main(read)
        analyse(read)
        figures_stages.main(read)
        toy.write_cube(layout.CUBE)
        dataset_card.main(read)
        yield read


@pytest.mark.usefixtures("study")
def test_each_state_has_a_network_and_an_accuracy():
    folder = layout.stages_checkpoints(1)
    loaded = {state: finetuned.load(folder / f"{state}.safetensors") for state in finetuned.STATES}
    assert [said.classes for _, said in loaded.values()] == [10, 10, 5]
    digests = {checkpoints.weights_digest(network) for network, _ in loaded.values()}
    assert len(digests) == 3
    assert finetuned.digests(folder) == {
        state: files.sha256(folder / f"{state}.safetensors") for state in finetuned.STATES
    }
    known = files.read_json(layout.STAGES_TRAINING)
    assert [known[state]["chance"] for state in finetuned.STATES] == [10, 10, 20]
    assert all(0 <= known[state]["accuracy"] <= 100 for state in finetuned.STATES)


@pytest.mark.usefixtures("study")
def test_the_cube_has_the_same_units_at_each_state():
    made = cube.open_cube(layout.STAGES_CUBE)
    assert made.checkpoint.values.tolist() == ["random", "pretrained", "finetuned"]
    assert made.condition.values.tolist() == ["finetuning"]
    layers = made.layer.values.tolist()
    assert len(set(layers)) == 14
    assert not any("attn" in layer for layer in layers)
    assert max(layers.count(layer) for layer in set(layers)) == 4
    assert made.sizes["epoch"] == 3
    assert attributes.read(made)["prior"] == {"name": "fourier", "sha256": None}
    digests = finetuned.digests(layout.stages_checkpoints(1))
    assert attributes.read(made)["checkpoint_sha256"] == {"finetuning-1": digests}


def test_without_the_weights_no_prototype_is_made_and_the_old_ones_stay(study):
    """A fresh clone has the record only; the command that it is told brings the same weights."""
    folder, before = layout.stages_checkpoints(1), checksum(layout.STAGES_CUBE)
    weights = {path: files.sha256(path) for path in folder.glob("*.safetensors")}
    for path in weights:
        path.unlink()
    with pytest.raises(StudyError, match="dvc repro --force --single-item train_stages"):
        synthesize_stages.main(study)
    assert checksum(layout.STAGES_CUBE) == before
    train_stages.main(study)
    assert {path: files.sha256(path) for path in folder.glob("*.safetensors")} == weights


@pytest.mark.usefixtures("forked_workers")
def test_prototypes_are_the_same_again_also_of_workers_side_by_side(study, tmp_path, monkeypatch):
    kept = tmp_path / "before.zarr"
    shutil.copytree(layout.STAGES_CUBE, kept)
    monkeypatch.setenv(executor.WORKERS, "2")
    synthesize_stages.main(study)
    assert checksum(layout.STAGES_CUBE) == checksum(kept)
    before = checksum(layout.projection("stages"))
    projection_stages.main(study)
    assert checksum(layout.projection("stages")) == before


@pytest.mark.usefixtures("study")
def test_verdicts_speak_of_every_space_before_and_after_umap():
    found = files.read_json(layout.STAGES_FINDINGS)
    spaces = {effect["space"] for finding in found["findings"] for effect in finding["effect"]}
    assert spaces == {"reference", "pixels", "UMAP of reference, seed 0", "UMAP of reference, seed 1"}
    assert found["study"]["prototypes"] == 3 * found["study"]["units"]
    assert set(files.read_json(layout.STAGES_METRICS)) == {"accuracy", *spaces}


def test_a_frozen_network_passed_as_three_states_shows_no_difference(study, tmp_path, monkeypatch):
    """Its prototypes differ by their random starts alone: no state is told from another, maps barely move."""
    folder = layout.stages_checkpoints(1).resolve()
    encoder = layout.REFERENCE_ENCODER.resolve()
    monkeypatch.chdir(tmp_path)
    layout.stages_checkpoints(1).mkdir(parents=True)
    for state in finetuned.STATES:
        shutil.copy(folder / "pretrained.safetensors", layout.stages_checkpoints(1) / f"{state}.safetensors")
    finetuned.record(layout.stages_checkpoints(1))
    layout.REFERENCE_ENCODER.parent.mkdir(parents=True)
    shutil.copy(encoder, layout.REFERENCE_ENCODER)
    files.write_json(layout.STAGES_TRAINING, {state: {} for state in finetuned.STATES})
    analyse(study)
    (claim,) = [each for each in files.read_json(layout.STAGES_FINDINGS)["findings"] if each["id"] == "Q7b"]
    assert claim["verdict"] != "supported"
    energies = [effect for effect in claim["effect"] if effect["measure"] == "energy distance"]
    assert max(abs(effect["value"]) for effect in energies if effect["space"] == "pixels") < 0.05
    agreeing = [effect["agrees"] for effect in claim["effect"]]
    assert np.mean(agreeing) < 0.25, "no more than chance and correlated tests give"
    maps = zarr_io.open_dataset(layout.projection("stages"))
    places = maps[schema_projection.POSITION_ALIGNED].to_numpy()[0, 0, 0]
    middle = np.nanmean(places, axis=1, keepdims=True)
    extent = np.nanmean(np.linalg.norm(places - middle, axis=2))
    centres = np.linalg.norm(np.diff(middle[:, 0], axis=0), axis=1)
    assert centres.max() < 0.3 * extent


def test_figures_are_drawn_and_repeat(study):
    pages = sorted(layout.FIGURES_STAGES.glob("*.png"))
    assert [page.stem for page in pages] == [
        *("q6_stages", "q7_map", "q7_map_aligned", "q7_map_each", "q7_map_prototypes")
    ]
    before = {page.name: files.sha256(page) for page in pages}
    for page in pages:
        assert matplotlib.image.imread(page).std() > 0.02
    figures_stages.main(study)
    assert {page.name: files.sha256(page) for page in pages} == before


@pytest.mark.usefixtures("study")
def test_the_card_tells_what_the_stores_hold_and_their_checksums():
    text = layout.CARD.read_text()
    made = cube.open_cube(layout.STAGES_CUBE)
    total = made[schema.STATUS].size + cube.open_cube(layout.CUBE)[schema.STATUS].size
    assert f"{total:,} images" in text
    for store in (layout.CUBE, layout.STAGES_CUBE):
        assert checksum(store)[2] in text
    for digest in attributes.read(made)["checkpoint_sha256"]["finetuning-1"].values():
        assert digest in text
    assert "MIT" in text
    assert text.count("not published") == 1, "the weights of study B"
    assert "`dvc repro --force --single-item train_stages` makes them" in text
    assert "random, pretrained, finetuned" in text
