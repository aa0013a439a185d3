"""What a module must be to be read, and how it is said that it is not."""

import warnings

import pytest
import torch
from torch import nn

from protoviz.errors import StudyError
from protoviz.models.readout.network import Network


class Grey(nn.Module):
    """Takes colours and brightness alike."""

    def forward(self, images):
        return images.mean(1, keepdim=True)


def scripted(make, *arguments):
    with warnings.catch_warnings():  # TorchScript is on its way out
        warnings.simplefilter("ignore")
        return make(*arguments)


def plain():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())


TORCHSCRIPT = {
    "scripted": (lambda: scripted(torch.jit.script, plain()), r"itself \(Sequential\)"),
    "traced": (lambda: scripted(torch.jit.trace, plain(), torch.rand(1, 3, 8, 8)), r"itself \(Sequential\)"),
    "in part": (lambda: nn.Sequential(plain(), scripted(torch.jit.script, nn.ReLU())), r"1 \(ReLU\)"),
}


@pytest.mark.parametrize(("build", "where"), TORCHSCRIPT.values(), ids=TORCHSCRIPT)
def test_torchscript_is_refused_with_what_to_pass_instead(build, where):
    message = rf"network: {where}: expected modules of Python.*found TorchScript.*pass the module that was"
    with pytest.raises(StudyError, match=message):
        Network(build(), 8)


def test_lazy_modules_are_read_when_they_have_seen_images():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Sequential(nn.ReLU(), nn.LazyConv2d(5, 3)))
    message = (
        r"network: 1\.1 \(LazyConv2d\): expected weights with a shape, found a lazy module.*run the network"
    )
    with pytest.raises(StudyError, match=message):
        Network(network, 8)
    network(torch.rand(1, 3, 8, 8))
    assert Network(network, 8).layers["1.1"].channels == 5


@pytest.mark.parametrize(
    "error", [KeyError("x"), AttributeError("x"), NotImplementedError("x"), Exception("x")]
)
def test_whatever_a_network_raises_is_said(error):
    class Raising(nn.Module):
        def forward(self, _images):
            raise error

    with pytest.raises(
        StudyError, match=r"network, images of 8 px: expected a size that it can take, found '?x"
    ):
        Network(nn.Sequential(nn.Conv2d(3, 4, 3), Raising()), 8)


SIZES = {
    "text": "64",
    "half": 7.5,
    "half a pair": (8, 7.5),
    "three": (8, 8, 3),
    "none": (),
    "a truth": True,
    "nothing": None,
}


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_a_size_that_is_none_is_refused(size):
    with pytest.raises(
        StudyError, match=r"size: expected a whole number of px, or two: height and width, found"
    ):
        Network(plain(), size)


@pytest.mark.parametrize("size", [(0, 8), (8, -1)])
def test_a_size_without_pixels_is_refused(size):
    with pytest.raises(StudyError, match=rf"images of {size[0]} x {size[1]} px: .*found no pixels"):
        Network(plain(), size)


@pytest.mark.parametrize(
    ("size", "expected"), [((8, 8), 8), ([9, 12], (9, 12)), (torch.Size([7, 5]), (7, 5))]
)
def test_a_size_has_one_form(size, expected):
    network = Network(plain(), size)
    assert network.size == expected
    height, width = (expected, expected) if isinstance(expected, int) else expected
    assert network.layers["0"].shape == (height - 2, width - 2)


def test_images_of_other_channels_than_it_takes_are_told_from_a_size():
    network = nn.Sequential(nn.Conv2d(1, 4, 3))
    message = "images of 3 channels: expected images of 1 channel, as its first convolution '0' takes"
    with pytest.raises(StudyError, match=message):
        Network(network, 8, mean=(0.5, 0.5, 0.5))
    assert Network(network, 8).channels == 1


@pytest.mark.parametrize(
    ("build", "mean", "channels"),
    [
        (lambda: nn.Conv2d(5, 4, 3), None, 5),
        (lambda: nn.Sequential(nn.PixelUnshuffle(4), nn.Conv2d(48, 4, 1)), None, 3),
        (lambda: nn.Sequential(Grey(), nn.Conv2d(1, 4, 1)), None, 3),
        (lambda: nn.Sequential(Grey(), nn.Conv2d(1, 4, 1)), (0.5,), 1),
        (lambda: nn.Sequential(nn.PixelUnshuffle(4), nn.Conv2d(32, 4, 1)), (0, 0), 2),
        (lambda: nn.Sequential(nn.Flatten(), nn.Linear(192, 4)), None, 3),
        (lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 4)), (0.1,), 1),
    ],
)
def test_the_first_convolution_or_the_normalisation_says_how_many_channels(build, mean, channels):
    network = Network(build(), 8, mean=mean)
    assert network.channels == channels
    found = network.normalise(torch.zeros(1, channels, 1, 1)).flatten()
    if mean is None and channels != 3:
        assert not found.any(), "as they are"


def test_without_a_convolution_the_remedy_names_mean_and_std():
    with pytest.raises(
        StudyError, match="choose another size, or give mean and std a number for each channel"
    ):
        Network(nn.Sequential(nn.Flatten(), nn.Linear(64, 4)), 8)
