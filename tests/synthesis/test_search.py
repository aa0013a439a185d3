"""The whole way to a prototype: one consistent result, from its address alone, whatever the blocks."""

import numpy as np
import pytest
import torch
from torch import nn

from protoviz.config import synthesis
from protoviz.errors import StudyError
from protoviz.models import resnet
from protoviz.models.readout.network import Network
from protoviz.store.cube import Address
from protoviz.synthesis.search import prototypes
from tests.reference import agreeing

SIZE = 32
CPU = torch.device("cpu")
FEW = {"start": {"pool": 32, "top": 3, "sigma": 1.0}, "ascent": {"steps": 6, "lr": 0.2, "longest": 3.0}}


class LinearPrior(nn.Module):
    """Eight latents drawn into an image by a random matrix and a sigmoid."""

    latent_size, image_size = 8, SIZE

    def __init__(self) -> None:
        super().__init__()
        draws = torch.Generator().manual_seed(0)
        self.register_buffer("paint", torch.randn(8, 3 * SIZE * SIZE, generator=draws))

    def render(self, latents):
        return torch.sigmoid(latents @ self.paint).view(-1, 3, SIZE, SIZE)


@pytest.fixture(scope="module")
def module():
    return resnet.initial("resnet18", 4, 1).eval()


@pytest.fixture(scope="module")
def network(module):
    return Network(module, SIZE)


def recipe(**changes):
    return synthesis.changed("fast", {"precision": "float32", **FEW, **changes})


def make(network, settings, units=None, address=("clrjit", 1, 0, 8), prior=None):
    everything = {f"layer{k}": range(network.layers[f"layer{k}"].channels) for k in (1, 2, 3, 4)}
    chosen = units or everything
    return prototypes(
        network, chosen, prior or LinearPrior(), settings, address=Address(*address), device=CPU
    )


STEPWISE = {
    "fast": {},
    "own starts": {"start": {"pool": 0, "top": 1, "sigma": 2.0}},
    "paper": {
        "objective": {"position": "centre", "activation": "post"},
        "start": {"pool": 0, "top": 1, "sigma": 1.0},
        "evolution": {"strategy": "fixed_sigma", "generations": 3, "samples": 6, "parents": 3, "only": "all"},
        "ascent": {"steps": 3, "lr": 0.01, "longest": None},
    },
    "sep_cma": {
        "evolution": {"strategy": "sep_cma", "generations": 3, "samples": 6, "parents": None, "only": "all"}
    },
    "transforms": {"transforms": {"jitter": 2, "scale": (0.9, 1.1), "rotation": 10}},
    "crops": {"transforms": {"crop": (0.6, 0.9), "noise": 0.05}},
    "transparency": {"keep_transparency": True},
    "mean": {"objective": {"position": "mean", "activation": "pre"}},
    "levels": {"levels": 16},
}


@pytest.mark.parametrize("changes", STEPWISE.values(), ids=STEPWISE)
def test_image_latent_and_activation_are_of_one_and_the_same_step(network, module, changes):
    settings = recipe(**changes)
    shard = make(network, settings, {"layer2": range(8), "layer4": [3, 30]})
    step = 255 / (settings.levels - 1)
    again = LinearPrior().render(torch.from_numpy(shard.latent).float()).mul(255).div(step).round().mul(step)
    difference = np.abs(again.permute(0, 2, 3, 1).numpy() - shard.image)
    assert difference.max() <= step, "the latent regenerates the image"
    assert difference.mean() < 1e-3, "but for rounding, where the batches differ"
    pixels = torch.from_numpy(shard.image).permute(0, 3, 1, 2).float() / 255
    for rows, layer, channels in ((slice(0, 8), "layer2", range(8)), (slice(8, 10), "layer4", [3, 30])):
        maps = module.pre_activation(resnet.normalise(pixels[rows]), layer)
        if settings.objective.activation == "post":
            maps = maps.relu()
        row, column = ((extent - 1) // 2 for extent in maps.shape[2:])
        read = maps.mean((2, 3)) if settings.objective.position == "mean" else maps[:, :, row, column]
        expected = read[range(len(channels)), list(channels)].detach().numpy()
        np.testing.assert_allclose(shard.activation[rows], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("changes", STEPWISE.values(), ids=STEPWISE)
def test_blocks_do_not_matter(network, changes):
    units = {"layer2": range(8), "layer4": [3, 30]}
    whole = make(network, recipe(batch_size=64, **changes), units)
    parts = make(network, recipe(batch_size=3, **changes), units)
    alone = make(network, recipe(batch_size=1, **changes), {"layer4": [30]})
    levels = changes.get("levels", 256)
    agreeing.same_but_for_rounding(parts, whole, slice(None), levels)
    agreeing.same_but_for_rounding(alone, whole, slice(-1, None), levels)


def test_a_prototype_alone_is_the_one_in_a_batch_of_256():
    wide = Network(resnet.initial("resnet18", 32, 1).eval(), SIZE)
    batch = make(wide, recipe(batch_size=256), {"layer4": range(256)})
    for channel in (0, 101, 255):
        alone = make(wide, recipe(batch_size=1), {"layer4": [channel]})
        agreeing.same_but_for_rounding(alone, batch, [channel])
        np.testing.assert_allclose(alone.latent, batch.latent[[channel]], atol=2e-3)


def test_bfloat16_finds_what_float32_finds(network):
    """Its numbers have 8 bits, so that ways part; where they end is as good: 1 % in the median."""
    long = {"ascent": {"steps": 30, "lr": 0.1, "longest": 3.0}}
    fine, coarse = make(network, recipe(**long)), make(network, recipe(precision="bfloat16", **long))
    ratio = coarse.activation / fine.activation
    assert abs(np.median(ratio) - 1) < 0.01
    assert np.quantile(ratio, 0.1) > 0.8
    assert coarse.image.dtype == np.uint8
    alone = make(network, recipe(precision="bfloat16", batch_size=1, **long), {"layer3": [5]})
    assert alone.activation[0] == pytest.approx(coarse.activation[4 + 8 + 5], rel=0.05)


def test_address_decides_the_numbers_and_nothing_else_does(network):
    first = make(network, recipe())
    torch.rand(3)
    assert np.array_equal(first.image, make(network, recipe()).image)
    for other in (("keepclr", 1, 0, 8), ("clrjit", 2, 0, 8), ("clrjit", 1, 1, 8), ("clrjit", 1, 0, 4)):
        assert not np.array_equal(first.latent, make(network, recipe(), address=other).latent), other


def test_order_of_units_does_not_matter(network):
    settings = recipe(start={"pool": 0, "top": 1, "sigma": 1.0})
    forth = make(network, settings, {"layer1": [0, 1], "layer3": [2, 7]})
    back = make(network, settings, {"layer3": [7, 2], "layer1": [1, 0]})
    np.testing.assert_allclose(forth.activation, back.activation[::-1], rtol=1e-4, atol=1e-4)


def test_starts_of_their_own_differ_between_units_and_layers(network):
    """The authors gave the i-th unit of every layer, epoch and run the same start."""
    settings = recipe(start={"pool": 0, "top": 1, "sigma": 1.0}, ascent={"steps": 0})
    latents = make(network, settings, {"layer1": [0, 1], "layer3": [0, 1]}).latent.astype(float)
    correlations = np.corrcoef(latents)[~np.eye(4, dtype=bool)]
    assert np.abs(correlations).max() < 0.99
    assert len({row.tobytes() for row in latents}) == 4


def test_sigma_is_the_length_of_the_start(network):
    for pool in (0, 32):
        start = {"pool": pool, "top": 1, "sigma": 3.0}
        made = make(network, recipe(start=start, ascent={"steps": 0, "longest": None}))
        length = np.linalg.norm(made.latent.astype(float), axis=1).mean() / np.sqrt(8)
        assert length == pytest.approx(3.0, rel=0.15)


def test_an_evolution_for_silent_units_leaves_the_others_alone(network):
    evolution = {"strategy": "fixed_sigma", "generations": 2, "samples": 4, "parents": 2, "only": "silent"}
    without, beside = make(network, recipe()), make(network, recipe(evolution=evolution))
    assert np.array_equal(without.latent, beside.latent)


def test_every_preset_runs(network):
    for name in synthesis.PRESETS:
        few = {"start": {"pool": 8, "top": 2}} if synthesis.PRESETS[name].start.pool else {}
        settings = synthesis.changed(
            name, {**few, "evolution": {"generations": 2}, "ascent": {"steps": 2}, "precision": "float32"}
        )
        made = make(network, settings, {"layer2": [1, 5]})
        assert made.activation_trace.shape == (2, 3)
        assert np.isfinite(made.activation).all()


def test_presets_are_what_the_requirements_say():
    paper, written = synthesis.PRESETS["paper"], synthesis.PRESETS["as-written"]
    evolution, ascent = paper.evolution, paper.ascent
    assert (evolution.strategy, evolution.generations, evolution.samples) == ("fixed_sigma", 20, 30)
    assert (evolution.parents, evolution.sigma, evolution.only) == (15, 2.0, "all")
    assert (ascent.steps, ascent.lr, ascent.longest, paper.start.pool) == (50, 0.01, None, 0)
    assert written.evolution.strategy == "vd_cma"
    assert written.ascent.steps >= 100
    with pytest.raises(StudyError, match=r"preset 'fats': .*did you mean 'fast'"):
        synthesis.changed("fats", {})


def test_network_is_left_as_it_was(module):
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    make(Network(module, SIZE), recipe())
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())


def test_a_unit_that_does_not_exist_is_refused_before_any_work(network):
    with pytest.raises(
        StudyError, match="layer 'layer2', channel 8: expected a channel from 0 to 7, found 8"
    ):
        make(network, recipe(), {"layer1": [0], "layer2": [8]})
