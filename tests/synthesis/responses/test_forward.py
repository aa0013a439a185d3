"""Responses to given images: the numbers of the whole network, and those that the cube holds."""

import numpy as np
import pytest
import torch

from protoviz.config.synthesis import PRESETS, Objective, changed
from protoviz.models import resnet
from protoviz.models.priors import base
from protoviz.models.readout.network import Network
from protoviz.store import schema
from protoviz.store.cube import Address
from protoviz.synthesis.responses.forward import OwnResponses, all_responses
from protoviz.synthesis.search import prototypes

SIZE, CPU = 32, torch.device("cpu")
OBJECTIVES = [
    Objective(position=position, activation=activation)
    for position in ("centre", (0, 1), "mean")
    for activation in ("pre", "post")
]


@pytest.fixture(scope="module")
def model():
    return resnet.initial("resnet18", 4, seed=1).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (8, SIZE, SIZE, 3), dtype=np.uint8)


def literal(model, images, layer, objective):
    """Image after image through the whole network, in float64: (N, C)."""
    model = resnet.initial("resnet18", 4, seed=1).eval().double()
    rows = []
    for image in images:
        pixels = torch.from_numpy(image / 255.0).permute(2, 0, 1)[None]
        maps = model.pre_activation(resnet.normalise(pixels), layer)[0]
        maps = maps.relu() if objective.activation == "post" else maps
        if objective.position == "mean":
            rows.append(maps.mean((1, 2)))
        else:
            at = objective.position
            row, column = ((extent - 1) // 2 for extent in maps.shape[1:]) if at == "centre" else at
            rows.append(maps[:, row, column])
    return torch.stack(rows).detach().numpy()


@pytest.mark.parametrize("objective", OBJECTIVES, ids=str)
def test_all_units_answer_as_in_the_whole_network(objective, model, images):
    layers = ["layer1", "layer3"]
    found = all_responses(Network(model, SIZE), layers, objective, images, batch=3, device=CPU)
    for layer in layers:
        np.testing.assert_allclose(
            found[layer], literal(model, images, layer, objective), rtol=1e-3, atol=1e-4
        )


@pytest.mark.parametrize("objective", OBJECTIVES, ids=str)
def test_own_units_answer_to_their_own_images(objective, model, images):
    own = OwnResponses(Network(model, SIZE), "layer2", objective, batch=3, device=CPU)
    everything = literal(model, images, "layer2", objective)
    np.testing.assert_allclose(own(images, np.arange(8)), np.diag(everything), rtol=1e-3, atol=1e-4)
    some = np.array([6, 1, 3])
    np.testing.assert_allclose(own(images[:3], some), everything[range(3), some], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("preset", list(PRESETS))
def test_answers_to_prototypes_are_the_stored_activations(preset, model):
    quick = {"start": {"pool": 0}, "evolution": {"strategy": "none"}, "ascent": {"steps": 2}, "rescue": 0}
    recipe = changed(preset, quick)
    network = Network(model, SIZE)
    prior = base.load("pixels", weights=None, sha256=None, size=SIZE, device=CPU)
    units = {"layer2": range(8)}
    address = Address("clrjit", 1, 0, 0)
    made = prototypes(network, units, prior, recipe, address=address, device=CPU)
    answered = OwnResponses(network, "layer2", recipe.objective, batch=64, device=CPU)(
        made.image, np.arange(8)
    )
    np.testing.assert_allclose(answered, made.activation, rtol=1e-5, atol=1e-6)
    assert (made.status != schema.Status.MISSING).all()


def test_images_are_left_alone(model, images):
    before = images.copy()
    all_responses(Network(model, SIZE), ["layer1"], OBJECTIVES[0], images, batch=2, device=CPU)
    np.testing.assert_array_equal(images, before)
