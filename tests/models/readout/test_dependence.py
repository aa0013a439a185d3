"""Weights that a layer depends on, where modules are called several times."""

import torch
from torch import nn

from protoviz.models.readout.dependence import weights


class Loop(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.between, self.relu = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1), nn.ReLU()
        self.last = nn.Conv2d(4, 4, 1)

    def forward(self, images):
        x = self.relu(self.conv(images))
        return self.last(self.relu(self.between(x)))


def test_a_later_call_depends_on_what_lies_between():
    images = torch.randn(2, 4, 5, 5)
    first = {"conv.weight", "conv.bias"}
    assert weights(Loop(), ["relu"], images) == first
    assert weights(Loop(), ["relu#2"], images) == first | {"between.weight", "between.bias"}
    assert weights(Loop(), ["relu#2", "relu"], images) == first | {"between.weight", "between.bias"}
