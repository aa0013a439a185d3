"""Receptive-field maps: closed forms of linear networks, a literal oracle, and the store they end in."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from torch import nn

from protoviz import backbones, schema, stores
from protoviz.synthesis.receptive_field import gradient_map, receptive_fields
from tests.reference import receptive_field as oracle

STD = np.array(backbones.IMAGENET_STD)[:, None, None]


class Toy(nn.Module):
    """A convolution of a given kernel (C, 3, k, k), rectified, and one more with random weights."""

    def __init__(self, kernel, stride=1):
        super().__init__()
        channels, _, size, _ = kernel.shape
        self.first = nn.Conv2d(3, channels, size, stride, size // 2, bias=False)
        self.first.weight = nn.Parameter(torch.as_tensor(kernel, dtype=torch.float32))
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.second = nn.Conv2d(channels, 5, 3, 2, 1)
        self.units = {"linear": channels, "deep": 5}

    def pre_activation(self, images, layer):
        linear = self.first(images)
        return linear if layer == "linear" else self.second(torch.relu(linear))


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
    kernel = np.zeros((1, 3, 1, 1))
    kernel[0, :, 0, 0] = np.array(backbones.IMAGENET_STD)  # the sum of the pixels, less that of the means
    model = Toy(kernel).eval().requires_grad_(False)
    mean = sum(backbones.IMAGENET_MEAN)

    def above(threshold):
        model.pre_activation = lambda images, _: torch.relu(model.first(images) + mean - threshold)
        return gradient_map(model, "linear", 8, 400, 1, np.random.default_rng(0)).max()

    assert above(3.0) == 0
    assert above(0.0) == pytest.approx(3)  # always active: gradient 1 in each of RGB
    assert 0 < above(1.5) < 3
    # Active in half of the noise images: the mean gradient is 1/2.
    assert above(1.5) == pytest.approx(3 * 0.25, rel=0.2)


def test_average_is_taken_before_the_square():
    """A unit whose gradient changes sign from image to image has none on average."""
    _, model = toy(1, size=1)
    mean = torch.tensor(backbones.IMAGENET_MEAN)[:, None, None]
    std = torch.tensor(backbones.IMAGENET_STD)[:, None, None]
    model.pre_activation = lambda images, _: ((images * std + mean - 0.5).abs()).sum(1, keepdim=True)
    found = gradient_map(model, "linear", 8, 2000, 1, np.random.default_rng(0)).max()
    assert found < 3 * 16 / 2000  # the square of a mean of 2000 signs, for three colours


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


@pytest.fixture(scope="module")
def fields():
    networks = [
        (0, backbones.initial("resnet18", 4, seed=1)),
        (8, backbones.initial("resnet18", 4, seed=2)),
    ]
    networks.append((9, networks[0][1]))
    models = [(epoch, model.eval().requires_grad_(False)) for epoch, model in networks]
    return receptive_fields(iter(models), "clrjit", 3, size=48, noise=8, probes=4)


class TestReceptiveFields:
    def test_every_layer_and_epoch_has_a_mask(self, fields):
        assert fields.mask.dims == schema.RECEPTIVE_FIELDS["mask"].dims
        assert fields.mask.shape == (1, 1, 3, 4, 48, 48)
        assert fields.layer.to_numpy().tolist() == ["layer1", "layer2", "layer3", "layer4"]
        assert fields.epoch.to_numpy().tolist() == [0, 8, 9]
        assert (fields.mask.max(["y", "x"]) == 1).all()
        assert (fields.mask.min() >= 0).all()
        assert set(fields.fit_status.to_numpy().ravel()) <= {
            schema.FitStatus.FITTED,
            schema.FitStatus.MOMENTS,
        }

    def test_store_follows_the_schema(self, fields, tmp_path):
        stores.write_dataset(tmp_path / "a.zarr", fields, schema.RECEPTIVE_FIELDS)
        read = stores.open_dataset(tmp_path / "a.zarr")
        assert_array_equal(read.mask, fields.mask)
        at = read.sel(condition="clrjit", run=3, epoch=8, layer="layer3")
        assert at.gaussian.sel(parameter="sigma_x") > 0
        assert at.mask.shape == (48, 48)

    def test_field_lies_within_what_the_layer_can_see(self, fields):
        """layer1 at 48 px reads 43 px around (20, 20): the last rows and columns are out of sight."""
        gradient = fields.gradient.sel(epoch=0, layer="layer1").squeeze()
        assert gradient.shape == (48, 48)
        assert (gradient[43:] == 0).all()
        assert (gradient[:, 43:] == 0).all()
        assert gradient[20, 20] > 0

    def test_fields_widen_with_depth(self, fields):
        area = fields.mask.sum(["y", "x"]).sel(epoch=0).squeeze().to_numpy()
        assert area[0] < area[1] < area[2]

    def test_same_network_at_another_epoch_has_the_same_mask(self, fields):
        assert_array_equal(fields.gradient.sel(epoch=0), fields.gradient.sel(epoch=9))
        assert not np.array_equal(fields.gradient.sel(epoch=0), fields.gradient.sel(epoch=8))

    def test_dead_layers_are_recorded(self):
        model = backbones.initial("resnet18", 4, seed=1)
        model.layer2.apply(lambda m: isinstance(m, nn.BatchNorm2d) and nn.init.zeros_(m.weight))
        fields = self.of(model)
        assert fields.fit_status[1:].to_numpy().tolist() == [schema.FitStatus.FLAT] * 3
        assert (fields.mask[1:] == 1).all()

    def test_diverged_weights_are_recorded(self):
        model = backbones.initial("resnet18", 4, seed=1)
        nn.init.constant_(model.layer4[1].conv2.weight, torch.nan)
        fields = self.of(model)
        assert fields.fit_status[3] == schema.FitStatus.NOT_FINITE
        assert fields.fit_status[2] == schema.FitStatus.FITTED
        assert (fields.mask[3] == 1).all()

    def of(self, model):
        models = [(0, model.eval().requires_grad_(False))]
        return receptive_fields(models, "clrjit", 1, size=32, noise=2, probes=1).squeeze()
