"""The features that linear read-outs get."""

import numpy as np
import torch

from protoviz.models import resnet
from protoviz.models.readout.network import Network
from protoviz.synthesis.responses.forward import all_responses
from stages.probe import _POOLED


def test_features_of_our_network_are_what_a_linear_head_would_take():
    model = resnet.initial("resnet18", 4, 0).eval()
    images = np.random.default_rng(0).integers(0, 256, (5, 40, 40, 3), dtype=np.uint8)
    with torch.no_grad():
        shown = resnet.normalise(torch.tensor(images).permute(0, 3, 1, 2) / 255)
        expected = model.features(shown).numpy()
    network = Network(model, 40, resnet.IMAGENET_MEAN, resnet.IMAGENET_STD)
    for batch in (5, 2):
        found = all_responses(network, ["layer4"], _POOLED, images, batch=batch, device=torch.device("cpu"))[
            "layer4"
        ]
        np.testing.assert_allclose(found, expected, atol=1e-5)
