"""Units that are silent, that nothing wakes, or whose response is no number: remedied, or named."""

from collections import OrderedDict

import numpy as np
import pytest
import torch
from torch import nn

from protoviz.config import synthesis
from protoviz.models.priors.pixels import Pixels
from protoviz.models.readout.network import Network
from protoviz.store.cube import Address
from protoviz.store.schema import Status
from protoviz.synthesis.search import prototypes
from tests.reference import agreeing, optima

SIZE, UNITS = 8, 5
SILENT = 2  # the unit that is not as the others
OTHERS = [unit for unit in range(UNITS) if unit != SILENT]
POST, PRE = ({"position": "centre", "activation": name} for name in ("post", "pre"))
OWN, POOL = {"pool": 0, "sigma": 0.1}, {"pool": 32, "top": 3, "sigma": 1.0}
BALL = {"steps": 40, "lr": 0.2, "longest": 1.2}


def make(module, layer="0", units=range(UNITS), **changes):
    usual = {"precision": "float32", "objective": POST, "start": OWN, "rescue": 0, "ascent": BALL}
    network = Network(module, SIZE, (0, 0, 0), (1, 1, 1))
    return prototypes(
        network,
        {layer: units},
        Pixels(SIZE),
        synthesis.changed("fast", usual | changes),
        address=Address("planted", 1, 0, 0),
        device=torch.device("cpu"),
    )


def rectified(threshold, weight=None):
    """Filters and a ReLU: unit SILENT wakes at a share of the way from grey to its optimum."""
    if weight is None:
        weight = torch.randn(UNITS, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
    grey, best = optima.at_grey(weight), optima.in_box(weight)
    conv = nn.Conv2d(3, UNITS, SIZE)
    with torch.no_grad():
        conv.weight.copy_(weight)
        conv.bias.copy_(0.2 * (best - grey) - grey)
        conv.bias[SILENT] = -(grey + threshold * (best - grey))[SILENT]
    return nn.Sequential(conv, nn.ReLU())


@pytest.mark.parametrize("start", [OWN, POOL], ids=["own", "pool"])
def test_the_remedy_wakes_a_unit_that_usual_images_leave_silent(start):
    """After its ReLU it has no gradient anywhere near; before, the ascent has one to follow."""
    module = rectified(threshold=0.3)
    without, rescued = make(module, start=start), make(module, start=start, rescue=1)
    assert without.status[SILENT] == Status.DEAD
    assert without.activation[SILENT] == 0
    assert rescued.status.tolist() == [Status.CONVERGED] * UNITS
    assert rescued.activation[SILENT] > 0
    for item in ("image", "latent", "activation", "activation_trace", "status"):
        assert np.array_equal(getattr(without, item)[OTHERS], getattr(rescued, item)[OTHERS]), item


def test_what_is_rescued_is_one_consistent_result():
    shard = make(rectified(threshold=0.3), rescue=1)
    latent = torch.from_numpy(shard.latent[[SILENT]]).float()
    image = Pixels(SIZE).render(latent).mul(255).round()
    assert np.array_equal(image[0].permute(1, 2, 0).numpy(), shard.image[SILENT])
    response = rectified(threshold=0.3)(image / 255)[0, SILENT].item()
    assert shard.activation[SILENT] == pytest.approx(response, rel=1e-4)


@pytest.mark.parametrize(("attempts", "status"), [(0, Status.DEAD), (1, Status.DEAD), (2, Status.CONVERGED)])
def test_every_further_attempt_goes_twice_as_far(attempts, status):
    """sigmoid(1.2) is 54 % of the way to white, sigmoid(2.4) 83 %, sigmoid(4.8) 98 %."""
    shard = make(rectified(threshold=0.9), objective=PRE, rescue=attempts)
    assert shard.status[SILENT] == status
    assert (np.delete(shard.status, SILENT) == Status.CONVERGED).all()


def test_more_attempts_than_are_needed_change_nothing():
    few, many = (make(rectified(threshold=0.3), rescue=count) for count in (1, 5))
    assert np.array_equal(few.image, many.image)


@pytest.mark.parametrize("objective", [POST, PRE], ids=["post", "pre"])
@pytest.mark.parametrize("start", [OWN, POOL], ids=["own", "pool"])
@pytest.mark.parametrize("filters", ["none", "out of reach"])
def test_what_nothing_wakes_stays_dead_and_finite(objective, start, filters):
    weight = torch.randn(UNITS, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
    if filters == "none":
        weight[SILENT] = 0
    module = rectified(threshold=2.0, weight=weight)
    with torch.no_grad():
        module[0].bias[SILENT] -= 1
    shard = make(module, objective=objective, start=start, rescue=2)
    assert shard.status[SILENT] == Status.DEAD
    assert shard.activation[SILENT] <= 0
    assert np.isfinite(shard.activation).all()
    assert np.isfinite(shard.activation_trace).all()
    assert np.isfinite(shard.latent.astype(float)).all()
    assert (shard.status[OTHERS] == Status.CONVERGED).all()


def test_an_evolution_wakes_a_unit_too():
    """The paper's own remedy, for a unit that some of many random images wake."""
    evolution = {"strategy": "fixed_sigma", "generations": 20, "samples": 30, "sigma": 2.0, "only": "silent"}
    free = {"steps": 40, "lr": 0.2, "longest": None}
    without = make(rectified(threshold=0.1), ascent=free)
    evolved = make(rectified(threshold=0.1), ascent=free, evolution=evolution)
    assert without.status[SILENT] == Status.DEAD
    assert evolved.status[SILENT] == Status.CONVERGED


@pytest.mark.parametrize("objective", [POST, PRE], ids=["post", "pre"])
@pytest.mark.parametrize("start", [OWN, POOL], ids=["own", "pool"])
@pytest.mark.parametrize("sign", ["overflow", "overflow of both signs"])
def test_overflow_is_named_and_stops_its_own_unit_only(objective, start, sign):
    """Finite weights whose responses are not: infinity, or the difference of two."""
    sound = rectified(threshold=0.1)
    broken = rectified(threshold=0.1)
    with torch.no_grad():
        huge = torch.full((3, SIZE, SIZE), 3e38)
        broken[0].weight[SILENT] = huge if sign == "overflow" else huge * broken[0].weight[SILENT].sign()
    expected = make(sound, objective=objective, start=start, rescue=1)
    shard = make(broken, objective=objective, start=start, rescue=1)
    assert shard.status[SILENT] == Status.DIVERGED
    np.testing.assert_allclose(shard.activation[OTHERS], expected.activation[OTHERS], rtol=1e-4)
    assert (shard.status[OTHERS] == Status.CONVERGED).all()
    assert np.isfinite(shard.latent.astype(float)).all()


class Cliff(nn.Module):
    """-sqrt(1 - y): rises towards y = 1, and is no number beyond."""

    def forward(self, y):
        return 100 - (1 - y).sqrt()


def test_a_response_that_is_lost_on_the_way_is_named_too():
    """The image that is kept is sound, but better ones may lie where the response is no number."""
    conv = nn.Conv2d(3, 2, SIZE)
    with torch.no_grad():
        conv.weight.copy_(torch.full_like(conv.weight, 1 / (3 * SIZE**2)))
        conv.bias.copy_(torch.tensor([0.0, 0.4]))  # of a white image 1.0 and 1.4
    shard = make(nn.Sequential(conv, Cliff()), units=[0, 1], layer="1", objective=PRE)
    assert np.isfinite(shard.activation).all()
    assert shard.status.tolist() == [Status.CONVERGED, Status.DIVERGED]
    assert np.isfinite(shard.latent.astype(float)).all()


def test_units_of_a_block_that_diverges_are_those_of_the_block_without_it():
    broken = rectified(threshold=0.1)
    with torch.no_grad():
        broken[0].weight[SILENT] = 3e38
    together = make(broken, batch_size=5)
    for unit in (1, 3):
        alone = make(broken, units=[unit], batch_size=1)
        np.testing.assert_allclose(alone.activation, together.activation[[unit]], rtol=1e-4)


@pytest.mark.parametrize("position", ["centre", "mean"])
@pytest.mark.parametrize("activation", ["pre", "post"])
def test_units_of_all_layers_that_are_tried_again_together_are_those_alone(position, activation):
    """Maps and vectors, some so far below zero that they need a further attempt."""
    layers = OrderedDict(
        low=nn.Conv2d(3, 4, 3, padding=1),
        bend=nn.ReLU(),
        high=nn.Conv2d(4, 4, 3, padding=1),
        bend_again=nn.ReLU(),
        pool=nn.AdaptiveAvgPool2d(1),
        flat=nn.Flatten(),
        head=nn.Linear(4, 4),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        module = nn.Sequential(layers)
    with torch.no_grad():
        for name, deep in (("low", -0.5), ("high", -0.2), ("head", -1.0)):
            layers[name].bias[1::2] = deep
    network = Network(module.eval(), SIZE, (0, 0, 0), (1, 1, 1))
    objective = {"position": position, "activation": activation}

    def made(units, rescue):
        changes = {"precision": "float32", "objective": objective, "start": OWN, "rescue": rescue}
        settings = synthesis.changed("fast", changes | {"ascent": {"steps": 4, "lr": 0.1}})
        address = Address("planted", 1, 0, 0)
        return prototypes(network, units, Pixels(SIZE), settings, address=address, device=torch.device("cpu"))

    everyone = {name: list(range(4)) for name in ("low", "high", "head")}
    together = made(everyone, 2)
    silent = made(everyone, 0).status == Status.DEAD
    assert silent.sum() >= 3
    assert not silent.all()
    for row, (layer, channel) in enumerate((layer, c) for layer, some in everyone.items() for c in some):
        alone = made({layer: [channel]}, 2)
        assert alone.status[0] == together.status[row]
        agreeing.same_but_for_rounding(alone, together, [row])


class Bump(nn.Module):
    """10 - 4 y^2, greatest where its linear unit is 0: long steps from nearby lead across."""

    def forward(self, y):
        return 10 - 4 * y.square()


@pytest.mark.parametrize(("attempts", "found"), [(0, False), (1, False), (2, True)])
def test_a_unit_whose_steps_lead_astray_is_tried_again_in_shorter_ones(attempts, found):
    weight = torch.randn(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
    conv = nn.Conv2d(3, 2, SIZE)
    with torch.no_grad():
        conv.weight.copy_(weight)
        conv.bias.copy_(0.5 - optima.at_grey(weight))
    ascent = {"steps": 4, "lr": 0.4, "longest": None}
    shard = make(
        nn.Sequential(conv, Bump()), "1", [0, 1], objective=PRE, ascent=ascent,
        start={"pool": 0, "sigma": 0.01}, rescue=attempts,
    )  # fmt: skip
    assert ((shard.activation > 9.9) == found).all()
    assert (shard.activation_trace[:, 1:].max(1) > shard.activation_trace[:, 0]).tolist() == [found] * 2
    assert (shard.status == Status.CONVERGED).all()
