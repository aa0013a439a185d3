"""Directions in a layer's space: a unit of its own for every weighted sum of channels."""

import numpy as np
import pytest
import torch
from torch import nn

import protoviz
from protoviz.config.synthesis import Objective
from protoviz.errors import StudyError
from protoviz.models import resnet
from protoviz.models.readout.network import Network

CPU = torch.device("cpu")
SIZE = 40


class Small(nn.Module):
    """A map, tokens and a vector."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 6, 3, 2, 1), nn.BatchNorm2d(6), nn.ReLU())
        self.mix = nn.Linear(6, 5)
        self.head = nn.Linear(5, 4)

    def forward(self, images):
        tokens = self.mix(self.stem(images).flatten(2).transpose(1, 2))
        return self.head(tokens.mean(1))


def networks():
    torch.manual_seed(0)
    small = Small().eval()
    small.stem[1].running_mean.normal_()
    return {"resnet": (resnet.initial("resnet18", 4, 1).eval(), "layer2"), "small": (small, "stem")} | {
        layer: (small, layer) for layer in ("mix", "head")
    }


@pytest.mark.parametrize("activation", ["pre", "post"])
@pytest.mark.parametrize("position", ["centre", "mean"])
@pytest.mark.parametrize("name", networks())
def test_a_direction_is_the_weighted_sum_of_channels(name, position, activation):
    module, layer = networks()[name]
    network, objective = Network(module, SIZE), Objective(position=position, activation=activation)
    directions = torch.randn(3, network.layers[layer].channels)
    added = network.add_directions(layer, directions)
    images = network.normalise(torch.rand(3, 3, SIZE, SIZE))

    def cut(window):
        return images[:, :, window.rows.start : window.rows.stop, window.columns.start : window.columns.stop]

    columns, window = network.columns([layer, added], objective, torch.float32, CPU)
    read = columns(cut(window))
    torch.testing.assert_close(read[added], read[layer] @ directions.T, rtol=1e-4, atol=1e-4)
    unit = network.readout(added, objective, torch.float32, CPU)
    alone = unit(cut(unit.window), torch.tensor([2, 0, 1]))
    expected = read[added][range(3), [2, 0, 1]]
    torch.testing.assert_close(alone, expected, rtol=1e-4, atol=1e-4)


def test_prototypes_of_axes_are_those_of_channels():
    module, _ = networks()["resnet"]
    settings = {"size": SIZE, "prior": "pixels", "repeats": 1, "precision": "float32", "device": "cpu"}
    search = {"start": {"pool": 16, "top": 1}, "ascent": {"steps": 4}}
    axes = np.eye(8, dtype=np.float32)[[1, 6]]
    by_axis = protoviz.synthesize(module, {"layer2": axes}, preset="natural", **search, **settings)
    by_channel = protoviz.synthesize(module, {"layer2": [1, 6]}, preset="natural", **search, **settings)
    assert by_axis.layer.values.tolist() == ["layer2 directions"] * 2
    np.testing.assert_allclose(by_axis.activation, by_channel.activation, rtol=1e-4)


@pytest.mark.parametrize("directions", [torch.zeros(2, 5), torch.zeros(0, 8), torch.full((1, 8), torch.nan)])
def test_directions_that_do_not_fit_are_refused(directions):
    network = Network(networks()["resnet"][0], SIZE)
    with pytest.raises(StudyError, match=r"directions of layer 'layer2': expected \(directions, 8\) finite"):
        network.add_directions("layer2", directions)
