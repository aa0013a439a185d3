"""The features that linear read-outs get."""

import numpy as np
import pytest
import torch
from torch import nn

from protoviz.models import resnet
from protoviz.models.readout.network import Network
from protoviz.synthesis.responses.forward import all_responses
from stages.probe import POOLED


def pooled(model, layer, images, batch):
    network = Network(model, images.shape[1], resnet.IMAGENET_MEAN, resnet.IMAGENET_STD)
    device = torch.device("cpu")
    return all_responses(network, [layer], POOLED, images, batch=batch, device=device)[layer]


def shown(count, size):
    images = np.random.default_rng(0).integers(0, 256, (count, size, size, 3), dtype=np.uint8)
    images.setflags(write=False)  # as a memory map
    return images


@pytest.mark.parametrize("batch", [10, 4])
def test_features_of_our_network_are_what_a_linear_head_would_take(batch):
    model = resnet.initial("resnet18", 4, 0)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    images = shown(10, 40)
    found = pooled(model, "layer4", images, batch)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    with torch.no_grad():
        seen = resnet.normalise(torch.tensor(images).permute(0, 3, 1, 2) / 255)
        expected = model.eval().features(seen).numpy()
    assert found.shape == (10, 32)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("training", [True, False])
def test_features_are_those_of_the_normalised_images_in_evaluation_mode(training):
    """A network whose features are the mean colours, with noise unless it is in evaluation mode."""
    same = nn.Conv2d(3, 3, 1, bias=False)
    with torch.no_grad():
        same.weight.copy_(torch.eye(3)[:, :, None, None])
    model = nn.Sequential(nn.Dropout(), same).train(training)
    images = shown(7, 8)
    found = pooled(model, "1", images, 3)
    expected = (images.mean((1, 2)) / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert found.dtype == np.float32
    assert model.training is training
