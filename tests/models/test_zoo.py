"""Networks by name: what is known of their images, and names that are misspelt."""

from pathlib import Path

import pytest
import torch
from torch import nn

from protoviz.errors import StudyError
from protoviz.models import checkpoints, resnet, zoo
from protoviz.models.readout.network import Network


def test_a_network_of_torchvision():
    model = zoo.load("torchvision:squeezenet1_1")
    assert type(model.module).__name__ == "SqueezeNet"
    assert (model.size, model.mean, model.std) == (224, None, None)


def test_a_network_of_timm_says_what_its_images_are():
    model = zoo.load("timm:vit_tiny_patch16_224")
    assert (model.size, tuple(model.mean), tuple(model.std)) == (224, (0.5,) * 3, (0.5,) * 3)
    assert zoo.load("timm:resnet18.a1_in1k").mean == resnet.IMAGENET_MEAN


def test_a_checkpoint_of_a_study(tmp_path):
    network = resnet.initial("resnet18", 4, 0)
    identity = checkpoints.Checkpoint("clrjit", 1, 0, "resnet18", 4, "none")
    checkpoints.save(tmp_path / "epoch-0", network, identity)
    loaded = zoo.load(str(tmp_path / "epoch-0")).module
    images = torch.randn(1, 3, 32, 32)
    torch.testing.assert_close(loaded(images), network.eval()(images))


class Described(nn.Module):
    def __init__(self, **says):
        super().__init__()
        for name, value in says.items():
            setattr(self, name, value)


@pytest.mark.parametrize(
    ("says", "size", "mean"),
    [
        ({}, zoo.DEFAULT_SIZE, None),
        ({"image_size": 32}, 32, None),
        ({"image_size": (48, 48)}, 48, None),
        ({"pretrained_cfg": {"input_size": (3, 299, 299), "mean": (0.5, 0.4, 0.3)}}, 299, (0.5, 0.4, 0.3)),
        ({"default_cfg": {"input_size": (3, 64, 64)}, "pretrained_cfg": None}, 64, None),
        ({"pretrained_cfg": {}, "image_size": 16}, 16, None),
    ],
)
def test_what_a_module_says_of_its_images(says, size, mean):
    model = zoo.described(Described(**says))
    assert (model.size, model.mean) == (size, mean)


def test_what_is_loaded_can_be_read():
    model = zoo.load("torchvision:mobilenet_v2")
    assert len(Network(model.module, 32).layers) > 100


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("torchvision:resnet81", "model 'resnet81' of torchvision: .*did you mean resnet18 or "),
        ("timm:seresnext50_32x4", "model 'seresnext50_32x4' of timm: .*did you mean seresnext50_32x4d or "),
        ("timm:resnet18.a1_in1K", r"model 'resnet18.a1_in1K' of timm: .*did you mean resnet18.a1_in1k or "),
        ("timm:resnet18.", r"model 'resnet18.' of timm: .*no such name; did you mean"),
        (
            "torchvison:resnet18",
            "library of models 'torchvison': expected one of imagenet, protoviz, timm, .*'torchvision'",
        ),
        ("imagnet:efficientnet_lite0", "library of models 'imagnet': .*did you mean 'imagenet'"),
        (
            "imagenet:efficientnet_lite1",
            "network that comes with weights .*'efficientnet_lite1': .*did you mean 'efficientnet_lite0'",
        ),
        ("torchvision:zzzz", "no such name; look it up in its documentation"),
        (
            "torchvision:fasterrcnn_resnet50_fpn",
            "model 'fasterrcnn_resnet50_fpn' of torchvision: .*no such name",
        ),
        (
            "resnet18",
            "model 'resnet18': .*no such file; did you mean 'torchvision:resnet18' or 'timm:resnet18'",
        ),
        (
            "data/epoch-0",
            "expected torchvision:NAME, timm:NAME, imagenet:NAME, file.py:CALLABLE or a checkpoint's path",
        ),
        ("", "model '': .*; correct it"),
    ],
)
def test_names_that_are_misspelt(name, message):
    with pytest.raises(StudyError, match=message):
        zoo.load(name)


def test_a_file_that_is_no_checkpoint(tmp_path):
    (tmp_path / "file").write_bytes(b"something else")
    with pytest.raises(StudyError, match="expected a checkpoint"):
        zoo.load(str(tmp_path / "file"))


def test_code_of_the_user_s_may_be_called_nearly_as_a_library(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("imagenet").mkdir()
    for path in ("imagenet.py", "imagenet/main.py", "imagenet_models.py"):
        Path(path).write_text("from torch import nn\n\ndef small():\n    return nn.Conv2d(3, 4, 3)\n")
    for name in ("imagenet.py:small", "imagenet/main.py:small", "imagenet_models:small"):
        assert isinstance(zoo.load(name).module, nn.Conv2d)
