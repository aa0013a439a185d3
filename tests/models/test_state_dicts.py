"""Weights of others: read without running code, and only where they are exactly those of the network."""

import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import protoviz
from protoviz.errors import StudyError
from protoviz.models import checkpoints, importer, resnet, zoo

NAME = "torchvision:squeezenet1_1"


def network():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))


@pytest.fixture
def state():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        made = network()
        made[1].running_mean.normal_()
        made[1].num_batches_tracked.fill_(7)
    return made.state_dict()


def written(folder, state, name="w.pt"):
    path = folder / name
    if name.endswith(".safetensors"):
        save_file({key: tensor.contiguous() for key, tensor in state.items()}, path)
    else:
        torch.save(state, path)
    return path


@pytest.mark.parametrize("name", ["w.pt", "w.pth", "w.safetensors", "weights without an ending"])
def test_weights_are_loaded(tmp_path, state, name):
    module = network()
    importer.load(module, written(tmp_path, state, name), "mine")
    for key, tensor in module.state_dict().items():
        assert torch.equal(tensor, state[key]), key


def test_counts_of_batches_may_be_missing(tmp_path, state):
    """Files from before torch 0.4.1 have none, among them some of the best known."""
    del state["1.num_batches_tracked"]
    module = network()
    importer.load(module, written(tmp_path, state), "mine")
    assert torch.equal(module[1].running_mean, state["1.running_mean"])
    assert module[1].num_batches_tracked == 0


def spoilt(state, case):
    if case == "missing":
        del state["0.bias"], state["1.weight"]
    elif case == "unexpected":
        state |= {"2.weight": torch.zeros(1), "3.weight": torch.zeros(1)}
    elif case == "shape":
        state["0.weight"] = torch.zeros(4, 3, 5, 5)
    elif case == "nan":
        state["1.running_var"] = torch.full((4,), torch.nan)
    elif case == "kind":
        state["0.bias"] = torch.zeros(4, dtype=torch.int32)
    return state if case != "list" else list(state.values())


CASES = {
    "missing": "no 0.bias (2 missing of 6)",
    "unexpected": "also 2.weight, which the network does not have",
    "shape": "0.weight of shape (4, 3, 5, 5) (not (4, 3, 3, 3))",
    "nan": "1.running_var with NaN or infinity",
    "kind": "0.bias of int32 (not float32)",
    "list": "no tensors by name (list)",
}


# A file of safetensors holds nothing but tensors by name.
FILES = [(case, "w.pt") for case in CASES] + [(case, "w.safetensors") for case in [*CASES][:-1]]


@pytest.mark.parametrize(("case", "name"), FILES)
def test_other_weights_are_refused_and_nothing_is_loaded(tmp_path, state, case, name):
    path = written(tmp_path, spoilt(state, case), name)
    module = network()
    before = {key: tensor.clone() for key, tensor in module.state_dict().items()}
    with pytest.raises(StudyError) as caught:
        importer.load(module, path, "mine")
    assert caught.value.where == str(path)
    assert caught.value.expected == "the weights of mine"
    assert caught.value.found == CASES[case]
    assert all(torch.equal(tensor, before[key]) for key, tensor in module.state_dict().items())


class Code:
    """Writes a file when it is unpickled."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return Path.write_text, (self.target, "run")


@pytest.mark.parametrize("write", [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value))])
def test_code_is_refused_and_not_run(tmp_path, state, write):
    path, target = tmp_path / "w.pt", tmp_path / "target"
    write({**state, "0.bias": Code(target)}, path)
    with pytest.raises(StudyError, match="expected the weights of mine, found"):
        importer.load(network(), path, "mine")
    assert not target.exists()


def test_a_whole_module_is_code(tmp_path):
    """What torch.save(network, file) writes holds the network's class."""
    torch.save(network(), tmp_path / "w.pt")
    with pytest.raises(StudyError, match=r"code that loading would run \(torch.nn.modules"):
        importer.load(network(), tmp_path / "w.pt", "mine")


@pytest.mark.parametrize("name", ["w.pt", "w.safetensors"])
@pytest.mark.parametrize(
    "content", [b"", b"hello", b"<html>404</html>", b"PK\x03\x04", b"\x10" + 30 * b"\x00"]
)
def test_files_of_another_kind_are_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(StudyError, match="found a damaged file or one of another kind"):
        importer.load(network(), tmp_path / name, "mine")


@pytest.fixture(scope="module")
def squeezenet():
    return zoo.load(NAME).module


def test_a_model_by_name_takes_a_state_dict(tmp_path, squeezenet):
    wanted = {key: tensor + 1e-3 for key, tensor in squeezenet.state_dict().items()}
    path = written(tmp_path, wanted, "w.safetensors")
    for state in (path, str(path), path.as_uri()):
        module = zoo.load(NAME).module
        importer.load(module, state, NAME)
        found = module.state_dict()
        assert all(torch.equal(tensor, wanted[key]) for key, tensor in found.items())


def test_prototypes_are_those_of_the_given_weights(tmp_path, squeezenet):
    wanted = {key: 2 * tensor for key, tensor in squeezenet.state_dict().items()}
    recipe = {"size": 33, "prior": "pixels", "precision": "float32", "repeats": 1, "ascent": {"steps": 0}}
    of_file, fresh = (
        protoviz.synthesize(NAME, "features.0:5", state=state, **recipe)
        for state in (written(tmp_path, wanted, "mine.pth"), None)
    )
    assert of_file.activation.item() == pytest.approx(2 * fresh.activation.item(), rel=1e-4)
    assert of_file.checkpoint.values.tolist() == ["mine.pth"]


def test_fresh_weights_are_the_same_each_time_and_touch_no_other_randomness(squeezenet):
    torch.rand(3)
    before = torch.get_rng_state()
    again = zoo.load(NAME).module.state_dict()
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(tensor, again[key]) for key, tensor in squeezenet.state_dict().items())


def test_a_state_dict_that_is_not_there_is_said():
    with pytest.raises(StudyError, match=r"no\.pt: expected a weight file, found nothing"):
        importer.load(zoo.load(NAME).module, "no.pt", NAME)


def test_a_checkpoint_has_weights_of_its_own(tmp_path):
    path = tmp_path / "epoch_0001.safetensors"
    checkpoints.save(
        path, resnet.initial("resnet18", 4, 0), checkpoints.Checkpoint("a", 1, 1, "resnet18", 4, "")
    )
    with pytest.raises(StudyError, match="expected no state dict, a checkpoint has its own"):
        protoviz.synthesize(str(path), "layer1:0", state="w.pt", size=32)
