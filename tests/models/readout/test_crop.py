"""Cut down to one position, every kind of network still gives what the whole of it does, to 1e-4."""

import functools

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from protoviz.config.synthesis import Objective
from protoviz.models import resnet
from protoviz.models.readout.network import Network
from tests.reference import networks
from tests.reference import readout as literal
from tests.reference.readout import AFTER, BEFORE

CPU = torch.device("cpu")
CENTRE = Objective(position="centre", activation="pre")


CASES = [
    pytest.param(name, marks=[pytest.mark.slow] if name in ("vgg11", "densenet121") else [])
    for name in networks.NETWORKS
]


@functools.lru_cache(maxsize=1)
def made(name):
    """A network, and prepared for read-out; one at a time is kept."""
    plain = networks.build(name)
    return plain, Network(plain, networks.NETWORKS[name].size)


@pytest.mark.parametrize("name", CASES)
def test_layers_read_as_in_the_whole_network(name):
    plain, network = made(name)
    assert network.is_traced
    for activation in ("pre", "post"):
        literal.assert_same(network, plain, networks.places(name, activation), activation)


class Computing(nn.Module):
    """A network that computes a function of its modules, parameters and images."""

    def __init__(self, function, **parts):
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, images):
        return self.function(self, images)


def through(operation, channels=8):
    """An operation between two convolutions."""
    return Computing(
        lambda net, images: net.last(net.operation(net.first(images))),
        first=nn.Conv2d(3, 8, 3, padding=1),
        operation=operation,
        last=nn.Conv2d(channels, 6, 3, padding=1),
    )


def calling(function, channels=8, **parts):
    """A function of the network and a map, between two convolutions."""
    return Computing(
        lambda net, images: net.last(function(net, net.first(images))),
        first=nn.Conv2d(3, 8, 3, padding=1),
        last=nn.Conv2d(channels, 6, 3, padding=1),
        **parts,
    )


def parameter(*shape):
    return nn.Parameter(torch.randn(shape))


def hooked(module):
    module.register_forward_hook(lambda _module, _given, output: 2 * output)
    return module


class Normalising(nn.BatchNorm2d):
    """A class of its own, as in timm, whose normalisation and ReLU stand in the graph as functions."""

    def forward(self, x):
        how = {"weight": self.weight, "bias": self.bias, "training": self.training, "eps": 0.1}
        return functional.relu(functional.batch_norm(x, self.running_mean, self.running_var, **how))


def gates(net, x):
    return x * torch.sigmoid(net.gate(functional.adaptive_avg_pool2d(x, 1)))


def twice(net, x):
    return net.shared(net.same(net.shared(x)))


def conv(*args, **how):
    return through(nn.Conv2d(8, *args, **how), args[0])


def transposed(*args, **how):
    return through(nn.ConvTranspose2d(8, *args, **how), args[0])


SIDE = 17
# Networks whose unit in the middle sees less than the image.
CROPPED = {
    "groups": lambda: conv(8, 3, padding=1, groups=4),
    "depthwise": lambda: conv(16, 3, padding=1, groups=8),
    "dilation": lambda: conv(8, 3, padding=2, dilation=2),
    "stride": lambda: conv(8, 3, stride=2, padding=1),
    "stride greater than kernel": lambda: conv(8, 1, stride=3),
    "asymmetric": lambda: conv(8, (1, 5), stride=(2, 1), padding=(0, 2), dilation=(1, 2)),
    "even kernel": lambda: conv(8, 4, padding=1),
    "no bias": lambda: conv(8, 3, bias=False),
    "nothing but padding": lambda: conv(8, 1, padding=3),
    "mostly padding": lambda: conv(8, 3, padding=4),
    "max-pool": lambda: through(nn.MaxPool2d(3, 2, 1)),
    "max-pool, dilation": lambda: through(nn.MaxPool2d(3, 2, 1, dilation=2)),
    "max-pool, ceil_mode": lambda: through(nn.MaxPool2d(2, ceil_mode=True)),
    "max-pool, ceil_mode and padding": lambda: through(nn.MaxPool2d(3, 2, 1, ceil_mode=True)),
    "mean-pool": lambda: through(nn.AvgPool2d(3, 2)),
    "mean-pool, padding": lambda: through(nn.AvgPool2d(3, 2, 1)),
    "mean-pool, divisor": lambda: through(nn.AvgPool2d((2, 3), divisor_override=5)),
    "folding": lambda: through(nn.Sequential(nn.Conv2d(8, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU())),
    "folding groups": lambda: through(nn.Sequential(nn.Conv2d(8, 8, 3, groups=2), nn.BatchNorm2d(8))),
    "normalisation before": lambda: through(nn.Sequential(nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3))),
    "normalisation without weights": lambda: through(
        nn.Sequential(nn.Conv2d(8, 8, 1), nn.BatchNorm2d(8, affine=False))
    ),
    "normalisation as a function": lambda: through(nn.Sequential(nn.MaxPool2d(3, 2), Normalising(8))),
    "folding a function": lambda: through(nn.Sequential(nn.Conv2d(8, 8, 3, bias=False), Normalising(8))),
    "a convolution that is also read without its normalisation": lambda: calling(
        lambda net, x: (lambda y: net.norm(y) + y)(net.conv(x)),
        conv=nn.Conv2d(8, 8, 3),
        norm=nn.BatchNorm2d(8),
    ),
    "a convolution that is called twice": lambda: calling(
        twice, shared=nn.Conv2d(8, 8, 3, padding=1), same=nn.BatchNorm2d(8)
    ),
    "shared activation": lambda: calling(
        lambda net, x: net.relu(net.conv(net.relu(x))), relu=nn.ReLU(True), conv=nn.Conv2d(8, 8, 3)
    ),
    "functional in place": lambda: calling(lambda _net, x: functional.relu(x, inplace=True)),
    "methods in place": lambda: calling(lambda _net, x: x.relu_().sub_(0.1).clamp_(0, 1)),
    "residual identity": lambda: calling(
        lambda net, x: functional.relu(net.conv(functional.relu(x)) + x), conv=nn.Conv2d(8, 8, 3, padding=1)
    ),
    "residual in place": lambda: calling(
        lambda net, x: torch.relu_(net.conv(x).add_(x)), conv=nn.Conv2d(8, 8, 3, padding=1)
    ),
    "concatenation": lambda: calling(
        lambda net, x: torch.cat([net.conv(x), x], dim=1), 12, conv=nn.Conv2d(8, 4, 3, padding=1)
    ),
    "prelu": lambda: through(nn.PReLU(8)),
    "gelu": lambda: through(nn.GELU()),
    "a value for each channel": lambda: calling(lambda net, x: x * net.scale, scale=parameter(8, 1, 1)),
    "a value for each position": lambda: calling(lambda net, x: x + net.map, map=parameter(1, 8, SIDE, SIDE)),
    "transposed": lambda: transposed(8, 4, 2, 1),
    "transposed, stride 1": lambda: transposed(8, 3, 1, 1),
    "transposed, no bias": lambda: transposed(8, 5, 3, 2, bias=False),
    "pixel shuffle": lambda: through(nn.PixelShuffle(2), 2),
    "pixel shuffle, functional": lambda: calling(
        lambda _net, x: functional.pixel_shuffle(x, upscale_factor=2), 2
    ),
}
# Networks in which a position, or what is not understood of them, takes the whole image.
WHOLE = {
    "squeeze and excitation": lambda: calling(gates, gate=nn.Conv2d(8, 8, 1)),
    "a gate for each position": lambda: calling(lambda _net, x: x * torch.sigmoid(x.mean(1, keepdim=True))),
    "a gate for each row": lambda: calling(lambda _net, x: x * x.mean(3, keepdim=True)),
    "a gate for each row and column": lambda: calling(
        lambda _net, x: x.mean(2, keepdim=True) * x.mean(3, keepdim=True)
    ),
    "a value for each column": lambda: calling(lambda net, x: x * net.scale, scale=parameter(SIDE)),
    "a map without channels": lambda: calling(lambda net, x: x + net.map, map=parameter(SIDE, SIDE)),
    "prelu, functional": lambda: calling(lambda net, x: functional.prelu(x, net.slope), slope=parameter(8)),
    "concatenation of rows": lambda: calling(lambda _net, x: torch.cat([x, x], dim=2)),
    "turned": lambda: calling(lambda _net, x: x + x.flip(3)),
    "normalisation over the batch": lambda: calling(
        lambda net, x: functional.batch_norm(x, net.mean, net.spread, net.scale, net.shift, training=True),
        mean=nn.Buffer(torch.zeros(8)),
        spread=nn.Buffer(torch.ones(8)),
        scale=parameter(8),
        shift=parameter(8),
    ),
    "normalisation by itself": lambda: calling(
        lambda _net, x: functional.batch_norm(x[:1], None, None, training=True) + x
    ),
    "instance normalisation": lambda: through(nn.InstanceNorm2d(8)),
    "group normalisation": lambda: through(nn.GroupNorm(2, 8)),
    "padding by reflection": lambda: conv(8, 3, padding=1, padding_mode="reflect"),
    "padding to the same": lambda: conv(8, 3, padding="same"),
    "mean-pool without its padding": lambda: through(nn.AvgPool2d(3, 2, 1, count_include_pad=False)),
    "mean-pool, ceil_mode": lambda: through(nn.AvgPool2d(2, ceil_mode=True)),
    "max-pool with its places": lambda: calling(
        lambda net, x: net.pool(x)[0], pool=nn.MaxPool2d(2, return_indices=True)
    ),
    "transposed, dilation": lambda: transposed(8, 3, 2, dilation=2),
    "transposed, groups": lambda: transposed(8, 4, 2, groups=2),
    "transposed with gaps": lambda: transposed(8, 1, 2),
    "transposed, much padding": lambda: transposed(8, 2, 1, 3),
    "transposed, output padding": lambda: transposed(8, 3, 2, output_padding=1),
    "transposed to a size": lambda: calling(
        lambda net, x: net.wide(x, output_size=(2 * SIDE + 2, 2 * SIDE + 2)),
        wide=nn.ConvTranspose2d(8, 8, 3, 2),
    ),
    "a hook that changes a convolution": lambda: through(hooked(nn.Conv2d(8, 8, 3))),
    "a hook that changes a pooling": lambda: through(hooked(nn.MaxPool2d(2))),
    "a hook that changes a normalisation": lambda: through(
        nn.Sequential(nn.Conv2d(8, 8, 1), hooked(nn.BatchNorm2d(8)))
    ),
}


@pytest.mark.parametrize("name", CROPPED | WHOLE)
def test_an_operation_gives_on_a_window_what_it_gives_on_the_whole(name):
    plain = networks.drawn((CROPPED | WHOLE)[name])
    network = Network(plain, SIDE)
    assert network.is_traced
    literal.assert_same(network, plain, {"last": ("last", AFTER)}, "pre")
    window = network.readout("last", CENTRE, torch.float32, CPU).window
    assert (max(window.size) < SIDE) == (name in CROPPED), window
    if "operation" in network.layers:
        literal.assert_same(network, plain, {"operation": ("operation", AFTER)}, "post")


@pytest.mark.parametrize("name", ["functional in place", "prelu", "prelu, functional", "gelu"])
def test_a_non_linearity_is_read_with_its_slopes(name):
    plain = networks.drawn((CROPPED | WHOLE)[name])
    literal.assert_same(Network(plain, SIDE), plain, {"first": ("last", BEFORE)}, "post")


@pytest.fixture(scope="module")
def full_width():
    """The paper's network at the paper's size."""
    plain = networks.drawn(lambda: resnet.ResNet18(64))
    return plain, Network(plain, 96)


def operations_of(compute):
    """Multiplications and additions of matrix products and convolutions, as PyTorch counts them."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        compute()
    return counter.get_total_flops()


# Fields of 43, 99, 211 and 435 px, cut off at the border of the image.
@pytest.mark.parametrize(
    ("layer", "side", "ratio"),
    [("layer1", 43, 4), ("layer2", 90, 1.5), ("layer3", 96, 1.2), ("layer4", 96, 1.05)],
)
def test_of_maps_only_the_window_is_computed(full_width, layer, side, ratio):
    plain, network = full_width
    images = torch.randn(1, 3, 96, 96)
    readout = network.readout(layer, CENTRE, torch.float32, CPU)
    assert readout.window.size == (side, side)
    ours = operations_of(lambda: readout(literal.cut(images, readout.window), torch.tensor([0])))
    assert ratio * ours < operations_of(lambda: plain.pre_activation(images, layer))


def test_the_window_of_layer1_lies_in_the_image(full_width):
    """Row 11 sees 4 * 11 -+ 21: the paper's centre is 3.5 px up and left of the middle."""
    window = full_width[1].readout("layer1", CENTRE, torch.float32, CPU).window
    assert window == ((23, 66), (23, 66))


class Tripwire(nn.Module):
    """Passes its input on, until it is armed."""

    armed = False

    def forward(self, x):
        if Tripwire.armed:
            raise AssertionError("this is run")
        return x + 1


Tripwire.__module__ = "torch.nn.tripwire"  # as a module of torch it is left whole in graphs


@pytest.fixture
def armed():
    yield lambda: setattr(Tripwire, "armed", True)
    Tripwire.armed = False


@pytest.mark.parametrize("takes_symbols", [True, False])
def test_nothing_past_the_layer_is_run(armed, takes_symbols):
    def function(net, x):
        x = net.layer(x)
        if not takes_symbols and x.sum() == 0:
            return x
        return net.head(net.tripwire(x))

    plain = Computing(function, layer=nn.Conv2d(3, 4, 3), tripwire=Tripwire(), head=nn.Conv2d(4, 4, 1))
    network = Network(plain, 8)
    assert network.is_traced == takes_symbols
    armed()
    literal.assert_same(network, plain.layer, {"layer": lambda layer, images: layer(images)}, "pre")
    with pytest.raises(AssertionError, match="this is run"):
        network.readout("head", CENTRE, torch.float32, CPU)(torch.zeros(1, 3, 8, 8), torch.tensor([0]))


@pytest.mark.parametrize("activation", ["pre", "post"])
@pytest.mark.parametrize(("name", "layer"), [("resnet18 at 64", "layer1"), ("resnet18 at 64", "layer3")])
@pytest.mark.parametrize("position", ["centre", (0, 0), "mean"])
def test_gradients_are_those_of_the_whole_network(name, layer, activation, position):
    plain, network = made(name)
    objective = Objective(position=position, activation=activation)
    readout = network.readout(layer, objective, torch.float32, CPU)
    images = torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(3)).requires_grad_(True)
    channels = torch.tensor([0, 3, 7])
    (ours,) = torch.autograd.grad(readout(literal.cut(images, readout.window), channels).sum(), images)
    values = plain.pre_activation(images, layer)
    values = values.relu() if activation == "post" else values
    columns = literal.read(values, network.position(layer, objective))
    (whole,) = torch.autograd.grad(columns[range(3), channels].sum(), images)
    torch.testing.assert_close(ours, whole, rtol=1e-4, atol=1e-4 * whole.abs().max().item())
    outside = torch.ones(64, 64, dtype=torch.bool)
    outside[slice(*readout.window.rows), slice(*readout.window.columns)] = False
    assert (whole[:, :, outside] == 0).all(), "the whole network sees nothing outside of the window, either"
    assert outside.any() == (layer == "layer1" and position != "mean")


@pytest.mark.parametrize("name", ["resnet18 at 64", "densenet", "vision transformer"])
def test_bfloat16_is_close(name):
    """Numbers of 8 bits: responses differ by at most 5 % of their spread over images; 0.3 to 3 % measured."""
    _, network = made(name)
    images = torch.randn(64, 3, network.size, network.size, generator=torch.Generator().manual_seed(4))
    for layer in networks.places(name, "pre"):
        exact, near = (
            network.columns([layer], CENTRE, dtype, CPU) for dtype in (torch.float32, torch.bfloat16)
        )
        with torch.no_grad():
            exact = exact[0](literal.cut(images, exact[1]))[layer]
            near = near[0](literal.cut(images, near[1]).bfloat16())[layer]
        assert near.dtype == torch.float32
        error = (near - exact).square().mean().sqrt() / (exact - exact.mean(0)).square().mean().sqrt()
        assert error < 0.05, layer
