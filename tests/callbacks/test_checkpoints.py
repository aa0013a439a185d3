"""Checkpoints of any loop: which are kept, what stands in them, and that none is written twice."""

import json
import re
import warnings

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import nn

from protoviz.callbacks import Checkpoints, log_spaced
from protoviz.errors import StudyError


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 2))


def files_in(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def written(folder):
    return {path: load_file(folder / path) for path in sorted(files_in(folder))}


@pytest.mark.parametrize(
    ("last", "per_doubling", "expected"),
    [
        (100, 1, [0, 1, 2, 4, 8, 16, 32, 64, 100]),
        (8, 1, [0, 1, 2, 4, 8]),
        (12, 2, [0, 1, 2, 3, 4, 6, 8, 11, 12]),
        (1, 1, [0, 1]),
        (0, 3, [0]),
    ],
)
def test_epochs_are_evenly_spaced_on_a_logarithmic_scale(last, per_doubling, expected):
    assert log_spaced(last, per_doubling) == expected


@pytest.mark.parametrize("last", [1, 2, 7, 8, 30])
def test_the_default_is_log_spaced(tmp_path, last):
    keep, model = Checkpoints(tmp_path, "blue", 3, max_epochs=last), network()
    made = [epoch for epoch in range(last + 1) if keep(model, epoch)]
    assert made == log_spaced(last)
    assert files_in(tmp_path) == {f"blue/run3/epoch_{epoch:04d}.safetensors" for epoch in made}
    assert keep.pattern == f"{tmp_path}/{{condition}}/run{{run}}/epoch_{{epoch}}.safetensors"


def test_without_an_end_the_powers_of_two_are_kept(tmp_path):
    keep = Checkpoints(tmp_path)
    assert [epoch for epoch in range(40) if keep.keeps(epoch)] == [0, 1, 2, 4, 8, 16, 32]


def test_the_weights_are_those_of_the_moment(tmp_path):
    keep, model = Checkpoints(tmp_path, epochs=np.array([0, 2])), network()
    states = []
    for epoch in range(4):
        keep(model, epoch)
        states.append({name: tensor.clone() for name, tensor in model.state_dict().items()})
        with torch.no_grad():
            model[0].weight += 1
        model(torch.rand(2, 3, 4, 4))
    found = written(tmp_path)
    assert list(found) == [f"model/run0/epoch_{epoch:04d}.safetensors" for epoch in (0, 2)]
    for epoch, tensors in zip((0, 2), found.values(), strict=True):
        assert tensors.keys() == states[epoch].keys()
        assert all(torch.equal(tensors[name], states[epoch][name]) for name in tensors)
        assert tensors["1.num_batches_tracked"].item() == epoch


def test_what_is_there_is_not_written_again(tmp_path):
    """A training that is resumed at epoch 3, with other weights, leaves those of 1 and 2 as they are."""
    keep, model = Checkpoints(tmp_path, max_epochs=4), network()
    for epoch in range(3):
        keep(model, epoch)
    before = written(tmp_path)
    resumed = Checkpoints(tmp_path, max_epochs=6)
    assert [epoch for epoch in range(1, 7) if resumed(network(1), epoch)] == [4, 6]
    after = written(tmp_path)
    assert after.keys() - before.keys() == {f"model/run0/epoch_{epoch:04d}.safetensors" for epoch in (4, 6)}
    assert all(torch.equal(tensors["0.weight"], after[path]["0.weight"]) for path, tensors in before.items())


def test_a_training_that_begins_again_finds_its_own_files(tmp_path):
    for _ in range(2):
        keep = Checkpoints(tmp_path, max_epochs=1)
        made = [keep(network(), epoch) for epoch in range(2)]
    assert made == [None, None]


@pytest.mark.parametrize(
    ("epochs", "message"),
    [
        (None, "epoch_0000.safetensors: expected the weights with which this training begins"),
        ([1, 5], "run0: expected no checkpoints yet, found 1 of another training, the first epoch_0001"),
    ],
)
def test_another_training_in_the_same_folder_is_refused(tmp_path, epochs, message):
    for epoch in range(2):
        Checkpoints(tmp_path, epochs=epochs)(network(), epoch)
    before = written(tmp_path)
    with pytest.raises(StudyError, match=message):
        Checkpoints(tmp_path, epochs=epochs)(network(1), 0)
    assert written(tmp_path).keys() == before.keys()


def test_what_a_killed_training_left_is_removed(tmp_path):
    left = tmp_path / "model" / "run0" / ".epoch_0001.safetensors.partial"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half a file")
    assert Checkpoints(tmp_path)(network(), 1)
    assert files_in(tmp_path) == {"model/run0/epoch_0001.safetensors"}


def test_steps_that_are_passed_over_are_kept_at_the_next(tmp_path):
    """As with a trainer that counts the steps of two optimisers."""
    keep, model = Checkpoints(tmp_path, steps="log", max_epochs=10), network()
    made = [step for step in range(0, 11, 2) if keep(model, step)]
    assert made == [0, 2, 4, 8, 10]
    assert Checkpoints(tmp_path, "named", steps=[3])(model, 3).name == "step_00000003.safetensors"


class Owner(nn.Module):
    """A network within a network, as a training module has it."""

    def __init__(self, encoder):
        super().__init__()
        self.encoder, self.head = encoder, nn.Linear(2, 2)


@pytest.fixture
def one_process(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        place = f"file://{tmp_path}/together"
        torch.distributed.init_process_group("gloo", init_method=place, rank=0, world_size=1)
        yield
        torch.distributed.destroy_process_group()


WRAPPERS = {
    "none": lambda model: model,
    "DataParallel": nn.DataParallel,
    "DistributedDataParallel": nn.parallel.DistributedDataParallel,
    "torch.compile": torch.compile,
    "both": lambda model: torch.compile(nn.DataParallel(model)),
}


@pytest.mark.usefixtures("one_process")
@pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)
@pytest.mark.parametrize("outside", [True, False])
def test_wrappers_are_taken_off(tmp_path, wrap, outside):
    """Around the whole network or around a part of it: names and values are those of the bare one."""
    bare = Owner(network())
    wrapped = wrap(Owner(network())) if outside else Owner(wrap(network()))
    wrapped.load_state_dict(dict(zip(wrapped.state_dict(), bare.state_dict().values(), strict=True)))
    for part in ("", "encoder"):
        path = Checkpoints(tmp_path / "kept", part or "all", part=part)(wrapped, 0)
        found = load_file(path)
        expected = (bare.encoder if part else bare).state_dict()
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[name], expected[name]) for name in found)


def test_weights_that_two_layers_share_are_kept(tmp_path):
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    found = load_file(Checkpoints(tmp_path)(model, 0))
    assert torch.equal(found["0.weight"], found["1.weight"])


def test_half_precision_stays(tmp_path):
    found = load_file(Checkpoints(tmp_path)(network().bfloat16(), 0))
    assert found["0.weight"].dtype == torch.bfloat16


def test_of_several_processes_the_first_one_writes(tmp_path, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    assert Checkpoints(tmp_path)(network(), 0) is None
    assert not files_in(tmp_path)
    monkeypatch.setenv("RANK", "0")
    assert Checkpoints(tmp_path)(network(), 0)


REFUSED = {
    "both": ({"epochs": [1], "steps": [1]}, "epochs and steps: expected one of the two"),
    "none": ({"epochs": []}, "epochs: expected at least one"),
    "half": ({"epochs": [0.5]}, "epochs: expected a whole number of at least 0, found 0.5"),
    "negative": ({"steps": [-1]}, "steps: expected a whole number"),
    "truth": ({"epochs": [True]}, "epochs: expected a whole number"),
    "words": ({"steps": "linear"}, "steps: expected numbers, or 'log', found 'linear'"),
    "condition": ({"condition": "a/b"}, "condition 'a/b': expected a name that a folder may have"),
    "no condition": ({"condition": ""}, "condition ''"),
    "run": ({"run": "one"}, "run: expected a whole number of at least 0, found 'one'"),
    "end": ({"max_epochs": -1}, "max_epochs: expected a whole number of at least 0"),
}


@pytest.mark.parametrize(("wrong", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_wrong_is_refused_at_once(tmp_path, wrong, message):
    with pytest.raises(StudyError, match=re.escape(message)):
        Checkpoints(tmp_path, **wrong)


@pytest.mark.parametrize(
    ("model", "part", "message"),
    [
        (Owner(nn.Linear(2, 2)), "encodr", "part 'encodr' of a Owner: expected one of encoder, head"),
        (nn.Linear(2, 2), "a", "expected nothing, as it has no parts"),
        (nn.LazyLinear(2), "", "found a lazy parameter without"),
        (nn.Linear(2, 2, device="meta"), "", "weights: weight: expected all of it in this process"),
    ],
)
def test_networks_whose_weights_are_not_there_are_refused(tmp_path, model, part, message):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(StudyError, match=re.escape(message)):
            Checkpoints(tmp_path, part=part)(model, 0)
    assert not files_in(tmp_path)


@pytest.mark.parametrize("pretrained", [False, True])
def test_each_file_says_whether_its_network_is_untrained(tmp_path, pretrained):
    keep, model = Checkpoints(tmp_path, epochs=[0, 1], pretrained=pretrained), network()
    for epoch in (0, 1):
        with safe_open(keep(model, epoch), "pt") as file:
            said = json.loads(file.metadata()["protoviz training"])
        assert said["untrained"] is (epoch == 0 and not pretrained)


def test_an_attribute_that_does_not_exist():
    from protoviz import callbacks

    with pytest.raises(AttributeError, match="no attribute 'Lightening'"):
        callbacks.Lightening  # noqa: B018
    assert "Lightning" in dir(callbacks)
