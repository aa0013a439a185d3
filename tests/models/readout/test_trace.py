"""Graphs of networks: the values of layers before and after their non-linearity, and which have none."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from protoviz.models.readout.trace import SHAPE, trace
from protoviz.models.readout.wrappers import frozen
from tests.reference import readout as literal
from tests.reference.readout import AFTER, BEFORE


class Computing(nn.Module):
    """A network that computes a function of its modules and images."""

    def __init__(self, function, **parts):
        super().__init__()
        self.function = function
        for name, part in parts.items():
            self.add_module(name, part)

    def forward(self, images):
        return self.function(self, images)


class Normalising(nn.BatchNorm2d):
    """Stands in a graph as a function."""

    def forward(self, x):
        return functional.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias)


def chain(*modules):
    return nn.Sequential(nn.Conv2d(3, 4, 3), *modules, nn.Conv2d(4, 2, 3))


def traced(network):
    found = trace(frozen(network), images())
    assert found
    return found


def images():
    return torch.randn(2, 3, 12, 12, generator=torch.Generator().manual_seed(0))


def value(found, node):
    """What a node of a graph gives."""
    with torch.no_grad():
        kept = torch.fx.Interpreter(
            torch.fx.GraphModule(found.module, found.graph), garbage_collect_values=False
        )
        kept.run(images())
    return kept.env[node]


# A network, a layer, and where its value before and after its non-linearity passes.
ENDS = {
    "a convolution and a ReLU": (lambda: chain(nn.ReLU()), "0", ("0", AFTER), ("1", AFTER)),
    "normalised between": (
        lambda: chain(nn.BatchNorm2d(4), nn.ReLU()),
        *("0", ("0", AFTER), ("2", AFTER)),
    ),
    "dropped between": (lambda: chain(nn.Dropout(), nn.GELU()), "0", ("0", AFTER), ("2", AFTER)),
    "the normalisation": (lambda: chain(nn.BatchNorm2d(4), nn.SiLU()), "1", ("1", AFTER), ("2", AFTER)),
    "a block that ends in a ReLU": (
        lambda: chain(nn.Sequential(nn.Conv2d(4, 4, 3), nn.ReLU(True))),
        *("1", ("1.1", BEFORE), ("1", AFTER)),
    ),
    "a block that ends in dropout": (
        lambda: chain(nn.Sequential(nn.Conv2d(4, 4, 3), nn.ReLU(True), nn.Dropout(), nn.Identity())),
        *("1", ("1.1", BEFORE), ("1", AFTER)),
    ),
    "a block that ends in a ReLU, and a sigmoid": (
        lambda: chain(nn.Sequential(nn.Conv2d(4, 4, 3), nn.ReLU()), nn.Sigmoid()),
        *("1", ("1.1", BEFORE), ("1", AFTER)),
    ),
    "a normalisation of a class of its own": (
        lambda: chain(type("Own", (nn.BatchNorm2d,), {})(4), nn.Tanh()),
        *("0", ("0", AFTER), ("2", AFTER)),
    ),
    "functions between": (
        lambda: Computing(
            lambda net, x: net.last(functional.dropout(net.norm(net.first(x)), training=False).tanh()),
            first=nn.Conv2d(3, 4, 3),
            norm=Normalising(4),
            last=nn.Conv2d(4, 2, 3),
        ),
        *("first", ("first", AFTER), ("last", BEFORE)),
    ),
    "nothing but a convolution": (lambda: chain(nn.Conv2d(4, 4, 1)), "0", ("0", AFTER), ("0", AFTER)),
    "a pooling between": (lambda: chain(nn.MaxPool2d(2), nn.ReLU()), "0", ("0", AFTER), ("0", AFTER)),
    "in place": (lambda: chain(nn.ReLU(inplace=True)), "0", ("0", AFTER), ("1", AFTER)),
    "no activation module": (
        lambda: Computing(
            lambda net, x: net.last(functional.relu(net.first(x), inplace=True)),
            first=nn.Conv2d(3, 4, 3),
            last=nn.Conv2d(4, 2, 3),
        ),
        *("first", ("first", AFTER), ("last", BEFORE)),
    ),
    "its shape is read, too": (
        lambda: Computing(
            lambda net, x: (lambda y: net.last(y.relu()).view(y.shape[0], y.dim() - 2, -1))(net.first(x)),
            first=nn.Conv2d(3, 4, 3),
            last=nn.Conv2d(4, 2, 3),
        ),
        *("first", ("first", AFTER), ("last", BEFORE)),
    ),
    "another path without the ReLU": (
        lambda: Computing(
            lambda net, x: (lambda y: net.last(y.relu() + y))(net.first(x)),
            first=nn.Conv2d(3, 4, 3),
            last=nn.Conv2d(4, 2, 3),
        ),
        *("first", ("first", AFTER), ("first", AFTER)),
    ),
}


@pytest.mark.parametrize("name", ENDS)
def test_before_and_after_the_non_linearity(name):
    build, layer, before, after = ENDS[name]
    plain = literal.prepared(build())
    found = traced(plain)
    expected = literal.values(plain, images(), [before, after])
    torch.testing.assert_close(value(found, found.before(layer)), expected[0])
    torch.testing.assert_close(value(found, found.after(layer)), expected[1])


def test_nothing_in_a_graph_is_in_place():
    """Values stay for who reads them, whatever overwrote them in the network."""

    def function(net, x):
        y = net.first(x)
        y = net.relu(y).mul_(2).add_(1)
        y = functional.hardtanh(torch.sigmoid_(y), inplace=True)
        y += 1
        return functional.leaky_relu_(y)

    found = traced(Computing(function, first=nn.Conv2d(3, 4, 3), relu=nn.ReLU(True)))
    interpreter = torch.fx.Interpreter(
        torch.fx.GraphModule(found.module, found.graph), garbage_collect_values=False
    )
    with torch.no_grad():
        interpreter.run(images())
    values = [value for node, value in interpreter.env.items() if node.op not in ("output", "get_attr")]
    assert len({value.data_ptr() for value in values}) == len(values) == 9


def depends_on_values(_net, x):
    return x + 1 if x.sum() > 1e6 else x


def relies_on_overwriting(net, x):
    y = net.conv(x)
    functional.relu(y, inplace=True)
    return y


def relies_on_an_overwriting_module(net, x):
    y = net.conv(x)
    net.relu(y)
    return y


def relies_on_an_overwriting_method(net, x):
    y = net.conv(x)
    y.sub_(1)
    return y


def writes_into_a_part(net, x):
    y = net.conv(x)
    y[:, 0] = 0
    return y


def overwrites_in_a_way_of_its_own(net, x):
    return net.conv(x).fill_(1)


def writes_into_a_given_tensor(net, x):
    return torch.add(net.conv(x), 1, out=torch.empty(2, 4, 10, 10))


def draws(net, x):
    return functional.dropout(net.conv(x), training=True)


WITHOUT_GRAPH = [
    *(depends_on_values, relies_on_overwriting, relies_on_an_overwriting_module),
    *(relies_on_an_overwriting_method, writes_into_a_part, overwrites_in_a_way_of_its_own),
    *(writes_into_a_given_tensor, draws),
]


@pytest.mark.parametrize("function", WITHOUT_GRAPH)
def test_networks_that_a_graph_would_not_be_have_none(function):
    network = frozen(Computing(function, conv=nn.Conv2d(3, 4, 3), relu=nn.ReLU(inplace=True)))
    before = network(images()) if function is not draws else None
    assert trace(network, images()) is None
    assert network.relu.inplace, "as it was"
    assert before is None or torch.equal(network(images()), before)


@pytest.mark.parametrize("wrap", [tuple, list, lambda values: {"a": values[0], "b": list(values)}])
def test_networks_may_return_several_values(wrap):
    network = Computing(lambda net, x: wrap((net.conv(x), x)), conv=nn.Conv2d(3, 4, 3))
    assert traced(network).results.keys() == {"conv"}


def test_arguments_beside_the_images_are_what_they_are_by_default():
    class Masked(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, images, mask=None, scale=2, *, bias=None):
            if mask is not None or bias is not None:
                raise ValueError
            return self.conv(images) * scale

    network = Masked()
    found = traced(network)
    assert [node.name for node in found.graph.nodes if node.op == "placeholder"] == ["images"]
    output = found.graph.output_node().all_input_nodes[0]
    torch.testing.assert_close(value(found, output), network(images()).detach())


def test_layers_are_the_calls_of_modules():
    found = traced(
        Computing(
            lambda net, x: net.block(net.twice(net.twice(x))),
            twice=nn.Conv2d(3, 3, 1),
            block=nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()),
            unused=nn.Conv2d(3, 3, 1),
        )
    )
    assert list(found.results) == ["twice", "twice#2", "block.0", "block.1", "block"]


def test_nodes_know_the_shape_of_the_example_s_value():
    found = traced(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(400, 5)))
    shapes = [node.meta[SHAPE] for node in found.graph.nodes]
    assert shapes == [(2, 3, 12, 12), (2, 4, 10, 10), (2, 400), (2, 5), (2, 5)]
    assert found.elements == 3 * 12 * 12 + 400 + 400 + 5 + 5


def test_a_map_with_its_channels_last_is_turned():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(2), nn.Unflatten(2, (10, 10)))
    found = traced(network)
    node = found.results["0"]
    turned = found.channels_first(node)
    torch.testing.assert_close(value(found, turned), value(found, node).permute(0, 3, 1, 2))
    assert turned.meta[SHAPE] == (2, 10, 4, 10)


def test_a_frozen_copy_leaves_the_network_alone():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True))
    copied = frozen(network)
    assert not copied.training
    assert network.training
    assert not any(parameter.requires_grad for parameter in copied.parameters())
    assert all(parameter.requires_grad for parameter in network.parameters())
    with torch.no_grad():
        copied[0].weight.zero_()
    assert network[0].weight.any()
