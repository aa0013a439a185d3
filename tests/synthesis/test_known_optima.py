"""Networks whose best image is known: the engine comes within 1 % of it, with nothing set up for them.

Reached is the share of the way from the response to grey to the optimum, measured on the stored 8-bit image.
"""

import math

import numpy as np
import pytest
import torch
from torch import nn

from protoviz.config import synthesis
from protoviz.models.priors.pixels import Pixels
from protoviz.models.readout.network import Network
from protoviz.models.resnet import IMAGENET_MEAN, IMAGENET_STD
from protoviz.store import schema
from protoviz.store.cube import Address
from protoviz.synthesis.search import prototypes
from tests.reference import optima

SIZE = 8
PLAIN = ((0, 0, 0), (1, 1, 1))
FREE = {"steps": 60, "lr": 0.5, "longest": None}
BALL = {"steps": 80, "lr": 0.1, "longest": 1.5}
FROM_GREY = {"pool": 0, "sigma": 0.1}
ENOUGH = 0.99


def make(module, units, prior, *, size=SIZE, normalisation=PLAIN, preset="fast", repeat=0, **changes):
    """Prototypes, without a ball and without a second attempt, unless they are asked for."""
    usual = {"precision": "float32", "rescue": 0, "start": FROM_GREY, "ascent": FREE}
    recipe = synthesis.changed(preset, usual | changes)
    network = Network(module, size, *normalisation)
    address = Address("planted", 1, repeat, 0)
    return prototypes(network, units, prior, recipe, address=address, device=torch.device("cpu"))


def reached(shard, grey, optimum):
    """Share of the way from grey to the optimum, (U,)."""
    return (torch.from_numpy(shard.activation) - grey) / (optimum - grey)


def pixels_of(shard):
    """Stored images as (U, 3, S, S) in [0, 1]."""
    return torch.from_numpy(shard.image).permute(0, 3, 1, 2).float() / 255


def normal(*shape, seed=1):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def filled(layer, weight, bias=None):
    """A convolution or linear layer with these weights."""
    with torch.no_grad():
        layer.weight.copy_(weight.view(layer.weight.shape))
        if layer.bias is not None:
            layer.bias.copy_(torch.zeros_like(layer.bias) if bias is None else bias)
    return layer


# Linear filters in a box: every pixel black or white in each colour


def linear_layers(weight, bias):
    """The same filters as every kind of layer: name of the layer, network, image size."""
    conv = filled(nn.Conv2d(3, len(weight), SIZE), weight, bias)
    linear = filled(nn.Linear(3 * SIZE**2, len(weight)), weight, bias)
    within = filled(nn.Conv2d(3, len(weight), SIZE, stride=2, padding=3), weight, bias)
    return {
        "convolution": (nn.Sequential(conv), "0", SIZE),
        "linear": (nn.Sequential(nn.Flatten(), linear), "1", SIZE),
        "within a larger map": (nn.Sequential(within, nn.ReLU()), "0", 24),
    }


@pytest.mark.parametrize("normalisation", [PLAIN, (IMAGENET_MEAN, IMAGENET_STD)], ids=["plain", "imagenet"])
@pytest.mark.parametrize("kind", ["convolution", "linear", "within a larger map"])
def test_linear_filters_in_a_box(kind, normalisation):
    weight, bias = normal(6, 3, SIZE, SIZE), normal(6, seed=2)
    module, layer, size = linear_layers(weight, bias)[kind]
    shard = make(module, {layer: range(6)}, Pixels(size), size=size, normalisation=normalisation)
    mean, std = normalisation
    grey = optima.at_grey(weight, bias, torch.tensor(mean), torch.tensor(std))
    optimum = optima.in_box(weight, bias, torch.tensor(mean), torch.tensor(std))
    assert (shard.activation <= optimum.numpy() + 1e-3).all()
    assert reached(shard, grey, optimum).min() > ENOUGH


@pytest.mark.parametrize(
    "changes",
    [
        {"precision": "bfloat16"},
        {"start": {"pool": 64, "top": 5, "sigma": 1.0}},
        {"start": {"pool": 0, "sigma": 2.0}},
        {"preset": "natural", "ascent": {"steps": 60, "lr": 0.5, "longest": None}},
        {"preset": "fourier", "transforms": {"jitter": 0, "scale": (1, 1), "rotation": 0}},
        {"batch_size": 4},
    ],
    ids=["bfloat16", "pool", "far start", "natural", "fourier", "blocks"],
)
def test_the_box_is_filled_from_every_start_and_in_every_precision(changes):
    weight = normal(6, 3, SIZE, SIZE)
    module, layer, size = linear_layers(weight, None)["convolution"]
    shard = make(module, {layer: range(6)}, Pixels(size), **changes)
    assert reached(shard, optima.at_grey(weight), optima.in_box(weight)).min() > ENOUGH


@pytest.mark.parametrize("scale", [1e-25, 1e-12, 1e-3, 1e3, 1e12, 1e30])
def test_the_scale_of_a_unit_does_not_matter(scale):
    weight = scale * normal(4, 3, SIZE, SIZE)
    module, layer, _ = linear_layers(weight, None)["convolution"]
    shard = make(module, {layer: range(4)}, Pixels(SIZE))
    assert reached(shard, optima.at_grey(weight), optima.in_box(weight)).min() > ENOUGH


def test_a_mean_over_positions_and_a_position_of_its_own():
    """Filters of one pixel, so that the mean's optimum is known: the best colour, everywhere."""
    weight = normal(4, 3, 1, 1)
    module = nn.Sequential(filled(nn.Conv2d(3, 4, 1), weight))
    grey, optimum = optima.at_grey(weight), optima.in_box(weight)
    for position in ("mean", (0, 7), (5, 2), "image_centre"):
        shard = make(
            module, {"0": range(4)}, Pixels(SIZE), objective={"position": position, "activation": "pre"}
        )
        assert reached(shard, grey, optimum).min() > ENOUGH
        colours = pixels_of(shard)
        moved = ((colours - 0.5).abs() > 0.4).all(1)
        assert moved.all() if position == "mean" else (moved.sum((1, 2)) == 1).all()
        if isinstance(position, tuple):
            assert moved[:, position[0], position[1]].all()


# Linear filters in a ball


@pytest.mark.parametrize(
    "start", [FROM_GREY, {"pool": 64, "top": 5, "sigma": 1.0}, {"pool": 0, "sigma": 4.0}]
)
def test_linear_filters_in_a_ball(start):
    """Adam's steps are of one size in every dimension: alone, they end at 0.8 of this."""
    weight, radius = normal(12, 3, SIZE, SIZE), BALL["longest"] * 4
    prior = optima.LinearPrior(optima.orthonormal(16, 3 * SIZE**2, 0), radius)
    module, layer, _ = linear_layers(weight, None)["linear"]
    shard = make(module, {layer: range(12)}, prior, start=start, ascent=BALL)
    grey, optimum = optima.at_grey(weight), optima.in_ball(weight, prior.paint, radius)
    share = reached(shard, grey, optimum)
    assert share.min() > ENOUGH
    assert share.max() < 1.02, "no image leaves the ball"
    assert np.linalg.norm(shard.latent.astype(float), axis=1).max() < 1.001 * radius


# Planted Gabors

GABORS = torch.stack(
    [
        optima.gabor(11, k * math.pi / 6, wavelength, k, colour)
        for k, wavelength, colour in [
            *((0, 4.0, (1, 1, 1)), (1, 6.0, (1, 1, 1)), (2, 5.0, (1, -1, 0)), (3, 4.5, (0, 0, 1))),
            *((4, 7.0, (-1, -1, 2)), (5, 5.5, (1, 0.5, 0.2))),
        ]
    ]
)
WITHIN = 19  # px, of the image; a Gabor's receptive field is 11 px of it


def planted(depth):
    """Gabors as one convolution, or as a convolution, a batch normalisation and a non-linearity."""
    conv = filled(nn.Conv2d(3, 6, 11, stride=2, padding=2, bias=depth == "bare"), GABORS)
    if depth == "bare":
        return nn.Sequential(conv), "0", {}
    norm = nn.BatchNorm2d(6)
    with torch.no_grad():
        norm.weight.copy_(torch.linspace(0.5, 3, 6))
        norm.bias.copy_(torch.linspace(2, 1, 6))
        norm.running_mean.copy_(torch.linspace(0.2, -1, 6))  # all units are awake at grey
        norm.running_var.copy_(torch.linspace(0.1, 2, 6))
    activation = "post" if depth == "after a non-linearity" else "pre"
    block = nn.Sequential(conv, norm, nn.ReLU())
    return nn.Sequential(block), "0", {"objective": {"position": "centre", "activation": activation}}


def scale_and_shift(module):
    """What a batch normalisation makes of the responses of its convolution."""
    norm = next((part for part in module.modules() if isinstance(part, nn.BatchNorm2d)), None)
    if norm is None:
        return torch.ones(6), torch.zeros(6)
    scale = (norm.weight / (norm.running_var + norm.eps).sqrt()).detach()
    return scale, (norm.bias - norm.running_mean * scale).detach()


DEPTHS = ["bare", "before a non-linearity", "after a non-linearity"]


@pytest.mark.parametrize("depth", DEPTHS)
def test_planted_gabors_are_found(depth):
    """Where all images of one contrast are allowed, the best is the Gabor itself."""
    radius = 1.5 * WITHIN * 3**0.5
    prior = optima.LinearPrior(torch.eye(3 * WITHIN**2), radius)
    # the contrast at which a Gabor's own extremes are black and white
    prior.paint.mul_(1 / (2 * radius * GABORS.abs().max() * prior.paint.max()))
    module, layer, changes = planted(depth)
    shard = make(module, {layer: range(6)}, prior, size=WITHIN, ascent={**BALL, "steps": 200}, **changes)
    first = 2 * 3 - 2  # px; the middle one of 7 positions, two px apart, that begin two px outside
    seen = (pixels_of(shard) - 0.5)[:, :, first : first + 11, first : first + 11]
    assert nn.functional.cosine_similarity(seen.flatten(1), GABORS.flatten(1)).min() > ENOUGH


@pytest.mark.parametrize("depth", DEPTHS)
def test_planted_gabors_respond_as_much_as_they_can(depth):
    """Where all images are allowed, the best is black and white as the signs of the Gabor are."""
    module, layer, changes = planted(depth)
    shard = make(module, {layer: range(6)}, Pixels(WITHIN), size=WITHIN, **changes)
    scale, shift = scale_and_shift(module)
    grey, optimum = (scale * found(GABORS) + shift for found in (optima.at_grey, optima.in_box))
    assert grey.min() > -1e-6
    assert reached(shard, grey, optimum).min() > ENOUGH


# Max over templates


def templates(units, count, seed=3):
    drawn = normal(units, count, 3, SIZE, SIZE, seed=seed)
    return drawn - drawn.mean((2, 3, 4), keepdim=True)


def test_the_best_of_several_templates_is_found_from_enough_restarts():
    """The greatest optimum is that of one template; a single start may climb to another."""
    planted = templates(4, 3)
    planted *= torch.tensor([1.0, 1.3, 0.8])[:, None, None, None]
    module = nn.Sequential(optima.Templates(planted))
    optimum = optima.in_box(planted.flatten(0, 1)).view(4, 3).amax(1)
    responses = [make(module, {"0": range(4)}, Pixels(SIZE), repeat=k).activation for k in range(10)]
    assert (torch.tensor(np.max(responses, 0)) / optimum).min() > ENOUGH
    assert (torch.tensor(np.min(responses, 0)) / optimum).min() < 0.9, "one start is not enough"


def test_all_modes_are_found_from_enough_restarts():
    """m modes as likely as each other take m H_m restarts to see in the mean; 5 m leave one out in 3 %."""
    count = 4
    planted = templates(3, count)
    planted /= planted.abs().sum((2, 3, 4), keepdim=True)
    module = nn.Sequential(optima.Templates(planted))
    optimum = optima.in_box(planted.flatten(0, 1)).view(3, count)
    modes = set()
    for repeat in range(5 * count):
        shard = make(module, {"0": range(3)}, Pixels(SIZE), repeat=repeat)
        responses = torch.einsum("umcij,ucij->um", planted, pixels_of(shard))
        best, mode = (responses / optimum).max(1)
        assert best.min() > ENOUGH, "every restart ends at the optimum of one of the modes"
        modes |= set(enumerate(mode.tolist()))
    assert len(modes) == 3 * count


# Two layers


def test_units_of_two_layers():
    """A sum of rectified filters of pixels that they do not share, with weights of both signs."""
    inner = normal(3, 1, 4, 4)  # one filter a colour, on patches beside each other
    bias = inner.abs().sum((1, 2, 3)) / 4  # awake at grey
    outer = normal(5, 3, SIZE // 4, SIZE // 4, seed=4)
    module = nn.Sequential(
        filled(nn.Conv2d(3, 3, 4, stride=4, groups=3), inner, bias - 0.5 * inner.sum((1, 2, 3))),
        nn.ReLU(),
        filled(nn.Conv2d(3, 5, SIZE // 4), outer),
    )
    reach = 0.5 * inner.abs().sum((1, 2, 3))
    lowest, highest = ((bias + sign * reach).repeat_interleave(4) for sign in (-1, 1))
    optimum = optima.sum_of_rectified(lowest, highest, outer.flatten(1))
    grey = (outer.flatten(1) * bias.relu().repeat_interleave(4)).sum(1)
    shard = make(module, {"2": range(5)}, Pixels(SIZE))
    assert reached(shard, grey, optimum).min() > ENOUGH


def test_units_of_two_layers_with_a_saturating_non_linearity():
    """Products of independent sides: sigmoids that each reach their own end."""
    inner = normal(3, 1, SIZE, SIZE) / 8
    outer = normal(5, 3, seed=4)
    module = nn.Sequential(
        filled(nn.Conv2d(3, 3, SIZE, groups=3, bias=False), inner),
        nn.Sigmoid(),
        filled(nn.Conv2d(3, 5, 1, bias=False), outer),
    )
    ends = torch.stack([inner.clamp_max(0).sum((1, 2, 3)), inner.clamp_min(0).sum((1, 2, 3))]).sigmoid()
    optimum = (outer[:, None] * ends).amax(1).sum(1)
    grey = (outer * (0.5 * inner.sum((1, 2, 3))).sigmoid()).sum(1)
    assert reached(make(module, {"2": range(5)}, Pixels(SIZE)), grey, optimum).min() > ENOUGH


# Every way to climb

EVOLUTIONS = {
    name: {"strategy": name, "generations": 15, "samples": 12, "parents": None, "sigma": 0.5, "only": "all"}
    for name in ("none", "fixed_sigma", "cma", "sep_cma", "vd_cma")
}


@pytest.mark.parametrize("start", [{"pool": 0, "sigma": 1.0}, {"pool": 64, "top": 3, "sigma": 1.0}])
@pytest.mark.parametrize("evolution", EVOLUTIONS.values(), ids=EVOLUTIONS)
def test_every_start_and_every_evolution_lead_to_the_optimum(evolution, start):
    radius, paint = BALL["longest"] * 8**0.5, optima.orthonormal(8, 3 * SIZE**2, 0)
    prior = optima.LinearPrior(paint, radius)
    weight = (normal(5, 8) @ paint).view(5, 3, SIZE, SIZE) + 0.1 * normal(5, 3, SIZE, SIZE, seed=6)
    module, layer, _ = linear_layers(weight, None)["convolution"]
    shard = make(module, {layer: range(5)}, prior, evolution=evolution, start=start, ascent=BALL)
    grey, optimum = optima.at_grey(weight), optima.in_ball(weight, prior.paint, radius)
    assert reached(shard, grey, optimum).min() > ENOUGH


class Near(nn.Module):
    """Units that respond most, with 100, to images of their own: 100 - |paint (x - target)|^2."""

    def __init__(self, targets, paint):
        super().__init__()
        self.filters = filled(nn.Linear(paint.shape[1], len(paint), bias=False), paint)
        self.register_buffer("targets", targets)

    def forward(self, images):
        found = self.filters(images.flatten(1) - 0.5)
        return 100 - (found[:, None] - self.targets).square().sum(2)


@pytest.mark.parametrize("strategy", ["fixed_sigma", "cma", "sep_cma", "vd_cma"])
def test_an_evolution_alone_comes_near_an_optimum_inside(strategy):
    """Without an ascent. One whose step size is fixed stays as far away as that size lets it."""
    radius, n = 6.0, 8
    prior = optima.LinearPrior(optima.orthonormal(n, 3 * SIZE**2, 0), radius)
    targets = normal(4, n, seed=5)
    inverse = prior.paint / prior.paint.square().sum(1, keepdim=True)
    module = nn.Sequential(Near(targets, inverse))
    evolution = {**EVOLUTIONS[strategy], "generations": 60, "sigma": 0.15 if "fixed" in strategy else 0.5}
    shard = make(
        module,
        {"0": range(4)},
        prior,
        start={"pool": 0, "sigma": 0.5},
        evolution=evolution,
        ascent={"steps": 0, "lr": 1.0, "longest": None},
    )
    grey = 100 - targets.square().sum(1)
    assert reached(shard, grey, torch.full((4,), 100.0)).min() > ENOUGH
    assert shard.activation_trace.shape == (4, 1)


class Counted:
    """A prior whose renderings are counted; as it is no module, it is called each time."""

    def __init__(self, prior):
        self.prior, self.latent_size, self.image_size = prior, prior.latent_size, prior.image_size
        self.count = 0

    def render(self, latents):
        self.count += len(latents)
        return self.prior.render(latents)


def test_an_evolution_of_silent_units_costs_the_others_nothing():
    weight = normal(5, 3, SIZE, SIZE)
    bias = -optima.at_grey(weight)
    bias[:4] += 20
    bias[4] -= 0.1 * (optima.in_box(weight) - optima.at_grey(weight))[4]  # silent, but not to all images
    conv = filled(nn.Conv2d(3, 5, SIZE), weight, bias)
    module = nn.Sequential(conv, nn.ReLU())
    post = {"objective": {"position": "centre", "activation": "post"}, "batch_size": 5}
    silent = {**EVOLUTIONS["fixed_sigma"], "strategy": "fixed_sigma", "sigma": 2.0, "only": "silent"}
    made, counts = {}, {}
    for name, evolution in (("without", EVOLUTIONS["none"]), ("silent", silent)):
        prior = Counted(Pixels(SIZE))
        made[name] = make(module, {"0": range(5)}, prior, evolution=evolution, **post)
        counts[name] = prior.count
    # One look at each unit's gradient, and the evolution of the one that has none.
    assert counts["silent"] - counts["without"] == 5 + 15 * 12
    for item in ("image", "latent", "activation", "activation_trace", "status"):
        without, beside = (getattr(made[name], item)[:4] for name in ("without", "silent"))
        assert np.array_equal(without, beside), item
    assert made["without"].status.tolist() == [schema.Status.CONVERGED] * 4 + [schema.Status.DEAD]
    assert made["silent"].status.tolist() == [schema.Status.CONVERGED] * 5
