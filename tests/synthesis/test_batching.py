"""Several layers in one batch: the prototypes that each layer gives alone."""

import numpy as np
import pytest
import torch

from protoviz.config import synthesis
from protoviz.config.synthesis import Objective
from protoviz.errors import StudyError
from protoviz.models import resnet
from protoviz.models.priors import base
from protoviz.models.readout.network import Network
from protoviz.store.cube import Address
from protoviz.synthesis.batching import LayerBatch, groups
from protoviz.synthesis.search import prototypes

SIZE, CPU = 32, torch.device("cpu")
UNITS = {"conv1": [3], "layer1.0.conv1": [0, 2], "layer2.1.conv2": [7, 1], "layer4": [30]}


@pytest.fixture(scope="module")
def network():
    return Network(resnet.initial("resnet18", 4, 1).eval(), SIZE)


def make(network, layers_at_once, units=UNITS, **changes):
    few = {"ascent": {"steps": 6}, "repeats": 1, "precision": "float32", **changes}
    prior = base.load("fourier", size=SIZE, device=CPU)
    recipe = synthesis.changed("fourier", few)
    where = Address("seresnext", 1, 0, 2)
    return prototypes(network, units, prior, recipe, address=where, device=CPU, layers_at_once=layers_at_once)


def test_layers_together_give_what_they_give_alone(network):
    alone, together = make(network, 1), make(network, 4)
    np.testing.assert_allclose(together.activation, alone.activation, rtol=1e-3, atol=1e-5)
    assert np.abs(together.image.astype(int) - alone.image).max() <= 2, "but for rounding"
    for different in (make(network, 2), make(network, 4, batch_size=3)):
        np.testing.assert_allclose(different.activation, alone.activation, rtol=1e-3, atol=1e-5)


def test_a_unit_is_read_in_its_own_layer(network):
    """Against the plain network: forward hooks, the centre of each map."""
    layers = ["conv1", "layer2.1.conv2"]
    numbered = LayerBatch.of(network, layers)
    units = [("conv1", 1), ("layer2.1.conv2", 0), ("layer2.1.conv2", 5), ("conv1", 3)]
    images = torch.rand(4, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
    module = resnet.initial("resnet18", 4, 1).eval()
    maps = {}
    for layer in layers:
        module.get_submodule(layer).register_forward_hook(
            lambda _m, _i, out, layer=layer: maps.__setitem__(layer, out)
        )
    with torch.no_grad():
        module(resnet.normalise(images))
    # What is read before the non-linearity of conv1 in a ResNet is the convolution's own output.
    expected = [
        maps[layer][i, c][tuple((n - 1) // 2 for n in maps[layer].shape[2:])]
        for i, (layer, c) in enumerate(units)
    ]
    readout = numbered.readout(network, Objective(position="centre", activation="pre"), torch.float32, CPU)
    (top, bottom), (left, right) = readout.window
    found = readout(network.normalise(images)[:, :, top:bottom, left:right], numbered.numbers(units, CPU))
    torch.testing.assert_close(found, torch.stack(expected), rtol=1e-4, atol=1e-4)


def test_groups_keep_the_order_and_leave_nothing_out():
    made = list(groups(UNITS, 3))
    assert made[1] == [("layer4", 30)]
    assert [unit for group in made for unit in group] == [
        (layer, c) for layer, some in UNITS.items() for c in some
    ]


def test_a_layer_that_is_not_there_is_refused(network):
    with pytest.raises(StudyError, match="layer 'conv9': expected one of the"):
        make(network, 4, {"conv1": [0], "conv9": [0]})
    with pytest.raises(StudyError, match="expected a channel from 0 to 3"):
        make(network, 4, {"conv1": [4]})
