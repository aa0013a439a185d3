"""Checkpoints: what is written is read, says what it is, and repeats to the byte."""

import json

import pytest
import torch
from safetensors.torch import save_file

from protoviz.errors import StudyError
from protoviz.models import checkpoints, resnet

IDENTITY = checkpoints.Checkpoint("clrjit", 1, 8, "resnet18", 4, "abc")


@pytest.fixture
def network():
    return resnet.initial("resnet18", 4, 1)


def test_round_trip_gives_a_frozen_network_and_its_identity(tmp_path, network):
    checkpoints.save(tmp_path / "a.safetensors", network, IDENTITY)
    read, identity = checkpoints.load(tmp_path / "a.safetensors")
    assert identity == IDENTITY
    assert checkpoints.weights_digest(read) == checkpoints.weights_digest(network)
    assert not read.training
    assert not any(parameter.requires_grad for parameter in read.parameters())


def test_half_the_size_is_the_network_to_half_precision(tmp_path, network):
    network.bn1.running_mean[2] = 1 / 3
    for kept_as in ("float32", "float16"):
        checkpoints.save(tmp_path / kept_as, network, IDENTITY, kept_as)
    assert (tmp_path / "float16").stat().st_size < 0.6 * (tmp_path / "float32").stat().st_size
    read, identity = checkpoints.load(tmp_path / "float16")
    assert identity == IDENTITY
    for name, exact in network.state_dict().items():
        kept = read.state_dict()[name]
        assert kept.dtype == exact.dtype
        assert torch.equal(kept, exact.half().float() if exact.dim() > 1 else exact), name
    assert network.conv1.weight.dtype == torch.float32, "what is trained on stays as it is"


def test_a_weight_too_large_for_float16_is_refused(tmp_path, network):
    network.conv1.weight.data[3] = 1e5
    with pytest.raises(StudyError, match=r"conv1.weight: .*65,504.*set train.kept_as to float32"):
        checkpoints.save(tmp_path / "a", network, IDENTITY, "float16")


def test_same_network_same_bytes(tmp_path, network):
    for name in "ab":
        checkpoints.save(tmp_path / name, network, IDENTITY)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_path_sorts_by_epoch():
    assert checkpoints.path("x", 8).name == "epoch_0008.safetensors"
    assert checkpoints.path("x", 8) < checkpoints.path("x", 10)


def test_digest_sees_every_weight_and_buffer(network):
    before = checkpoints.weights_digest(network)
    network.bn1.running_mean[2] += 1e-3
    assert checkpoints.weights_digest(network) != before


def test_missing_file_says_how_to_make_it(tmp_path):
    with pytest.raises(StudyError, match="a file made by an earlier stage, found nothing; run `make repro`"):
        checkpoints.load(tmp_path / "none.safetensors")


@pytest.mark.parametrize("damage", ["truncated", "not ours", "other width", "empty"])
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path, network, damage):
    file = tmp_path / "a.safetensors"
    checkpoints.save(file, network, IDENTITY)
    if damage == "truncated":
        file.write_bytes(file.read_bytes()[:1000])
    elif damage == "not ours":
        save_file({"x": torch.zeros(1)}, file)
    elif damage == "empty":
        file.write_bytes(b"")
    else:
        identity = {**IDENTITY.__dict__, "width": 8}
        save_file(dict(network.state_dict()), file, {"protoviz": json.dumps(identity)})
    with pytest.raises(StudyError, match="expected a checkpoint written by protoviz"):
        checkpoints.load(file)
