"""The network of study B: weights of a seed, weights from elsewhere, kept and read to the bit."""

import hashlib
import json
import os
from pathlib import Path

import pytest
import torch
from torch import nn

from protoviz import files
from protoviz.config.finetuning import Pretraining
from protoviz.errors import StudyError
from protoviz.models import efficientnet_lite0, finetuned, importer
from protoviz.models.finetuned import Identity

MODEL = "test_byobnet"


def same(one: nn.Module, other: nn.Module) -> bool:
    a, b = one.state_dict(), other.state_dict()
    return list(a) == list(b) and all(torch.equal(a[name], b[name]) for name in a)


def pretraining(**changes):
    how = {"images": None, "epochs": 0, "view_size": 32, "batch_size": 2, "lr": 0.1, "weight_decay": 0.0}
    rest = {"label_smoothing": 0.0, "precision": "float32", "weights": None, "sha256": None}
    return Pretraining.model_validate(how | rest | changes)


def test_a_seed_gives_the_same_weights_whatever_was_drawn_before():
    first = finetuned.initial(MODEL, 10, 1)
    torch.manual_seed(99)
    state = torch.get_rng_state()
    assert same(finetuned.initial(MODEL, 10, 1), first)
    assert torch.equal(torch.get_rng_state(), state), "nor is the global generator touched"
    assert not same(finetuned.initial(MODEL, 10, 2), first)


def test_a_network_is_read_as_it_was_written(tmp_path):
    network = finetuned.initial(MODEL, 10, 1)
    finetuned.with_classes(network, 5, 1)
    with torch.no_grad():
        network.train()(torch.rand(4, 3, 32, 32))  # the statistics of batch normalisation move
    identity = Identity(MODEL, 5, "finetuned", 1)
    path = finetuned.path(tmp_path, "finetuned")
    finetuned.save(path, network, identity)
    found, said = finetuned.load(path)
    assert said == identity
    assert same(found, network)
    assert not found.training
    assert not any(parameter.requires_grad for parameter in found.parameters())
    assert found(torch.rand(1, 3, 32, 32)).shape == (1, 5)
    finetuned.save(tmp_path / "again", network, identity)
    assert path.read_bytes() == (tmp_path / "again").read_bytes()


def test_only_the_classifier_is_new_for_another_task():
    network, before = (finetuned.initial(MODEL, 10, 1) for _ in range(2))
    finetuned.with_classes(network, 5, 1)
    kept = {name: value for name, value in network.state_dict().items() if not name.startswith("head")}
    assert kept
    assert all(torch.equal(value, before.state_dict()[name]) for name, value in kept.items())
    assert network.num_classes == 5


def test_a_file_of_another_kind_or_of_another_network_is_refused(tmp_path):
    (tmp_path / "random.safetensors").write_bytes(b"no weights")
    with pytest.raises(StudyError, match="expected a stage of training written by protoviz"):
        finetuned.load(tmp_path / "random.safetensors")
    network = finetuned.initial(MODEL, 10, 1)
    finetuned.save(tmp_path / "odd", network, Identity(MODEL, 5, "random", 1))
    with pytest.raises(StudyError, match="expected a stage of training written by protoviz"):
        finetuned.load(tmp_path / "odd")
    with pytest.raises(StudyError, match="model 'resnet1': expected a model of timm"):
        finetuned.initial("resnet1", 10, 1)


def test_weights_from_elsewhere_are_checked_against_their_digest(tmp_path):
    donor = finetuned.initial(MODEL, None, 7)
    file = tmp_path / "imagenet.pth"
    torch.save(donor.state_dict(), file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    for sha256 in (None, digest, digest[:8]):
        assert finetuned.fetched(pretraining(weights=str(file), sha256=sha256)) == file
    wrong = "0" * 8 if not digest.startswith("0") else "f" * 8
    with pytest.raises(StudyError, match=rf"expected SHA-256 {wrong}\.\.\., found {digest}"):
        finetuned.fetched(pretraining(weights=str(file), sha256=wrong))
    with pytest.raises(StudyError, match="expected a weight file, found nothing"):
        finetuned.fetched(pretraining(weights=str(tmp_path / "none.pth")))
    network = finetuned.initial(MODEL, None, 1)
    importer.load(network, file, MODEL)
    assert same(network, donor)


def test_installed_weights_are_those_of_the_package():
    network = finetuned.initial("tf_efficientnet_lite0", None, 1)
    finetuned.give_weights(network, pretraining(weights="installed"), "tf_efficientnet_lite0")
    assert same(network, efficientnet_lite0.load())


def test_nothing_to_pretrain_with_is_refused():
    with pytest.raises(ValueError, match="at least 1, as no weights are given"):
        pretraining()
    with pytest.raises(ValueError, match="null, as nothing is fetched"):
        pretraining(epochs=1, sha256="a" * 8)


def three(folder):
    """A network of each state, and their record."""
    for seed, state in enumerate(finetuned.STATES):
        network = finetuned.initial(MODEL, 5, seed)
        finetuned.save(finetuned.path(folder, state), network, Identity(MODEL, 5, state, seed))
    finetuned.record(folder)
    return folder


def test_the_record_holds_the_digest_of_every_state(tmp_path):
    folder = three(tmp_path / "finetuning-1")
    literal = {
        state: hashlib.sha256((folder / f"{state}.safetensors").read_bytes()).hexdigest()
        for state in ("random", "pretrained", "finetuned")
    }
    assert finetuned.digests(folder) == literal
    assert json.loads((folder / "networks.json").read_text()) == literal


def test_weights_that_are_not_there_are_asked_for_by_the_command_that_makes_them(tmp_path):
    """As in a fresh clone, to which `dvc pull` brings the record alone."""
    folder = three(tmp_path / "finetuning-1")
    (folder / "pretrained.safetensors").unlink()
    with pytest.raises(StudyError) as told:
        finetuned.digests(folder)
    assert told.value.where == str(folder / "pretrained.safetensors")
    assert told.value.found == "none, as they are not published"
    assert "`dvc repro --force --single-item train_stages`" in told.value.remedy


def test_weights_of_another_training_are_not_taken_for_these(tmp_path):
    """As after `git checkout` and `dvc checkout`, which change the record and leave the weights."""
    folder = three(tmp_path / "finetuning-1")
    others = finetuned.path(folder, "finetuned")
    finetuned.save(others, finetuned.initial(MODEL, 5, 9), Identity(MODEL, 5, "finetuned", 9))
    with pytest.raises(StudyError, match=r"finetuned\.safetensors: .* found others, [0-9a-f]{16}") as told:
        finetuned.digests(folder)
    assert files.sha256(others)[:16] in told.value.found


def test_without_a_record_the_stages_are_to_be_run(tmp_path):
    with pytest.raises(StudyError, match=r"networks\.json: expected a file made by an earlier stage"):
        finetuned.digests(tmp_path)


def test_dvc_keeps_the_record_and_leaves_the_weights(tmp_path):
    from dvc.ignore import DvcIgnorePatterns
    from dvc.pathspec_math import PatternInfo

    rules = (Path(__file__).parents[2] / ".dvcignore").read_text().splitlines()
    patterns = DvcIgnorePatterns([PatternInfo(rule, "") for rule in rules], "/top", os.sep)
    names = [path.name for path in three(tmp_path / "made").iterdir()]
    kept = [name for name in names if not patterns.matches("/top/data/checkpoints/finetuning-1", name, False)]
    assert kept == ["networks.json"]
    assert not patterns.matches("/top/data/checkpoints/clrjit-1", "epoch_0000.safetensors", False)
