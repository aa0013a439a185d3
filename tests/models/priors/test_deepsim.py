"""The generator of DeePSim: as published, and only from files that hold what it needs."""

import pickle
import re
from pathlib import Path

import pytest
import torch
from torch import nn

from protoviz import files
from protoviz.errors import StudyError
from protoviz.models.priors import deepsim
from tests.reference import deepsim as literal


@pytest.fixture
def state():
    """The published names and shapes, each tensor a single zero, so that files of it are small."""
    return {name: torch.zeros(1).expand(shape) for name, shape in literal.shapes().items()}


def written(folder, state):
    torch.save(state, folder / "w.pt")
    return folder / "w.pt"


def test_images_are_those_of_the_published_network(deepsim_file, random_deepsim):
    weights = torch.load(deepsim_file, weights_only=True)
    generator = torch.Generator().manual_seed(3)
    biased = {
        name: tensor + 0.1 * torch.randn(tensor.shape, generator=generator) if "bias" in name else tensor
        for name, tensor in weights.items()
    }
    latents = torch.randn(2, 4096, generator=generator)
    for tensors, prior in ((weights, random_deepsim), (biased, deepsim.DeepSim(biased))):
        expected = literal.render(tensors, latents)
        torch.testing.assert_close(prior.render(latents), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("channels", [(3, 5), (8, 2)])
def test_a_convolution_with_the_flipped_kernel_is_the_transposed_one(channels):
    """To the bit, where every sum is exact."""
    transposed = nn.ConvTranspose2d(*channels, 3, 1, 1)
    with torch.no_grad():
        transposed.weight.copy_(torch.randint(-8, 9, transposed.weight.shape))
        transposed.bias.copy_(torch.randint(-8, 9, transposed.bias.shape))
    x = torch.randint(-8, 9, (2, channels[0], 6, 7)).float()
    kernel = deepsim.flipped(transposed.weight)
    assert torch.equal(torch.conv2d(x, kernel, transposed.bias, padding=1), transposed(x))


def test_the_order_of_colours_and_their_mean(state):
    state["deconv0.bias"] = torch.tensor([-104.0, 38.0, 132.0])  # B, G, R
    image = deepsim.DeepSim(state).render(torch.randn(1, 4096))
    expected = torch.tensor([1.0, 155 / 255, 0.0])
    torch.testing.assert_close(image, expected[None, :, None, None].expand(1, 3, 256, 256))


def test_random_weights_have_the_published_form_and_repeat(deepsim_file):
    weights = torch.load(deepsim_file, weights_only=True)
    assert {name: tuple(tensor.shape) for name, tensor in weights.items()} == literal.shapes()
    for name, tensor in deepsim.build(0).state_dict().items():
        assert torch.equal(tensor, weights[name]), name
    assert not torch.equal(deepsim.build(1).defc6.weight, weights["defc6.weight"])


def test_the_digest_of_the_file_is_recorded(deepsim_file, random_deepsim):
    assert random_deepsim.sha256 == files.sha256(deepsim_file)


@pytest.mark.parametrize("renamed", ["G.{}", "{layer}.1.{kind}", "G.{layer}.1.{kind}"])
def test_layers_may_be_named_as_attributes_or_blocks(tmp_path, state, renamed):
    names = {name: renamed.format(name, layer=name.split(".")[0], kind=name.split(".")[1]) for name in state}
    prior = deepsim.load(written(tmp_path, {names[name]: tensor for name, tensor in state.items()}))
    assert prior.render(torch.zeros(1, 4096)).shape == (1, 3, 256, 256)


def test_weights_may_be_of_half_precision(tmp_path, state):
    half = {name: tensor.half() for name, tensor in state.items()}
    assert deepsim.load(written(tmp_path, half)).render(torch.zeros(1, 4096)).dtype == torch.float32


def spoilt(state, case):
    if case == "missing":
        del state["deconv2.bias"], state["deconv1.bias"]
    elif case == "unexpected":
        state["defc8.weight"] = torch.zeros(1)
    elif case == "shape":
        state["conv5_1.weight"] = torch.zeros(512, 256, 3, 3)
    elif case == "nan":
        state["defc6.bias"] = torch.full((4096,), torch.nan)
    elif case == "dtype":
        state["defc6.bias"] = torch.zeros(4096, dtype=torch.int64)
    elif case == "nested":
        return {"model": state}
    return state if case != "list" else list(state.values())


@pytest.mark.parametrize(
    ("case", "found"),
    [
        ("missing", "no deconv2.bias (2 missing of 24)"),
        ("unexpected", "also defc8.weight (1 too many)"),
        ("shape", "conv5_1.weight of shape (512, 256, 3, 3) (not (256, 512, 3, 3))"),
        ("nan", "defc6.bias with NaN or infinity"),
        ("dtype", "defc6.bias of int64 (not floating point)"),
        ("nested", "something else than tensors by name"),
        ("list", "something else than tensors by name"),
    ],
)
def test_other_weights_are_refused(tmp_path, state, case, found):
    path = written(tmp_path, spoilt(state, case))
    with pytest.raises(StudyError) as caught:
        deepsim.load(path)
    assert caught.value.where == str(path)
    assert caught.value.expected == "the weights of the DeePSim fc6 generator"
    assert found in caught.value.found


class Code:
    """Writes a file when it is unpickled."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return Path.write_text, (self.target, "run")


@pytest.mark.parametrize("write", ["torch", "pickle"])
def test_code_in_a_file_is_refused_and_not_run(tmp_path, state, write):
    path, target = tmp_path / "w.pt", tmp_path / "target"
    content = state | {"defc7.bias": Code(target)}
    if write == "torch":
        torch.save(content, path)
    else:
        path.write_bytes(pickle.dumps({"defc7.bias": Code(target)}, protocol=2))
    with pytest.raises(StudyError, match="found code that loading would run"):
        deepsim.load(path)
    assert not target.exists()


@pytest.mark.parametrize("content", [b"", b"hello world", b"<html>404</html>", b"\x80\x02}", b"PK\x03\x04"])
def test_files_of_another_kind_are_refused(tmp_path, content):
    (tmp_path / "w.pt").write_bytes(content)
    with pytest.raises(StudyError, match="found a damaged file or one of another kind") as caught:
        deepsim.load(tmp_path / "w.pt")
    assert "\n" not in str(caught.value)


def test_a_file_cut_short_is_refused(tmp_path, state):
    path = written(tmp_path, state)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(StudyError, match=re.escape(str(path))):
        deepsim.load(path)


def test_weights_are_read_from_an_address(tmp_path, state):
    path = written(tmp_path, state)
    prior = deepsim.load(path.as_uri(), sha256=files.sha256(path).upper())
    assert prior.sha256 == files.sha256(path)
    with pytest.raises(StudyError, match="expected SHA-256 00, found"):
        deepsim.load(path.as_uri(), sha256="00")


def test_weights_may_lie_on_another_device():
    with torch.device("meta"):
        weights = deepsim._layers(nn.ConvTranspose2d).state_dict()
        latents = torch.zeros(2, deepsim.LATENT)
    assert deepsim.DeepSim(weights).render(latents).shape == (2, 3, deepsim.SIZE, deepsim.SIZE)
