"""Layers of networks, positions in them, networks that hooks must read, and what is refused."""

import copy
import functools
import threading

import pytest
import torch
from torch import nn
from torch.nn import functional

from protoviz.config.synthesis import Objective
from protoviz.errors import StudyError
from protoviz.models import resnet
from protoviz.models.readout.network import Network
from tests.reference import networks
from tests.reference import readout as literal
from tests.reference.readout import AFTER

CPU = torch.device("cpu")
HOW = torch.float32, CPU


def at(position, activation="pre"):
    return Objective(position=position, activation=activation)


@functools.lru_cache(maxsize=1)
def made(name):
    plain = networks.build(name)
    return plain, Network(plain, networks.NETWORKS[name].size)


@pytest.fixture(scope="module")
def network():
    return Network(resnet.initial("resnet18", 4, 0), 96)


def test_layers_are_found_with_their_channels(network):
    found = {name: (layer.kind, layer.channels, layer.shape) for name, layer in network.layers.items()}
    assert {name: found[name] for name in ("conv1", "bn1", "layer1", "layer3.0.conv1", "layer4.1")} == {
        "conv1": ("map", 4, (48, 48)),
        "bn1": ("map", 4, (48, 48)),
        "layer1": ("map", 4, (24, 24)),
        "layer3.0.conv1": ("map", 16, (6, 6)),
        "layer4.1": ("map", 32, (3, 3)),
    }
    names = [name for name, _ in resnet.ResNet18(4).named_modules() if name in found]
    assert list(found) == names, "in the order of the modules"


def test_every_convolution_is_a_layer():
    """Q2: 85 convolutions of SE-ResNeXt50, 32 of them inside of its gates."""
    import timm

    network = Network(timm.create_model("seresnext50_32x4d", pretrained=False), 64)
    convolutions = [name for name, layer in network.layers.items() if layer.convolution]
    assert len(convolutions) == 85
    assert sum(".se." in name for name in convolutions) == 32


def test_modules_that_run_never_or_without_a_tensor_are_no_layers():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.twice, self.never = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)
            self.pair, self.once = nn.MaxPool2d(2, return_indices=True), nn.Conv2d(3, 2, 1)
            self.windows = nn.Flatten(0, 1)

        def forward(self, images):
            x, _ = self.pair(self.twice(self.twice(images)))
            return self.windows(self.once(x))

    for kind in (Odd, branching(Odd)):
        network = Network(kind(), 8)
        assert list(network.layers) == ["twice", "twice#2", "once"]
        for name, found in {
            "never": "a Conv2d that the network does not call when it is given images; name one",
            "pair": "a MaxPool2d that returns a tuple; name a module",
            "windows": r"a Flatten that returns \(4, 4, 4\), whose first axis is not the batch",
            "twice#3": "2 calls of it in one forward pass; name it twice or twice#2",
        }.items():
            with pytest.raises(StudyError, match=rf"layer '{name}': expected one of the 3 layers .*{found}"):
                network.layer(name)


def test_the_centre_is_the_paper_s(network):
    centres = [network.position(f"layer{k}", at("centre")) for k in (1, 2, 3, 4)]
    assert centres == [(11, 11), (5, 5), (2, 2), (1, 1)]


def test_the_image_centre_is_where_the_receptive_field_is_in_the_middle(network):
    """Position i of a layer with stride s sees s * i -+ r: 48 = 4 * 12 = 8 * 6 = 16 * 3, and 32 or 64."""
    found = [network.position(f"layer{k}", at("image_centre")) for k in (1, 2, 3, 4)]
    assert found[:3] == [(12, 12), (6, 6), (3, 3)]
    assert found[3] in ((1, 1), (2, 2))


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("squeezenet, pooling with ceil_mode", "features.3.expand3x3"),
        ("densenet", "features.denseblock2.denselayer2.conv1"),  # behind the mean of a transition
        ("vgg", "features.5"),
        ("torchvision resnet18", "layer1"),
    ],
)
def test_the_image_centre_is_that_of_the_pixels_with_a_gradient(name, layer):
    plain, network = made(name)
    images = torch.randn(32, 3, network.size, network.size, generator=torch.Generator().manual_seed(0))
    maps = literal.values(plain, images.requires_grad_(True), [networks.places(name, "pre")[layer]])[0]

    def distance(row, column):
        (gradient,) = torch.autograd.grad(maps[:, :, row, column].sum(), images, retain_graph=True)
        rows, columns = gradient.abs().sum((0, 1)).nonzero().T
        return abs(rows.min() + rows.max() + 1 - network.size) + abs(
            columns.min() + columns.max() + 1 - network.size
        )

    row, column = network.position(layer, at("image_centre"))
    found = distance(row, column)
    assert all(found <= distance(row + step, column + step) for step in (-1, 1))


def test_other_positions(network):
    assert network.position("layer1", at("mean")) is None
    assert network.position("layer2", at((0, 11))) == (0, 11)
    vector = Network(nn.Sequential(nn.Flatten(), nn.Linear(48, 5)), 4)
    assert vector.position("1", at("mean")) == vector.position("1", at("centre")) == ()


def test_tokens_are_read_at_the_centre_of_the_patches():
    _, network = made("vision transformer")
    layer = "encoder.layers.encoder_layer_1"
    assert network.layers[layer].shape == (1 + 4 * 4,)
    assert network.position(layer, at("centre")) == (1 + 1 * 4 + 1,)
    assert network.position(layer, at((16,))) == (16,)


def branching(kind):
    """A class of networks whose Python takes a way that depends on the images."""

    class Branching(kind):
        def forward(self, images):
            if images.abs().sum() == 0:
                return images
            return super().forward(images)

    return Branching


@pytest.mark.parametrize(
    "name",
    [
        *("resnet18 at 33", "torchvision resnet18", "vgg", "densenet", "mobilenet_v2"),
        *("vision transformer", "swin transformer"),
    ],
)
def test_networks_that_cannot_be_traced_are_read_alike(name):
    plain, traced = made(name)
    unlike = copy.copy(plain)
    unlike.__class__ = branching(type(plain))
    network = Network(unlike, networks.NETWORKS[name].size)
    assert not network.is_traced
    assert network.layers == traced.layers
    for activation in ("pre", "post"):
        literal.assert_same(network, plain, networks.places(name, activation), activation)


def test_hooks_follow_a_value_to_its_non_linearity_and_no_further():
    """As graphs do: through a normalisation, not past another reader, in whatever form it is called."""

    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            for name in ("clipped", "normal", "split", "pooled", "method", "function"):
                self.add_module(name, nn.Conv2d(3, 3, 1))
            self.norm, self.relu6, self.drop = (
                nn.BatchNorm2d(3),
                nn.ReLU6(inplace=True),
                nn.Dropout(inplace=True),
            )

        def forward(self, x):
            x = self.relu6(self.clipped(x)) - 0.5
            x = functional.relu(self.norm(self.drop(self.normal(x))), inplace=True) - 0.5
            x = self.split(x)
            x = x + torch.sigmoid(x)
            x = torch.tanh(functional.max_pool2d(self.pooled(x), 1))
            x = self.method(x).relu_() - 0.2
            x = self.function(x)
            functional.leaky_relu(x, 0.1, True)
            return x

    def value(name, function=None):
        def place(network, images):
            x = literal.values(network, images, [(name, AFTER)])[0]
            return function(network, x) if function else x

        return place

    plain = networks.drawn(branching(Odd))
    network = Network(plain, 8)
    assert not network.is_traced
    names = ("clipped", "normal", "split", "pooled", "method", "function", "norm")
    literal.assert_same(network, plain, {name: value(name) for name in names}, "pre")
    after = {
        "clipped": value("clipped", lambda _net, x: x.clamp(0, 6)),
        "normal": value("normal", lambda net, x: net.norm(x).relu()),
        "norm": value("norm", lambda _net, x: x.relu()),
        "split": value("split"),
        "pooled": value("pooled"),
        "method": value("method", lambda _net, x: x.relu()),
        "function": value("function", lambda _net, x: functional.leaky_relu(x, 0.1)),
    }
    literal.assert_same(network, plain, after, "post")


def test_another_way_than_that_of_the_example_is_read_as_far_as_it_goes():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 1)

        def forward(self, images):
            x = self.conv(images)
            return x.relu() if images.sum() > -1e3 else x.flatten(1)

    network = Network(Odd(), 4)
    columns, _ = network.columns(["conv"], at("centre", "post"), *HOW)
    with torch.no_grad():
        assert (columns(torch.randn(9, 3, 4, 4))["conv"] >= 0).all()
        assert (columns(torch.full((1, 3, 4, 4), -1e3))["conv"] < 0).any()


def test_gradients_through_hooks_are_those_of_the_network():
    plain = networks.drawn(lambda: branching(resnet.ResNet18)(4))
    readout = Network(plain, 32).readout("layer2", at("centre", "post"), *HOW)
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)).requires_grad_(True)
    (ours,) = torch.autograd.grad(readout(images, torch.tensor([1, 5])).sum(), images)
    maps = plain.pre_activation(images, "layer2").relu()
    (expected,) = torch.autograd.grad(maps[0, 1, 1, 1] + maps[1, 5, 1, 1], images)
    assert expected.any()
    torch.testing.assert_close(ours, expected)


def test_a_network_that_overwrites_its_images_leaves_ours_alone():
    class Shifting(nn.Module):
        def __init__(self):
            super().__init__()
            self.relu, self.conv = nn.ReLU(inplace=True), nn.Conv2d(3, 4, 3)

        def forward(self, images):
            return self.conv(self.relu(images.sub_(0.5)))

    images = torch.rand(2, 3, 3, 3)
    for kind in (Shifting, branching(Shifting)):
        plain, kept = networks.drawn(kind), images.clone()
        network = Network(plain, 3)
        assert network.is_traced == (kind is Shifting)
        found = network.readout("conv", at("centre"), *HOW)(images, torch.tensor([0, 1]))
        assert torch.equal(images, kept)
        expected = plain.conv(functional.relu(images - 0.5))
        torch.testing.assert_close(found, expected[range(2), [0, 1], 0, 0].detach())


@pytest.mark.parametrize("kind", [resnet.ResNet18, branching(resnet.ResNet18)])
def test_the_network_handed_in_stays_as_it_was(kind):
    plain = kind(4).train()
    plain.relu = nn.ReLU(inplace=True)
    plain.layer1.register_forward_hook(lambda *_: None)
    before = {name: tensor.clone() for name, tensor in plain.state_dict().items()}
    network = Network(plain, 32)
    for objective in (at("centre"), at("mean", "post")):
        for dtype in (torch.float32, torch.bfloat16):
            readout = network.readout("layer2", objective, dtype, CPU)
            (top, bottom), (left, right) = readout.window
            images = torch.randn(2, 3, 32, 32).to(dtype)
            kept = images.clone()
            readout(images[:, :, top:bottom, left:right], torch.tensor([0, 1]))
            network.columns(["layer1", "layer2"], objective, dtype, CPU)
            assert torch.equal(images, kept), "nor are the images"
    after = plain.state_dict()
    assert list(after) == list(before)
    for name, tensor in before.items():
        assert torch.equal(after[name], tensor), name
        assert after[name].dtype == tensor.dtype
    assert all(module.training for module in plain.modules())
    assert all(parameter.requires_grad for parameter in plain.parameters())
    assert plain.relu.inplace
    assert [len(module._forward_hooks) for module in plain.modules()].count(1) == 1


def test_normalisation_is_that_of_the_network():
    network = Network(nn.Conv2d(3, 1, 1), 4, mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 2))
    found = network.normalise(torch.full((1, 3, 1, 1), 0.6))
    torch.testing.assert_close(found[0, :, 0, 0], torch.tensor([1.0, 1.6, 0.15]))


def test_memory_is_estimated_from_the_graph(network):
    assert network.elements > 48 * 48 * 4 * 3, "the first convolution, its normalisation, its ReLU"
    assert Network(branching(resnet.ResNet18)(4), 32).elements == 0, "not known"


class TestRefusals:
    def test_an_unknown_layer(self, network):
        with pytest.raises(StudyError, match=r"layer 'layer11': .*did you mean layer1.1, layer1, "):
            network.readout("layer11", at("centre"), *HOW)
        with pytest.raises(StudyError, match=r"layer 'blocks.7': .*did you mean conv1, layer1, layer1.0\?"):
            network.columns(["layer1", "blocks.7"], at("centre"), *HOW)

    @pytest.mark.parametrize("channel", [4, -1, 1000])
    def test_a_channel_out_of_range(self, network, channel):
        network.require_channels("layer1", [0, 3])
        expected = rf"layer 'layer1', channel {channel}: expected a channel from 0 to 3, found {channel}"
        with pytest.raises(StudyError, match=expected):
            network.require_channels("layer1", [0, channel])

    @pytest.mark.parametrize("position", [(24, 0), (0, 24), (3,)])
    def test_a_position_out_of_the_map(self, network, position):
        with pytest.raises(StudyError, match="expected a row below 24 and a column below 24, found"):
            network.readout("layer1", at(position), *HOW)

    def test_a_position_in_a_vector(self):
        network = Network(nn.Sequential(nn.Flatten(), nn.Linear(48, 5)), 4)
        with pytest.raises(StudyError, match="expected none, as it has no map"):
            network.columns(["1"], at((0,)), *HOW)
        with pytest.raises(StudyError, match=r"image_centre: expected a map.*found vector of a Linear"):
            network.position("1", at("image_centre"))

    @pytest.mark.parametrize("number", [torch.nan, torch.inf])
    def test_a_weight_that_is_not_finite(self, number):
        plain = resnet.ResNet18(4)
        plain.layer3[1].bn2.running_var[5:7] = number
        with pytest.raises(StudyError, match=r"network: layer3\.1\.bn2\.running_var: .*found 2 of 16"):
            Network(plain, 96)

    @pytest.mark.parametrize(
        ("build", "size", "found"),
        [
            (lambda: nn.Sequential(nn.Conv2d(3, 4, 5), nn.Conv2d(4, 4, 5)), 8, "Kernel size"),
            (lambda: networks.vit(32), 48, "Wrong image height"),
            (lambda: nn.Sequential(nn.Flatten(), nn.Linear(48, 2)), 5, "cannot be multiplied"),
            (lambda: nn.Conv1d(3, 4, 3), 8, "Expected 2D"),
            (lambda: resnet.ResNet18(4), 0, "no pixels"),
            (lambda: resnet.ResNet18(4), -5, "no pixels"),
            (lambda: nn.Sequential(nn.Conv2d(3, 2, 1), nn.ZeroPad2d(-2)), 4, "nothing left of them at 1"),
        ],
    )
    def test_a_size_that_the_network_cannot_take(self, build, size, found):
        message = rf"network, images of {size} px: .*{found}.*; choose another size"
        with pytest.raises(StudyError, match=message):
            Network(build(), size)

    def test_a_network_that_no_copy_can_be_made_of(self):
        plain = nn.Sequential(nn.Conv2d(3, 4, 3))
        plain.lock = threading.Lock()
        with pytest.raises(
            StudyError, match=r"network Sequential: expected a module that copy.deepcopy can copy"
        ):
            Network(plain, 8)

    def test_responses_that_depend_on_the_other_images(self):
        plain = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, track_running_stats=False))
        with pytest.raises(
            StudyError, match="network: 1: expected batch normalisation with running statistics"
        ):
            Network(plain, 8)


def test_images_that_are_smaller_than_the_receptive_field_are_taken():
    """A map of one position is computable, mostly from padding: its unit is read like any other."""
    plain = networks.drawn(lambda: resnet.ResNet18(4))
    network = Network(plain, 3)
    assert network.layers["layer4"].shape == (1, 1)
    literal.assert_same(network, plain, {"layer4": networks.own_pre("layer4")}, "pre")
