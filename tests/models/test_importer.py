"""Weights as trainers write them: every layout gives what loading by hand gives, to the bit."""

import argparse
import json
import pathlib
from collections import OrderedDict

import numpy as np
import pytest
import pytorch_lightning
import timm
import timm.utils
import torch
from safetensors.torch import save_file
from torch import nn

import protoviz
from protoviz.errors import StudyError
from protoviz.models import importer, zoo
from protoviz.models.readout import dependence
from protoviz.models.readout.network import Network


class Small(nn.Module):
    """A network with names as a ResNet has them, with a head."""

    def __init__(self, classes=10):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(4)
        self.relu = nn.ReLU()
        self.layer1 = nn.Sequential(nn.Conv2d(4, 6, 3), nn.PReLU())
        self.fc = nn.Linear(6, classes)

    def forward(self, x):
        return self.fc(self.layer1(self.relu(self.bn1(self.conv1(x)))).mean((2, 3)))


def trained(seed=1, classes=10):
    """A network whose every weight and statistic is its own."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Small(classes)
        for tensor in network.state_dict().values():
            if tensor.is_floating_point():
                tensor.copy_(torch.randn(tensor.shape).abs() + 0.1)
    return network


def prefixed(prefix, state):
    return OrderedDict((prefix + name, tensor) for name, tensor in state.items())


def saved(folder, held, name="checkpoint.pt", **options):
    path = folder / name
    torch.save(held, path, **options)
    return path


NAMESPACE = argparse.Namespace(lr=0.1, data=pathlib.Path("data"), names=["a"])
STATE = trained().state_dict()
BODY = {name: tensor for name, tensor in STATE.items() if not name.startswith("fc.")}

LAYOUTS = {
    "plain": STATE,
    "data parallel": {"state_dict": prefixed("module.", STATE), "epoch": 3, "best_acc1": torch.tensor(71.0)},
    "lightning": {
        "state_dict": prefixed("model.", STATE),
        "hyper_parameters": {"lr": 0.1},
        "optimizer_states": [{"state": {0: {"exp_avg": torch.zeros(4, 3, 3, 3)}}, "param_groups": []}],
    },
    "lightning with a namespace": {"state_dict": prefixed("model.", STATE), "hyper_parameters": NAMESPACE},
    "torchvision's references": {"model": STATE, "optimizer": {}, "lr_scheduler": {}, "args": NAMESPACE},
    "compiled": prefixed("_orig_mod.", STATE),
    "compiled within": {name.replace("layer1.", "layer1._orig_mod."): one for name, one in STATE.items()},
    "compiled and parallel": prefixed("module._orig_mod.", STATE),
    "two deep": {"ckpt": {"nets": {"student": prefixed("module.", STATE)}}, "step": np.float64(3.5)},
    "numpy": {"model": STATE, "metric": np.float32(1.5), "when": np.int64(3), "rng": np.arange(4)},
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("zipped", [True, False])
def test_layouts_give_what_loading_by_hand_gives(tmp_path, layout, zipped):
    path = saved(tmp_path, LAYOUTS[layout], _use_new_zipfile_serialization=zipped)
    network = trained(2)
    taken = importer.load(network, path, "Small")
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, STATE[name]), name
    assert len(taken.names) == len(STATE)
    assert taken.kept == ()


HEADLESS = {
    "no head": BODY,
    "another head": {**STATE, "fc.weight": torch.zeros(5, 6), "fc.bias": torch.zeros(5)},
    "self-supervised": {
        "state_dict": {**prefixed("backbone.", BODY), "projection_head.layers.0.weight": torch.zeros(6, 6)}
    },
    "a head of two layers": {**BODY, "fc.0.weight": torch.zeros(6, 6), "fc.2.weight": torch.zeros(3, 6)},
    "children in a row": prefixed("backbone.", nn.Sequential(*list(trained().children())[:-1]).state_dict()),
}


@pytest.mark.parametrize("layout", HEADLESS)
def test_what_the_units_do_not_depend_on_may_be_missing(tmp_path, layout):
    path = saved(tmp_path, HEADLESS[layout])
    network = trained(2)
    head = network.fc.weight.clone()
    needed = dependence.weights(network, ["layer1.0"], torch.rand(2, 3, 16, 16))
    taken = importer.load(network, path, "Small", needed=needed)
    for name in BODY:
        assert torch.equal(network.state_dict()[name], STATE[name]), name
    assert set(taken.kept) == {"fc.weight", "fc.bias"}
    assert torch.equal(network.fc.weight, head)
    assert "not in the file and not needed: fc.weight, fc.bias" in str(taken)


@pytest.mark.parametrize("layout", HEADLESS)
def test_what_the_units_depend_on_may_not(tmp_path, layout):
    network = trained(2)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with pytest.raises(StudyError, match=r"fc\.(weight|bias)"):
        importer.load(network, saved(tmp_path, HEADLESS[layout]), "Small")
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, before[name]), name


RIVALS = {
    "momentum": (
        {**prefixed("module.encoder_q.", STATE), **prefixed("module.encoder_k.", trained(5).state_dict())},
        {"prefix": "module.encoder_q"},
    ),
    "teacher": (
        {"student": STATE, "teacher": prefixed("backbone.", trained(5).state_dict())},
        {"key": "student"},
    ),
    "average": (
        {"state_dict": STATE, "state_dict_ema": trained(5).state_dict(), "args": NAMESPACE},
        {"key": "state_dict"},
    ),
}


@pytest.mark.parametrize("layout", RIVALS)
def test_of_two_that_fit_the_caller_chooses(tmp_path, layout):
    held, choice = RIVALS[layout]
    path = saved(tmp_path, held)
    network = trained(2)
    with pytest.raises(StudyError, match=r"found 2: .*--key and --prefix"):
        importer.load(network, path, "Small")
    importer.load(network, path, "Small", **choice)
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, STATE[name]), name
    with pytest.raises(StudyError, match="nothing under"):
        importer.load(network, path, "Small", prefix="other")


def test_of_two_that_are_the_same_either_is_taken(tmp_path):
    network = trained(2)
    importer.load(network, saved(tmp_path, {"model": STATE, "model_ema": trained().state_dict()}), "Small")
    assert torch.equal(network.fc.weight, STATE["fc.weight"])


def test_a_deeper_network_is_another_network(tmp_path):
    """All weights of the shallow one are in it, in their shapes."""
    deeper = {**STATE, "layer1.2.weight": torch.zeros(6, 6, 3, 3), "layer1.2.bias": torch.zeros(6)}
    needed = dependence.weights(trained(), ["layer1"], torch.rand(2, 3, 16, 16))
    with pytest.raises(StudyError, match=r"also layer1\.2\.weight"):
        importer.load(trained(2), saved(tmp_path, deeper), "Small", needed=needed)


@pytest.mark.parametrize("prefix", ["", "backbone."])
def test_a_deeper_network_is_told_by_position_too(tmp_path, prefix):
    """As trainers save nn.Sequential(*network.children())."""
    row = prefixed(prefix, nn.Sequential(*list(trained().children())[:-1]).state_dict())
    row[f"{prefix}3.2.weight"] = torch.zeros(6, 6, 3, 3)
    needed = dependence.weights(trained(), ["layer1"], torch.rand(2, 3, 16, 16))
    with pytest.raises(StudyError, match=r"also layer1\.2\.weight"):
        importer.load(trained(2), saved(tmp_path, row), "Small", needed=needed)


def test_half_precision_is_widened(tmp_path):
    half = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in STATE.items()}
    network = trained(2)
    importer.load(network, saved(tmp_path, half), "Small")
    assert network.fc.weight.dtype == torch.float32
    assert torch.equal(network.fc.weight, STATE["fc.weight"].half().float())


@pytest.mark.parametrize("case", ["file", "folder", "sharded", "bin", "sharded bin"])
def test_hugging_face_folders(tmp_path, case):
    folder = tmp_path / "checkpoint-500"
    folder.mkdir()
    names = list(STATE)
    halves = [{name: STATE[name] for name in part} for part in (names[:4], names[4:])]
    if case in ("file", "folder"):
        save_file(STATE, folder / "model.safetensors")
    elif case == "bin":
        torch.save(STATE, folder / "pytorch_model.bin")
    else:
        base, ending = ("model", "safetensors") if case == "sharded" else ("pytorch_model", "bin")
        places = {}
        for at, part in enumerate(halves, 1):
            file = f"{base}-{at:05d}-of-00002.{ending}"
            (save_file if ending == "safetensors" else torch.save)(part, folder / file)
            places |= dict.fromkeys(part, file)
        (folder / f"{base}.{ending}.index.json").write_text(json.dumps({"weight_map": places}))
    network = trained(2)
    importer.load(network, folder / "model.safetensors" if case == "file" else folder, "Small")
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, STATE[name]), name
    if case.startswith("sharded"):
        (folder / file).unlink()
        with pytest.raises(StudyError, match="which is not there"):
            importer.load(network, folder, "Small")


def test_an_index_does_not_lead_out_of_its_folder(tmp_path):
    (tmp_path / "model.safetensors.index.json").write_text('{"weight_map": {"a": "../secret.safetensors"}}')
    with pytest.raises(StudyError, match="not a file beside it"):
        importer.load(trained(), tmp_path, "Small")


class Outside(dict):
    """A type that no trainer's file may bring."""


@pytest.mark.parametrize(
    ("held", "found"),
    [
        (trained(), "code that loading would run"),
        ({"state_dict": STATE, "config": Outside()}, "code that loading would run"),
        ({"epoch": 3}, "no tensors by name"),
        ({"other.weight": torch.zeros(3)}, r"other weights \(other\.weight\)"),
        ({**STATE, "conv1.weight": torch.full((4, 3, 3, 3), torch.nan)}, "NaN"),
    ],
)
def test_refusals(tmp_path, held, found):
    with pytest.raises(StudyError, match=found) as caught:
        importer.load(trained(), saved(tmp_path, held), "Small")
    assert "torch.save(network.state_dict(), file)" in str(caught.value)


def test_torchscript_is_refused(tmp_path, recwarn):
    path = tmp_path / "scripted.pt"
    torch.jit.save(torch.jit.trace(trained().eval(), torch.rand(1, 3, 16, 16)), path)
    recwarn.clear()
    with pytest.raises(StudyError, match="TorchScript"):
        importer.load(trained(), path, "Small")


# What the trainers themselves write.


class Lightning(pytorch_lightning.LightningModule):
    def __init__(self, options=None):  # noqa: ARG002 (what Lightning saves)
        super().__init__()
        self.save_hyperparameters()
        self.model = trained()

    def training_step(self, batch, _):
        return self.model(batch[0]).square().mean()

    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("options", [None, NAMESPACE])
def test_a_checkpoint_of_lightning(tmp_path, options):
    module = Lightning(options)
    keep = pytorch_lightning.callbacks.ModelCheckpoint(tmp_path, save_last=True)
    trainer = pytorch_lightning.Trainer(
        max_steps=1,
        callbacks=[keep],
        logger=False,
        enable_progress_bar=False,
        accelerator="cpu",
        barebones=False,
        enable_model_summary=False,
    )
    images = torch.utils.data.TensorDataset(torch.rand(4, 3, 16, 16))
    trainer.fit(module, torch.utils.data.DataLoader(images, 2))
    network = trained(2)
    importer.load(network, tmp_path / "last.ckpt", "Small")
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, module.model.state_dict()[name]), name


def test_a_checkpoint_of_timm(tmp_path):
    network = trained()
    optimizer = torch.optim.SGD(network.parameters(), 0.1)
    arguments = argparse.Namespace(model="small")
    average = timm.utils.ModelEmaV2(trained(4))
    saver = timm.utils.CheckpointSaver(
        network,
        optimizer,
        args=arguments,
        model_ema=average,
        checkpoint_dir=str(tmp_path),
        recovery_dir=str(tmp_path),
    )
    saver.save_checkpoint(1, metric=0.5)
    found = trained(2)
    with pytest.raises(StudyError, match="state_dict_ema"):
        importer.load(found, tmp_path / "checkpoint-1.pth.tar", "Small")
    importer.load(found, tmp_path / "checkpoint-1.pth.tar", "Small", key="state_dict_ema")
    assert torch.equal(found.fc.weight, average.module.fc.weight)


def test_wrapped_networks(tmp_path):
    held = {"net": nn.DataParallel(torch.compile(trained())).state_dict()}
    network = trained(2)
    taken = importer.load(network, saved(tmp_path, held), "Small")
    assert (taken.key, taken.prefix) == ("net", "module.")
    assert torch.equal(network.fc.weight, STATE["fc.weight"])


def test_activations_are_those_of_loading_by_hand(tmp_path):
    """A library's network, by its name, from a backbone without its head."""
    made = timm.create_model("resnet10t", pretrained=False)
    path = saved(
        tmp_path,
        {
            "state_dict": {
                f"module.{name}": one for name, one in made.state_dict().items() if "fc." not in name
            }
        },
    )
    given = {"size": 32, "ascent": {"steps": 2}, "repeats": 1, "precision": "float32"}
    by_name = protoviz.synthesize("timm:resnet10t", "layer1:0-1", state=path, **given)
    described = zoo.described(made)
    by_hand = protoviz.synthesize(made, "layer1:0-1", mean=described.mean, std=described.std, **given)
    np.testing.assert_array_equal(by_name.activation, by_hand.activation)
    np.testing.assert_array_equal(by_name.image, by_hand.image)
    assert "prefix module." in by_name.attrs["weights"]


# Which weights a layer depends on.


def test_a_layer_depends_on_what_comes_before_it():
    needed = dependence.weights(trained(), ["bn1"], torch.rand(2, 3, 16, 16))
    assert needed == {
        "conv1.weight",
        "bn1.weight",
        "bn1.bias",
        "bn1.running_mean",
        "bn1.running_var",
        "bn1.num_batches_tracked",
    }


def test_the_non_linearity_behind_a_layer_counts():
    assert "layer1.1.weight" in dependence.weights(trained(), ["layer1.0"], torch.rand(2, 3, 16, 16))


def test_a_weight_of_the_network_itself_counts():
    network = timm.create_model("vit_tiny_patch16_224", pretrained=False, img_size=32, depth=2)
    needed = dependence.weights(network, ["blocks.0"], torch.rand(2, 3, 32, 32))
    assert {"pos_embed", "cls_token", "patch_embed.proj.weight", "blocks.0.mlp.fc2.weight"} <= needed
    assert not any(name.startswith(("blocks.1", "norm", "head")) for name in needed)


# Networks of the user's own code.

CODE = """
from beside import width
from torch import nn

def small(channels=3):
    return nn.Sequential(nn.Conv2d(channels, width, 3), nn.ReLU(), nn.Conv2d(width, 2, 3))

def broken():
    raise KeyError("no such option")

def other():
    return 3
"""


@pytest.fixture
def code(tmp_path, monkeypatch):
    (tmp_path / "nets.py").write_text(CODE)
    (tmp_path / "beside.py").write_text("width = 5\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["nets.py:small", "nets:small", "{}/nets.py:small"])
def test_a_network_of_the_users_own(code, name):
    found = zoo.load(name.format(code))
    assert Network(found.module, 16).layer("0").channels == 5
    assert torch.equal(
        found.module[0].weight, zoo.load(name.format(code)).module[0].weight
    )  # the same each time


@pytest.mark.parametrize(
    ("name", "arguments", "found"),
    [
        ("nets.py:smal", {}, "it has small, broken, other|it has"),
        ("nets.py:broken", {}, "no such option"),
        ("nets.py:other", {}, "int"),
        ("nets.py:small", {"depth": 3}, "depth"),
        ("nowhere.py:small", {}, "a file nowhere.py"),
        ("nowhere:small", {}, "nowhere"),
        ("torchvision:resnet18", {"depth": 3}, "depth"),
    ],
)
@pytest.mark.usefixtures("code")
def test_code_that_fails(name, arguments, found):
    with pytest.raises(StudyError, match=found):
        zoo.load(name, arguments=arguments)


def test_arguments_reach_the_library():
    assert zoo.load("torchvision:resnet18", arguments={"num_classes": 7}).module.fc.out_features == 7
