"""Modules that are called several times in one forward pass: each call is a layer."""

import pytest
import torch
from torch import nn

from protoviz.config.synthesis import Objective
from protoviz.errors import StudyError
from protoviz.models.readout.network import Network
from tests.reference import networks

HOW = torch.float32, torch.device("cpu")


class Sharing(nn.Module):
    """One convolution and one ReLU, called three times each."""

    def __init__(self):
        super().__init__()
        self.stem, self.conv = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)
        self.relu, self.drop = nn.ReLU(inplace=True), nn.Dropout()

    def forward(self, images):
        x = self.stem(images)
        for _ in range(3):
            x = self.drop(self.relu(self.conv(x)))
        return x


class Branching(Sharing):
    def forward(self, images):
        return images if images.abs().sum() == 0 else super().forward(images)


@pytest.mark.parametrize("kind", [Sharing, Branching])
@pytest.mark.parametrize("activation", ["pre", "post"])
def test_each_call_is_read_where_it_is_made(kind, activation):
    plain = networks.drawn(kind)
    network = Network(plain, 12)
    assert network.is_traced == (kind is Sharing)
    assert list(network.layers) == ["stem", "conv", "conv#2", "conv#3", "relu", "relu#2", "relu#3"]
    assert [network.layers[f"relu{n}"].shape for n in ("", "#2", "#3")] == [(8, 8), (6, 6), (4, 4)]
    assert [network.layers[name].weighted for name in ("conv#2", "relu#2")] == [True, False]

    images = torch.randn(2, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    expected, x = {}, plain.stem(images)
    for n in ("", "#2", "#3"):
        before = plain.conv(x)
        x = before.relu()
        expected[f"conv{n}"] = expected[f"relu{n}"] = before if activation == "pre" else x
    objective = Objective(position="centre", activation=activation)
    columns, window = network.columns(list(expected), objective, *HOW)
    (top, bottom), (left, right) = window
    found = columns(images[:, :, top:bottom, left:right])
    for name, values in expected.items():
        row, column = network.position(name, objective)
        torch.testing.assert_close(found[name], values[:, :, row, column].detach(), msg=name)
        one = network.readout(name, objective, *HOW)
        (top, bottom), (left, right) = one.window
        response = one(images[:, :, top:bottom, left:right], torch.tensor([1, 3]))
        torch.testing.assert_close(response, values[[0, 1], [1, 3], row, column].detach(), msg=name)


def test_a_dropout_has_no_units():
    with pytest.raises(StudyError, match=r"layer 'drop': .*a Dropout that has no units of its own; name the"):
        Network(Sharing(), 12).layer("drop")


def test_another_name_of_a_module_is_told():
    plain = Sharing()
    plain.alias = plain.conv
    with pytest.raises(StudyError, match=r"layer 'alias': .*found another name of 'conv'; name it 'conv'"):
        Network(plain, 12).layer("alias")


def test_a_non_linearity_has_the_channels_of_what_it_is_given():
    """Of maps (B, H, W, C), too, though nothing but their origin says so: here all axes are alike."""

    class Last(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.linear, self.act = nn.Conv2d(3, 4, 1), nn.Linear(4, 8), nn.GELU()

        def forward(self, images):
            x = self.act(self.conv(images))
            return self.act(self.linear(x.permute(0, 2, 3, 1)))

    network = Network(networks.drawn(Last), 8)
    assert [network.layers[name].channels_last for name in ("act", "linear", "act#2")] == [False, True, True]
    assert network.layers["act"].channels == 4
