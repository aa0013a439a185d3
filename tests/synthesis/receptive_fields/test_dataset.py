"""The store of receptive fields: fits of real networks, boxes, the fixed mask, fields of single units."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from torch import nn

from protoviz.config.synthesis import Objective
from protoviz.models import resnet as backbones
from protoviz.models.readout.network import Network
from protoviz.store import schema, zarr_io
from protoviz.store.gaussian2d import Parameters, mask
from protoviz.synthesis.receptive_fields.dataset import Method, _rounded, receptive_fields
from protoviz.synthesis.receptive_fields.expected import expected_map
from protoviz.synthesis.receptive_fields.gradients import Estimator

LAYERS = ("layer1", "layer2", "layer3", "layer4")
CENTRE = Objective(position="centre", activation="pre")


def network(module, size):
    return Network(module, size, finite=False)


def method(noise, probes=1, **changed):
    options = {"position": "centre", "activation": "pre"} | changed.pop("objective", {})
    estimate = changed.pop("estimate", "as-written")
    return Method(Estimator(estimate, noise, probes), Objective(**options), **changed)


@pytest.fixture(scope="module")
def fields():
    networks = [
        (0, backbones.initial("resnet18", 4, seed=1)),
        (8, backbones.initial("resnet18", 4, seed=2)),
    ]
    networks.append((9, networks[0][1]))
    made = ((epoch, network(model.eval(), 48)) for epoch, model in networks)
    return receptive_fields(made, "clrjit", 3, layers=LAYERS, method=method(8, 4))


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
        zarr_io.write_dataset(tmp_path / "a.zarr", fields, schema.RECEPTIVE_FIELDS)
        read = zarr_io.open_dataset(tmp_path / "a.zarr")
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
        made = [(0, network(model.eval(), 32))]
        return receptive_fields(made, "clrjit", 1, layers=LAYERS, method=method(2)).squeeze()


def resnet(seed, width=4):
    return backbones.initial("resnet18", width, seed=seed).eval().requires_grad_(False)


def of(seed=1, size=40, noise=4, width=4, run=1, **changed):
    how = method(noise, **changed)
    made = [(0, network(resnet(seed, width), size))]
    return receptive_fields(made, "clrjit", run, layers=LAYERS, method=how)


@pytest.fixture(scope="module")
def untrained():
    return [of(seed=seed, size=68, noise=8, probes=4) for seed in range(4)]


class TestFixedMask:
    def test_it_is_the_same_for_every_network_of_an_architecture(self):
        first, second = of(seed=1, run=1), of(seed=2, run=2, noise=6, estimate="paper")
        assert first.fixed_mask.dims == ("layer", "y", "x")
        assert first.fixed_mask.values.tobytes() == second.fixed_mask.values.tobytes()
        assert not np.array_equal(first.mask, second.mask)

    def test_it_knows_neither_the_width_nor_the_weights(self):
        assert_allclose(of(width=4).fixed_mask, of(width=8).fixed_mask, atol=1e-3)

    def test_it_is_a_mask(self):
        found = of().fixed_mask
        assert (found.max(["y", "x"]) == 1).all()
        assert (found.min() >= 0).all()
        area = found.sum(["y", "x"]).to_numpy()
        assert (np.diff(area) > 0).all()

    @pytest.mark.parametrize("layer", ["layer1", "layer2", "layer3", "layer4"])
    def test_it_is_about_as_wide_as_untrained_networks_see(self, layer, untrained):
        """The closed form against the estimate that it is the mean of."""
        fits = [fit.sel(layer=layer) for fit in untrained]
        sigma = [fit.gaussian.sel(parameter=["sigma_x", "sigma_y"]).to_numpy() for fit in fits]
        measured = np.exp(np.mean(np.log(sigma)))
        area = float(fits[0].fixed_mask.sum())
        expected = np.sqrt(area / (2 * np.pi))  # of a round Gaussian that lies within the image
        if layer in ("layer1", "layer2"):
            assert 0.75 < measured / expected < 1.33
        else:
            assert 0.6 < measured / expected < 2

    def test_paths_are_counted(self):
        """Two 3x3 convolutions after each other: the number of ways through both kernels."""

        class Two(nn.Module):
            def __init__(self):
                super().__init__()
                self.a, self.b = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 2, 3, padding=1)
                self.norm, self.pool = nn.BatchNorm2d(4), nn.MaxPool2d(3, 1, 1)

            def forward(self, images):
                return self.b(torch.relu(self.norm(self.a(images))))

        found = expected_map(Network(Two().eval(), 9), "b", CENTRE)
        ways = np.outer([1, 2, 3, 2, 1], [1, 2, 3, 2, 1]) / 81
        wanted = np.zeros((9, 9))
        wanted[2:7, 2:7] = ways
        assert_allclose(found, wanted, atol=1e-12)

    def test_a_maximum_spreads_like_a_mean(self):
        class Pooled(nn.Module):
            def __init__(self):
                super().__init__()
                self.pool, self.a = nn.MaxPool2d(2), nn.Conv2d(3, 1, 1)

            def forward(self, images):
                return self.a(self.pool(images))

        objective = Objective(position=(1, 0), activation="pre")
        found = expected_map(Network(Pooled().eval(), 4), "a", objective)
        wanted = np.zeros((4, 4))
        wanted[2:4, 0:2] = 1 / 4
        assert_allclose(found, wanted, atol=1e-12)

    def test_the_network_is_left_alone(self):
        read, images = network(resnet(3), 32), torch.rand(2, 3, 32, 32)
        respond = read.uncut("layer2", CENTRE, torch.float32, torch.device("cpu"))
        before = respond(images)
        expected_map(read, "layer2", CENTRE)
        assert torch.equal(respond(images), before)

    @pytest.mark.parametrize(
        ("name", "layer"),
        [
            ("efficientnet_lite0", "blocks.2.0.conv_pw"),
            ("seresnext26t_32x4d", "layer2.0.conv2"),
            ("convnext_atto", "stages.1.blocks.1.conv_dw"),
            ("vit_tiny_patch16_224", "blocks.1.mlp.fc1"),
        ],
    )
    def test_any_network_has_one_that_knows_no_weights(self, name, layer):
        import timm

        options = {"img_size": 64, "depth": 2} if "vit" in name else {}
        maps = []
        for seed in range(2):
            torch.manual_seed(seed)
            read = Network(timm.create_model(name, **options).eval(), 64)
            maps.append(expected_map(read, layer, CENTRE))
        assert maps[0].sum() == pytest.approx(1)
        assert (maps[0] >= 0).all()
        assert_array_equal(maps[0], maps[1])

    def test_without_a_way_to_the_image_it_is_one_everywhere(self):
        class Apart(nn.Module):
            def __init__(self):
                super().__init__()
                self.a, self.b = nn.Conv2d(3, 2, 1), nn.Conv2d(3, 2, 1)

            def forward(self, images):
                return self.a(images) + self.b(torch.ones_like(images).detach())

        made = [(0, network(Apart().eval(), 6))]
        fields = receptive_fields(made, "any", 1, layers=["b"], method=method(2))
        assert (fields.fixed_mask == 1).all()


class TestBox:
    def test_it_is_the_theoretical_field_around_the_unit(self):
        """43, 99, 211 and 435 px (He et al. 2016), around the pixel on which the unit is centred."""
        box = of(size=96).box
        extent = box.sel(side="bottom") - box.sel(side="top")
        assert extent.values.tolist() == [43, 99, 211, 435]
        assert ((box.sel(side="top") + box.sel(side="bottom") - 1) / 2).values.tolist() == [44, 40, 32, 32]
        assert_array_equal(box.sel(side="left"), box.sel(side="top"))

    def test_the_gradient_is_zero_outside(self):
        fields = of(size=96, noise=2).squeeze()
        top, bottom, left, right = fields.box.sel(layer="layer1").values
        gradient = fields.gradient.sel(layer="layer1").values
        inside = np.zeros_like(gradient, dtype=bool)
        inside[top:bottom, left:right] = True
        assert (gradient[~inside] == 0).all()
        edges = gradient[top, left:right].max(), gradient[bottom - 1, left:right].max()
        assert min(edges) > 0

    def test_what_reads_the_mean_sees_everything(self):
        found = of(objective={"position": "mean"}).box
        assert found.values.tolist() == [[0, 40, 0, 40]] * 4


def test_the_position_is_that_of_the_objective():
    assert of(size=64).fixed_mask.sel(layer="layer1").argmax(["y", "x"])["y"] == 28
    centred = of(size=64, objective={"position": "image_centre"})
    corner = of(size=64, objective={"position": (0, 0)})
    assert centred.fixed_mask.sel(layer="layer1").argmax(["y", "x"])["y"] > 29
    assert corner.fixed_mask.sel(layer="layer1").argmax(["y", "x"])["x"] <= 4


class TestUnits:
    def test_without_them_nothing_is_said(self):
        fields = of()
        assert fields.sizes["unit"] == 4 + 8 + 16 + 32
        assert (fields.unit_fit_status == schema.FitStatus.MISSING).all()
        assert fields.unit_gaussian.isnull().all()

    def test_each_unit_has_its_own(self, tmp_path):
        fields = of(per_unit=True, size=32, noise=2)
        zarr_io.write_dataset(tmp_path / "a.zarr", fields, schema.RECEPTIVE_FIELDS)
        states = fields.unit_fit_status.squeeze()
        assert (states != schema.FitStatus.MISSING).all()
        assert len(np.unique(fields.unit_gaussian.sel(parameter="sigma_x").values)) > 30
        fitted = states.values == schema.FitStatus.FITTED
        assert fitted.sum() > 30
        assert np.isfinite(fields.unit_r_squared.squeeze().values[fitted]).all()

    def test_a_dead_unit_is_flat_and_the_others_are_not(self):
        module = resnet(1)
        module.layer1[1].bn2.weight[2] = 0
        module.layer1[1].conv1.weight[:] = 0
        module.layer1[0].bn2.weight[2] = 0
        module.layer1[0].conv1.weight[:] = 0
        module.conv1.weight[2] = 0
        made = [(0, network(module, 32))]
        found = receptive_fields(made, "clrjit", 1, layers=LAYERS, method=method(2, per_unit=True))
        states = found.unit_fit_status.squeeze().values[:4].tolist()
        assert states[2] == schema.FitStatus.FLAT
        assert states[0] == schema.FitStatus.FITTED


class TestOffset:
    def test_kept_it_stays_in_the_mask(self):
        removed, kept = of(), of(keep_offset=True)
        assert_array_equal(removed.gaussian, kept.gaussian)
        assert (removed.attrs["offset"], kept.attrs["offset"]) == ("removed", "kept")
        assert (kept.mask >= removed.mask - 1e-6).all()
        assert kept.mask.min() >= 0
        assert (kept.mask.max(["y", "x"]) == 1).all()

    def test_by_its_formula(self):
        numbers = Parameters(2.0, 3.0, 2.0, 1.0, 2.0, 0.0, 0.5)
        found = mask(numbers, (5, 7), keep_offset=True)
        y, x = np.indices((5, 7))
        bell = np.exp(-(((x - 3) / 1) ** 2 + ((y - 2) / 2) ** 2) / 2)
        assert_allclose(found, (0.5 + 2 * bell) / 2.5, rtol=1e-6)
        assert_allclose(mask(numbers, (5, 7)), bell, rtol=1e-6)


def test_stored_maps_are_as_near_as_their_steps_and_keep_zero_nothing_and_the_greatest():
    exact = np.random.default_rng(0).random((3, 2, 9, 9), dtype=np.float32) ** 8 * 7
    exact[0, 0] = 0
    exact[1, 1] = np.nan
    stored = _rounded(exact, 1023)
    greatest = exact.max((-2, -1), keepdims=True)
    assert stored.dtype == np.float32
    np.testing.assert_array_equal(stored.max((-2, -1), keepdims=True), greatest)
    assert (np.abs(stored - exact) <= greatest * (0.5 / 1023 + 1e-6))[~np.isnan(exact)].all()
    np.testing.assert_array_equal(np.isnan(stored), np.isnan(exact))
