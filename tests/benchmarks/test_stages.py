"""The comparison with lucent's way on study B: units, both sides, one measure."""

import numpy as np
import pytest
import torch

from benchmarks import stages
from protoviz.config import params, synthesis
from protoviz.models import finetuned, resnet

UNITS = {"stem.conv": [0, 5], "stages.2.0.conv1_kxk.conv": [3]}
SIZE = 32


@pytest.fixture(scope="module")
def module():
    made = finetuned.initial("test_byobnet", 5, 1)
    with torch.no_grad():
        made.train()(
            torch.rand(8, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
        )  # statistics of order one
    return made.eval().requires_grad_(False)


def test_units_are_spread_over_all_layers():
    layers = {f"layer{k}": list(range(10)) for k in range(5)}
    assert {layer: len(some) for layer, some in stages._few(layers, 5).items()} == dict.fromkeys(layers, 1)
    assert sum(map(len, stages._few(layers, 8).values())) == 8
    assert list(stages._few(layers, 3)) == ["layer0", "layer2", "layer4"]


def test_the_measure_is_the_output_of_the_convolution_at_the_centre(module):
    images = np.random.default_rng(0).integers(0, 256, (3, SIZE, SIZE, 3), dtype=np.uint8)
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    stem = module.stem.conv(resnet.normalise(pixels))
    found = stages.respond(module, UNITS, images)
    row, column = ((extent - 1) // 2 for extent in stem.shape[2:])
    np.testing.assert_allclose(found[:2], [stem[0, 0, row, column], stem[1, 5, row, column]], rtol=1e-5)


def test_both_sides_climb(module):
    study = params.load("params.yaml").training_stages
    study = study.model_copy(update={"network": study.network.model_copy(update={"size": SIZE})})
    recipe = synthesis.changed("fourier", {"ascent": {"steps": 16}, "repeats": 1, "precision": "float32"})
    units = {"stages.2.0.conv1_kxk.conv": [3]}  # sees much of the image
    for made in (stages.lucent(module, units, SIZE, 32, 0), stages.ours(module, units, recipe, study, 0)):
        assert made.shape == (1, SIZE, SIZE, 3)
        grey = np.full_like(made, 128)
        assert (stages.respond(module, units, made) > stages.respond(module, units, grey)).all()
