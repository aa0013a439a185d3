"""Which units are visualised: of all convolutions but those that gate, the same channels each time."""

import timm
import torch
from torch import nn
from torchvision.ops import SqueezeExcitation

from protoviz.models.readout.layers import gates
from protoviz.models.readout.network import Network
from protoviz.synthesis.sampling import convolutions, sample


def test_the_network_of_study_b_has_85_convolutions_32_of_which_gate():
    """Q2 and Q5: 64 units of each of the others, at three stages, are 10,176."""
    network = Network(timm.create_model("seresnext50_32x4d", num_classes=10).eval(), 32)
    every, others = convolutions(network, squeeze_excite=True), convolutions(network)
    assert (len(every), len(others)) == (85, 53)
    assert set(others) == {name for name in every if ".se." not in name}
    units = sample(others, 64, seed=1)
    assert 3 * sum(map(len, units.values())) == 10_176
    assert list(units) == list(others), "in the order of the network"
    assert network.is_traced


def test_the_default_network_of_study_b_has_49_convolutions():
    """Five of them are of timm's class Conv2dSame, which derives from PyTorch's."""
    module = timm.create_model("tf_efficientnet_lite0", num_classes=10).eval()
    found = convolutions(Network(module, 64))
    assert list(found) == [name for name, part in module.named_modules() if isinstance(part, nn.Conv2d)]
    assert len(found) == 49
    same = {name for name in found if type(module.get_submodule(name)) is not nn.Conv2d}
    assert same == {"conv_stem", *(f"blocks.{block}.0.conv_dw" for block in (1, 2, 3, 5))}


def test_gates_are_told_by_their_block():
    class SEModule(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc1 = nn.Conv2d(4, 2, 1)

    class Sensor(nn.Module):  # begins alike
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(4, 2, 1)

    network = nn.Sequential(nn.Conv2d(3, 4, 1), SEModule(), Sensor(), SqueezeExcitation(4, 2))
    found = {name for name in gates(network) if isinstance(network.get_submodule(name), nn.Conv2d)}
    assert found == {"1.fc1", "3.fc1", "3.fc2"}
    assert gates(nn.Sequential(nn.Conv2d(3, 4, 1))) == set()


def test_layers_of_a_network_say_whether_they_gate():
    network = Network(timm.create_model("test_byobnet", num_classes=5).eval(), 32)
    assert network.layer("stages.0.0.attn.fc1").gate
    assert not network.layer("stages.0.0.conv1_kxk.conv").gate


def test_a_sample_is_the_same_for_a_seed_and_grows():
    layers = {"conv1": 64, "layer1.0.conv1": 128, "small": 3}
    few, more = sample(layers, 4, seed=1), sample(layers, 8, seed=1)
    assert few == sample(dict(reversed(layers.items())), 4, seed=1), "whatever stands beside it"
    assert {layer: len(channels) for layer, channels in few.items()} == {
        "conv1": 4,
        "layer1.0.conv1": 4,
        "small": 3,
    }
    assert all(set(few[layer]) <= set(more[layer]) for layer in layers)
    assert few["conv1"] == tuple(sorted(set(few["conv1"])))
    assert few != sample(layers, 4, seed=2)
    assert sample(layers, None, seed=1)["layer1.0.conv1"] == tuple(range(128))


def test_units_spread_over_all_channels():
    drawn = [c for seed in range(200) for c in sample({"conv": 16}, 4, seed)["conv"]]
    counts = torch.bincount(torch.tensor(drawn), minlength=16)
    assert counts.min() > 25
    assert counts.max() < 80
