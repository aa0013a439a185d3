"""A step of ascent can be recorded on a GPU: it mixes no devices, and waits for none.

Tried on torch's device `meta`, which has shapes and no values: what has to look at a value fails there, and
what mixes it with the processor. Operations that are refused only while a GPU records are looked for.
"""

import pytest
import torch
from torch import nn
from torch.utils import _pytree
from torch.utils._python_dispatch import TorchDispatchMode

from protoviz.config.synthesis import PRESETS, Objective
from protoviz.models import resnet
from protoviz.models.priors import base
from protoviz.models.priors.generator import Decoder, Shape
from protoviz.models.readout.network import Network
from protoviz.synthesis import ascent
from protoviz.synthesis.batching import LayerBatch
from protoviz.synthesis.diversity import _Together
from protoviz.synthesis.objective import response
from protoviz.synthesis.rendering import Renderer

META, SIZE, COUNT = torch.device("meta"), 32, 3

# What waits for a GPU, or copies from the host where kernels have to be deterministic.
WAITING = {
    "_local_scalar_dense",
    "nonzero",
    "index_copy_",
    "index_copy",
    "scatter_add",
    "scatter_add_",
    "item",
}


class Recording(TorchDispatchMode):
    """Refuses what may not be recorded."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        tensors = [one for one in _pytree.tree_leaves((args, kwargs or {})) if isinstance(one, torch.Tensor)]
        assert name not in WAITING, f"{name} waits for the GPU"
        assert all(one.is_meta for one in tensors), f"{name} copies from the host"
        result = func(*args, **(kwargs or {}))
        made = [one for one in _pytree.tree_leaves(result) if isinstance(one, torch.Tensor)]
        assert all(one.is_meta for one in made), f"{name} leaves the GPU"
        return result


class Constants(nn.Module):
    """A network whose Python holds a constant, beside a tensor that is neither parameter nor buffer."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 8, 3, 2, 1)
        self.scale = torch.full((8, 1, 1), 2.0)

    def forward(self, images):
        shifted = images - torch.tensor([0.1, 0.2, 0.3])[:, None, None]
        return self.second(torch.relu(self.first(shifted)) * self.scale)


NETWORKS = {"resnet18": lambda: resnet.initial("resnet18", 8, 0).eval(), "constants": Constants}
LAYERS = {"resnet18": ["layer1", "layer4"], "constants": ["first", "second"]}


def step_on(
    device,
    name,
    prior,
    layers,
    position="centre",
    moves=None,
    watched=False,
    dtype=torch.bfloat16,
    longest=2.0,
):
    """A step, ready to be made."""
    network = Network(NETWORKS[name](), SIZE)
    renderer = Renderer(prior, SIZE, dtype, device)
    objective = Objective(position=position, activation="pre")
    respond = response(network, renderer, LayerBatch.of(network, layers), objective, dtype, device)
    start = torch.randn(COUNT, prior.latent_size, generator=torch.Generator().manual_seed(0)).to(device)
    index = torch.arange(COUNT, device=device)
    network.normalise(torch.zeros(1, 3, SIZE, SIZE, device=device))  # its copy, which the first call makes
    draws = torch.tensor([moves] * COUNT).to(device) if moves else None
    climb = ascent._Climb(start, 2, draws, renderer if watched else None)
    radius, asked = longest * prior.latent_size**0.5, respond.of_images if watched else respond
    return climb, lambda: climb.step(lambda latent, draw: asked(latent, index, draw), 0.1, radius, 0.1)


def prior_of(name):
    if name == "generator":
        with torch.random.fork_rng(devices=[]):
            return Decoder(Shape(16, 16, SIZE)).eval().requires_grad_(False)
    return base.load(name, size=None if name == "natural" else SIZE)


@pytest.mark.parametrize("prior", ["fourier", "maco", "pixels", "natural", "generator"])
@pytest.mark.parametrize("several", [False, True])
def test_steps_can_be_recorded(prior, several):
    layers = LAYERS["resnet18"] if several else ["layer2"]
    _, step = step_on(META, "resnet18", prior_of(prior), layers)
    with Recording():
        step()


@pytest.mark.parametrize("moves", [(1.0, -1.0, 1.1, 0.1), (1.0, -1.0, 1.1, 0.1, 0.2, 77.0)])
@pytest.mark.parametrize("watched", [False, True])
def test_steps_with_transforms_noise_and_transparency_can_be_recorded(moves, watched):
    _, step = step_on(META, "resnet18", prior_of("fourier"), ["layer2"], moves=moves, watched=watched)
    with Recording():
        step()


@pytest.mark.parametrize("layer", ["layer2", "layer4"])
def test_steps_of_images_that_are_pushed_apart_can_be_recorded(layer):
    network, prior, recipe = Network(NETWORKS["resnet18"](), SIZE), prior_of("fourier"), PRESETS["fourier"]
    renderer = Renderer(prior, SIZE, torch.bfloat16, META)
    fixed = {"fast": renderer, "exact": renderer, "latent_size": prior.latent_size}
    together = _Together(network, layer, recipe, 0.5, **fixed, dtype=torch.bfloat16, device=META)
    network.normalise(torch.zeros(1, 3, SIZE, SIZE, device=META))
    respond = together._respond(torch.tensor([0, 0, 3, 3], device=META), 2)
    draws = torch.tensor([[1.0, -1.0, 1.1, 0.1]] * 4).to(META)
    climb = ascent._Climb(torch.zeros(4, prior.latent_size, device=META), 2, draws, None)
    with Recording():
        climb.step(respond, 0.1, None, 0.3)


def test_the_mean_over_a_map_can_be_recorded_too():
    _, step = step_on(META, "resnet18", prior_of("fourier"), ["layer2"], position="mean")
    with Recording():
        step()


@pytest.mark.parametrize("layers", [["first"], ["second"], ["first", "second"]])
def test_constants_of_a_network_go_where_it_goes(layers):
    _, step = step_on(META, "constants", prior_of("fourier"), layers)
    with Recording():
        step()


def test_constants_of_a_network_have_its_precision():
    network = Network(Constants(), SIZE)
    images = network.normalise(torch.rand(2, 3, SIZE, SIZE))
    objective = Objective(position="mean", activation="pre")
    halved, exact = (
        network.columns(["second"], objective, dtype, torch.device("cpu"))[0](images.to(dtype))["second"]
        for dtype in (torch.bfloat16, torch.float32)
    )
    torch.testing.assert_close(halved, exact, atol=0.05, rtol=0.05)
    moved = network.uncut("second", objective, torch.float64, torch.device("cpu"))(images.double())
    torch.testing.assert_close(moved.float(), exact)


class Waits(nn.Module):
    """A prior that looks at a value."""

    latent_size, image_size = 16, SIZE

    def render(self, latents):
        if latents.sum() > 0:
            latents = -latents
        return torch.sigmoid(latents.sum(1))[:, None, None, None].expand(-1, 3, SIZE, SIZE)


def test_what_looks_at_values_is_not_taken_for_recordable():
    assert not Renderer(Waits(), SIZE, torch.float32, torch.device("cpu")).is_traced
    assert Renderer(prior_of("fourier"), SIZE, torch.float32, torch.device("cpu")).is_traced


@pytest.mark.parametrize(
    "waits",
    [
        lambda x: x.index_copy(1, torch.zeros(1, dtype=torch.long, device=META), x[:, :1]),
        lambda x: (
            x.requires_grad_(True)
            .gather(1, torch.zeros(3, 1, dtype=torch.long, device=META))
            .sum()
            .backward()
        ),
        lambda x: x + torch.ones(4),
        lambda x: x.sum().item(),
        lambda x: x[x > 0],
    ],
)
def test_what_may_not_be_recorded_is_found(waits):
    with pytest.raises((AssertionError, RuntimeError, NotImplementedError)), Recording():
        waits(torch.zeros(3, 4, device=META))


def test_a_step_keeps_and_records_what_it_did():
    climb, step = step_on(
        torch.device("cpu"),
        "resnet18",
        prior_of("pixels"),
        ["layer1", "layer3"],
        dtype=torch.float32,
        longest=50.0,
    )
    start = climb.latent.clone()
    step()
    assert climb.trace[:, 0].isfinite().all()
    assert climb.trace[:, 1:].isnan().all()
    moved = (climb.latent - start).abs().amax(1)
    assert ((moved > 0) & (moved <= 0.1 + 1e-6)).all()
    assert torch.equal(climb.best, start)
    step()
    assert climb.trace[:, 1].isfinite().all()
