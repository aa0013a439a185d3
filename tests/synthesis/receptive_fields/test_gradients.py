"""Receptive-field maps: closed forms of linear networks, literal oracles of both estimates."""

from collections import OrderedDict

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from torch import nn

from protoviz.config.synthesis import Objective
from protoviz.models import resnet
from protoviz.models.readout.network import Network
from protoviz.synthesis.receptive_fields import gradients
from protoviz.synthesis.receptive_fields.gradients import Estimator, layer_map, unit_maps
from tests.reference import receptive_field as oracle

STD = np.array(resnet.IMAGENET_STD)[:, None, None]


class Toy(nn.Module):
    """A convolution of a given kernel (C, 3, k, k), rectified, and one more with random weights."""

    def __init__(self, kernel, stride=1):
        super().__init__()
        channels, _, size, _ = kernel.shape
        self.linear = nn.Conv2d(3, channels, size, stride, size // 2, bias=False)
        self.linear.weight = nn.Parameter(torch.as_tensor(kernel, dtype=torch.float32))
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.deep = nn.Conv2d(channels, 5, 3, 2, 1)
        self.units = {"linear": channels, "deep": 5}

    def forward(self, images):
        return torch.relu(self.deep(torch.relu(self.linear(images))))

    def pre_activation(self, images, layer):  # what the oracle reads
        linear = self.linear(images)
        return linear if layer == "linear" else self.deep(torch.relu(linear))


def centre(activation="pre"):
    return Objective(position="centre", activation=activation)


def gradient_map(model, layer, size, noise, probes, generator, estimate="as-written", activation="pre"):
    how = Estimator(estimate, noise, probes)
    return layer_map(Network(model, size), layer, centre(activation), how, generator)


def toy(channels, size=3, seed=0, stride=1):
    kernel = np.random.default_rng(seed).standard_normal((channels, 3, size, size))
    return kernel, Toy(kernel, stride).eval().requires_grad_(False)


@pytest.mark.parametrize("image", [15, 16])
def test_map_of_one_linear_unit_is_its_squared_kernel(image):
    kernel, model = toy(1, size=5)
    found = gradient_map(model, "linear", image, noise=2, probes=1, generator=np.random.default_rng(1))
    expected = np.zeros((image, image))
    centre = (image - 1) // 2
    expected[centre - 2 : centre + 3, centre - 2 : centre + 3] = ((kernel[0] / STD) ** 2).sum(0)
    assert found.dtype == np.float32
    assert_allclose(found, expected, rtol=1e-5)


def test_map_of_linear_units_is_the_sum_of_their_squared_kernels_on_average():
    kernel, model = toy(6)
    probes = 1500
    found = gradient_map(model, "linear", 3, noise=1, probes=probes, generator=np.random.default_rng(1))
    weights = kernel / STD
    expected = (weights**2).sum((0, 1))
    # Each probe gives sum_rgb (sum_c s_c w_c)^2, whose variance over random signs is known exactly.
    gram = np.einsum("crij,drij->ijcd", weights, weights)
    cross = gram - np.einsum("ijcc->ijc", gram)[..., None] * np.eye(6)
    deviation = np.sqrt(2 * (cross**2).sum((2, 3)) / probes)
    assert (np.abs(found - expected) < 4 * deviation).all()
    assert (np.abs(found - expected) > 1e-3 * deviation).any()  # it is an estimate


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("layer", ["linear", "deep"])
def test_estimate_agrees_with_the_loop_over_channels_and_images(layer, stride):
    _, model = toy(4, stride=stride)
    size, noise, probes = 8, 5, 1000
    found = gradient_map(model, layer, size, noise, probes, np.random.default_rng(5))
    images = np.random.default_rng(5).random((noise, 3, size, size), dtype=np.float32)
    exact = oracle.gradient_map(model, layer, images)
    assert_array_equal(found > 0, exact > 0)
    # A probe's estimate is at most a chi-squared number of one degree: deviation sqrt(2) times the mean.
    assert_allclose(found, exact, rtol=4.5 * np.sqrt(2 / probes), atol=1e-9)
    assert found.sum() == pytest.approx(exact.sum(), rel=0.05)


def test_noise_lies_between_zero_and_one():
    """A unit that is silent for pixels within [0, 1] has no gradient; one that is not, has."""
    weight = torch.tensor(resnet.IMAGENET_STD)[
        None, :, None, None
    ]  # the sum of the pixels, less that of the means
    mean = sum(resnet.IMAGENET_MEAN)

    def above(threshold):
        linear = nn.Conv2d(3, 1, 1)
        linear.weight, linear.bias = nn.Parameter(weight), nn.Parameter(torch.tensor([mean - threshold]))
        model = nn.Sequential(OrderedDict(linear=linear, bend=nn.ReLU())).eval()
        generator = np.random.default_rng(0)
        return gradient_map(model, "linear", 8, 400, 1, generator, activation="post").max()

    assert above(3.0) == 0
    assert above(-0.1) == pytest.approx(3)  # always active: gradient 1 in each of RGB
    assert 0 < above(1.5) < 3
    # Active in half of the noise images: the mean gradient is 1/2.
    assert above(1.5) == pytest.approx(3 * 0.25, rel=0.2)


class Fold(nn.Module):
    """The distance of the pixels from one half, summed over the colours."""

    def forward(self, images):
        mean = torch.tensor(resnet.IMAGENET_MEAN)[:, None, None]
        std = torch.tensor(resnet.IMAGENET_STD)[:, None, None]
        return (images * std + mean - 0.5).abs().sum(1, keepdim=True)


def test_average_is_taken_before_the_square():
    """A unit whose gradient changes sign from image to image has none on average."""
    model = nn.Sequential(OrderedDict(fold=Fold(), last=nn.Conv2d(1, 1, 1))).eval()
    found = gradient_map(model, "fold", 8, 2000, 1, np.random.default_rng(0)).max()
    assert 0 < found < 3 * 16 / 2000  # the square of a mean of 2000 signs, for three colours


def test_same_generator_same_map():
    _, model = toy(4)
    maps = [gradient_map(model, "deep", 9, 3, 2, np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert_array_equal(maps[0], maps[1])
    assert not np.array_equal(maps[0], maps[2])


def test_number_of_noise_images_matters():
    _, model = toy(4)
    few, many = (gradient_map(model, "deep", 9, noise, 4, np.random.default_rng(1)) for noise in (1, 64))
    assert not np.allclose(few, many)


def test_network_is_unchanged():
    _, model = toy(2)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    gradient_map(model, "deep", 9, 2, 2, np.random.default_rng(0))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("activation", ["pre", "post"])
def test_paper_is_the_loop_over_images_of_the_mean_over_channels(stride, activation):
    _, model = toy(4, stride=stride)
    found = gradient_map(model, "deep", 8, 5, 1, np.random.default_rng(5), "paper", activation)
    images = np.random.default_rng(5).random((5, 3, 8, 8), dtype=np.float32) * 2 - 1
    exact = oracle.paper_map(model, "deep", images, activation)
    assert exact.max() > 0
    assert_allclose(found, exact, rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize("estimate", ["as-written", "paper"])
def test_maps_of_units_are_the_loops_over_channels(estimate):
    _, model = toy(4)
    how = Estimator(estimate, 6)
    found = unit_maps(Network(model, 8), "deep", centre(), how, np.random.default_rng(2))
    images = np.random.default_rng(2).random((6, 3, 8, 8), dtype=np.float32)
    if estimate == "paper":
        images = images * 2 - 1
    for channel in range(5):
        exact = oracle.unit_map(model, "deep", channel, images, estimate)
        assert_allclose(found[channel], exact, rtol=1e-4, atol=1e-9)


def test_the_layer_as_written_is_the_sum_of_its_units():
    _, model = toy(4)
    deep = Network(model, 8), "deep", centre()
    units = unit_maps(*deep, Estimator("as-written", 6), np.random.default_rng(2))
    layer = layer_map(*deep, Estimator("as-written", 6, 4000), np.random.default_rng(2))
    assert_allclose(layer.sum(), units.sum(), rtol=0.05)


def test_noise_in_batches_gives_the_same_maps(monkeypatch):
    _, model = toy(4)
    how = {name: Estimator(name, 7, 3) for name in ("as-written", "paper")}

    def maps():
        deep = Network(model, 8), "deep", centre()
        made = [layer_map(*deep, how[name], np.random.default_rng(0)) for name in how]
        return [*made, unit_maps(*deep, how["paper"], np.random.default_rng(0))]

    together = maps()
    monkeypatch.setattr(gradients, "NOISE_AT_ONCE", 3)
    for apart, whole in zip(maps(), together, strict=True):
        assert_allclose(apart, whole, rtol=1e-5, atol=1e-9)


def plain(module, layer, position):
    """The responses (B, C) of a layer of a network, by a hook on its module."""

    def respond(images):
        kept = []
        handle = module.get_submodule(layer).register_forward_hook(lambda *call: kept.append(call[2]))
        module(images)
        handle.remove()
        values = kept[0]
        if values.ndim == 3:
            return values[:, position[0]]
        return values.mean((2, 3)) if position is None else values[:, :, position[0], position[1]]

    return respond


def literal(module, network, layer, objective, images):
    """The squared mean gradient of every unit, summed over units and colours, one after the other."""
    respond = plain(module, layer, network.position(layer, objective))
    pixels = torch.from_numpy(images).requires_grad_(True)
    responses = respond(network.normalise(pixels))
    total = 0
    for channel in range(network.layer(layer).channels):
        (gradient,) = torch.autograd.grad(responses[:, channel].sum(), pixels, retain_graph=True)
        total = total + (gradient.mean(0) ** 2).sum(0)
    return total.numpy()


class Untraceable(nn.Module):
    """A network whose way depends on its images."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(4, 6, 3, 1, 1)

    def forward(self, images):
        inner = self.first(images)
        return self.second(inner.tanh() if float(images.detach().sum()) > 1e9 else torch.relu(inner))


def foreign(name):
    import timm
    import torchvision

    torch.manual_seed(0)
    if name == "untraceable":
        return Untraceable()
    kind, _, model = name.partition(":")
    if kind == "torchvision":
        return torchvision.models.get_model(model, weights=None)
    narrow = {"img_size": 32, "depth": 2, "embed_dim": 24}
    return timm.create_model(model, **(narrow if "vit" in model else {}))


@pytest.mark.parametrize(
    ("name", "layer", "size"),
    [
        ("torchvision:resnet18", "layer2.1.conv1", 32),
        ("torchvision:mobilenet_v2", "features.3.conv.1.0", 32),
        ("torchvision:densenet121", "features.denseblock1.denselayer2.conv1", 32),
        ("timm:seresnext26t_32x4d", "layer1.0.conv2", 32),
        ("timm:efficientnet_lite0", "blocks.1.0.conv_pw", 32),
        ("timm:convnext_atto", "stages.0.blocks.1.conv_dw", 32),
        ("timm:vit_tiny_patch16_224", "blocks.1.mlp.fc1", 32),
        ("untraceable", "second", 16),
    ],
)
@pytest.mark.parametrize("position", ["centre", "mean"])
def test_fields_of_any_network_are_those_of_a_hook_on_its_module(name, layer, size, position):
    if position == "mean" and "vit" in name:
        position = (1,)
    module = foreign(name).eval()
    network, objective = Network(module, size), Objective(position=position, activation="pre")
    found = unit_maps(network, layer, objective, Estimator("as-written", 2), np.random.default_rng(1)).sum(0)
    images = np.random.default_rng(1).random((2, 3, size, size), dtype=np.float32)
    exact = literal(module, network, layer, objective, images)
    assert exact.max() > 0
    assert_allclose(found, exact, rtol=1e-3, atol=1e-5 * exact.max())
