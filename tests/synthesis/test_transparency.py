"""Where an ascent has worked: against one that is written out step by step, on planted fields, on nulls."""

import numpy as np
import pytest
import torch
from torch import nn

import protoviz
from protoviz.config.synthesis import Transforms
from protoviz.errors import StudyError
from protoviz.models.priors.pixels import Pixels
from protoviz.store import cube, schema
from protoviz.synthesis import ascent, transforms
from protoviz.synthesis.attempts import WORKED, transparency
from tests.reference import prototypes as toy

SIZE = 12
MOVES = Transforms(jitter=2, scale=(0.9, 1.1), rotation=5, crop=(0.7, 1.0), noise=0.1)


def network(seed=0, kernel=3):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 4, kernel), nn.ReLU(), nn.Conv2d(4, 5, kernel))


def made(model=None, **changes):
    how = {"prior": "fourier", "size": SIZE, "repeats": 1, "ascent": {"steps": 5}, "precision": "float32"}
    how |= {"mean": [0.5] * 3, "std": [0.2] * 3}
    return protoviz.synthesize(model or network(), "2:0-4", **(how | changes))


@pytest.mark.parametrize("moved", [False, True])
def test_gradients_are_summed_over_all_steps(moved):
    """Of two units, written out: image, transform, response, its gradient by the image, one step of Adam."""
    prior, model = Pixels(SIZE), network()
    start = torch.randn(2, prior.latent_size, generator=torch.Generator().manual_seed(0))
    draws = None
    if moved:
        draws = torch.stack([transforms.draw(MOVES, 4, "a", k, size=SIZE) for k in range(2)], 1)

    def respond(images, draw):
        shown = images if draw is None else transforms.apply(images, draw)
        return model(shown)[[0, 1], [3, 1], 4, 4]

    best = ascent.adam(start, respond, steps=4, lr=0.1, longest=None, draws=draws, through=prior.render)
    latent, expected = start.clone(), torch.zeros(2, 3, SIZE, SIZE)
    first, second = torch.zeros_like(start), torch.zeros_like(start)
    for step in range(4):
        latent.requires_grad_()
        image = prior.render(latent)
        response = respond(image, None if draws is None else draws[step])
        by_image, gradient = torch.autograd.grad(response.sum(), (image, latent))
        expected += by_image.abs()
        first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
        change = first / (1 - 0.9 ** (step + 1)) / ((second / (1 - 0.999 ** (step + 1))).sqrt() + 1e-12)
        latent = (latent + 0.1 * change).detach()
    torch.testing.assert_close(best.worked, expected, atol=1e-5, rtol=1e-3)


def test_opacities_are_cut_at_the_percentile_of_what_was_worked_on():
    worked = torch.zeros(2, 3, 5, 5)
    worked[0, :, 1, :] = torch.arange(5.0)[None]  # of its pixels, 1 to 4 were worked on
    opacity = transparency(worked)
    full = np.quantile([1, 2, 3, 4], WORKED)
    expected = np.rint(255 * np.clip(np.arange(5) / full, 0, 1))
    np.testing.assert_array_equal(opacity[0, 1], expected)
    assert opacity[0, [0, 2, 3, 4]].sum() == 0
    assert opacity[1].sum() == 0, "nothing was done: nothing is shown"
    # Scaled, averaged over colours: the same opacities.
    assert torch.equal(transparency(1e-6 * worked), opacity)
    one = torch.zeros(1, 3, 5, 5)
    one[:, 1] = 3 * worked[:1].mean(1)
    assert torch.equal(transparency(one), opacity[:1])


def test_many_large_images_at_once():
    """More values than older versions of torch take a quantile of."""
    worked = torch.ones(1, 1, 1024, 1025).expand(17, -1, -1, -1)
    assert (transparency(worked) == 255).all()


def test_only_the_field_of_a_unit_is_worked_on():
    """Without transforms: the centre (3, 3) of a map 8 px wide sees the 5 px from there on."""
    still = {"jitter": 0, "scale": (1, 1), "rotation": 0}
    for prior in ("pixels", "fourier", "maco"):
        found = made(prior=prior, keep_transparency=True, transforms=still | {"crop": (1, 1), "noise": 0})
        opacity = found.transparency.to_numpy()[0, 0, 0, 0]
        assert opacity.shape == (5, SIZE, SIZE)
        inside = opacity[:, 3:8, 3:8]
        assert (opacity.sum((1, 2)) == inside.sum((1, 2), dtype=int)).all()
        assert inside.max() == 255


@pytest.mark.parametrize("moves", [{}, {"crop": (0.7, 1.0), "noise": 0.1}])
def test_it_changes_no_prototype(moves):
    without, kept = made(transforms=moves), made(transforms=moves, keep_transparency=True)
    assert schema.TRANSPARENCY not in without
    np.testing.assert_allclose(kept.latent, without.latent, atol=2e-3)
    np.testing.assert_allclose(kept.activation, without.activation, rtol=1e-3)
    assert np.abs(kept.image.astype(int) - without.image.astype(int)).max() <= 1


def test_blocks_do_not_matter():
    whole, parts = (
        made(keep_transparency=True, batch_size=size).transparency.astype(int) for size in (64, 2)
    )
    assert np.abs(whole - parts).max() <= 1


def test_a_unit_without_gradient_has_none():
    model = network()
    with torch.no_grad():
        model[2].weight[1] = 0
    found = made(model, keep_transparency=True)
    sums = found.transparency.sum(("y", "x")).values.ravel()
    assert sums[1] == 0
    assert (sums[[0, 2, 3, 4]] > 0).all()


def test_of_a_further_attempt_it_is_that_attempts_own():
    """A unit that stays silent is tried again, twice as long."""
    model = network()
    with torch.no_grad():
        model[2].bias[1] = -1e3
    once, again = (made(model, keep_transparency=True, rescue=k).transparency.values for k in (0, 1))
    assert (once[0, 0, 0, 0, 1] != again[0, 0, 0, 0, 1]).any()
    assert (once[0, 0, 0, 0, 0] == again[0, 0, 0, 0, 0]).all()


def test_a_cube_that_keeps_it_asks_for_it(tmp_path):
    extent = toy.template(repeats=(0,), epochs=(0,))
    cube.create(tmp_path / "a.zarr", extent, {})
    address = cube.Address("clrjit", 1, 0, 0)
    shard = toy.shard(address)
    bare = cube.Shard(shard.image, shard.latent, shard.activation, shard.activation_trace, shard.status)
    with pytest.raises(StudyError, match=r"transparency of .*: expected opacities, .*found none"):
        cube.write_shard(tmp_path / "a.zarr", address, bare)
    cube.create(tmp_path / "b.zarr", toy.template(repeats=(0,), epochs=(0,), transparency=False), {})
    cube.write_shard(tmp_path / "b.zarr", address, shard)
    cube.finish(tmp_path / "b.zarr")
    assert schema.TRANSPARENCY not in cube.open_cube(tmp_path / "b.zarr")
