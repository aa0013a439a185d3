"""Networks whose answer changes from call to call are refused, with the name of what changes it."""

import re

import pytest
import torch
from torch import nn
from torch.nn import functional

from protoviz.errors import StudyError
from protoviz.models.readout.network import Network
from protoviz.models.readout.repeatable import require_repeatable


class Always(nn.Module):
    """Dropout that is on in evaluation mode, too."""

    def forward(self, x):
        return functional.dropout(x, 0.5, training=True)


class Noise(nn.Module):
    def forward(self, x):
        return x.add_(0.01 * torch.randn_like(x))


class Path(nn.Module):
    """Leaves out its input for one image in twenty."""

    def forward(self, x):
        return x * (torch.rand(len(x), 1, 1, 1) > 0.05)


class Shuffling(nn.Module):
    def forward(self, x):
        return x[:, torch.randperm(x.shape[1])]


class Counting(nn.Module):
    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return x + self.calls


class Between(nn.Module):
    """Itself drops what goes from one of its parts to the other."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)

    def forward(self, x):
        return self.last(functional.dropout(self.first(x), training=True))


class Pair(nn.Module):
    def forward(self, x):
        return {"images": x, "noise": [torch.randn(3)]}


class Own(nn.Sequential):
    def forward(self, x):
        return functional.dropout2d(super().forward(x), 0.5, training=True)


def inside(part):
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.Sequential(nn.ReLU(), part), nn.Flatten(2))


CASES = {
    "dropout": (lambda: inside(Always()), "1.1 (Always)"),
    "noise in place": (lambda: inside(Noise()), "1.1 (Noise)"),
    "a rare path": (lambda: inside(Path()), "1.1 (Path)"),
    "shuffled channels": (lambda: inside(Shuffling()), "1.1 (Shuffling)"),
    "a count": (lambda: inside(Counting()), "1.1 (Counting)"),
    "between two layers": (lambda: inside(Between()), "1.1 (Between)"),
    "in a mapping": (lambda: nn.Sequential(nn.Conv2d(3, 4, 1), Pair()), "1 (Pair)"),
    "its own forward": (lambda: Own(nn.Conv2d(3, 4, 1)), "its own forward (Own)"),
}


@pytest.mark.parametrize(("build", "where"), CASES.values(), ids=CASES)
def test_the_module_is_named_that_changes(build, where):
    message = (
        rf"^network: {re.escape(where)}: expected the same output for the same images in evaluation mode"
    )
    torch.manual_seed(0)
    with pytest.raises(StudyError, match=message):
        Network(build(), 8)


def test_random_numbers_that_change_nothing_are_no_matter():
    class Drawing(nn.Module):
        def forward(self, x):
            return x + 0 * torch.rand(1)

    assert "0" in Network(inside(Drawing()), 8).layers


def test_dropout_that_is_off_is_no_matter():
    class Aware(nn.Module):
        def forward(self, x):
            return functional.dropout(x, 0.5, training=self.training)

    assert "0" in Network(inside(Aware()).train(), 8).layers


def test_numbers_that_are_none_are_alike():
    network = inside(nn.Identity())
    network[0].weight.data.fill_(torch.nan)
    assert "0" in Network(network, 8, finite=False).layers


def test_the_random_numbers_of_the_session_stay_as_they_are():
    network, images = inside(Always()).eval(), torch.zeros(2, 3, 8, 8)
    before = torch.get_rng_state()
    with pytest.raises(StudyError):
        require_repeatable(network, images)
    assert torch.equal(before, torch.get_rng_state())
