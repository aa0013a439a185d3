"""Starts, ascent and the snapshot: closed forms on tiny priors and networks, and one consistent result."""

import numpy as np
import pytest
import torch
from torch import nn

from protoviz import backbones, schema
from protoviz.cube import Address
from protoviz.params import Synthesis
from protoviz.synthesis import ascent, pool
from protoviz.synthesis.hybrid import prototypes
from protoviz.synthesis.objectives import Units, all_responses, render

SETTINGS = Synthesis(repeats=2, pool=32, top=3, steps=6, lr=0.2, longest=3.0, batch_size=5)
SIZE = 32


class LinearPrior(nn.Module):
    """Eight latents drawn into an image by a random matrix and a sigmoid."""

    latent_size, image_size = 8, SIZE

    def __init__(self) -> None:
        super().__init__()
        draws = torch.Generator().manual_seed(0)
        self.paint = torch.randn(8, 3 * SIZE * SIZE, generator=draws)

    def render(self, latents):
        return torch.sigmoid(latents @ self.paint).view(-1, 3, SIZE, SIZE)


@pytest.fixture
def network():
    return backbones.initial("resnet18", 4, 1).eval().requires_grad_(False)


def make(network, address=("clrjit", 1, 0, 8), **changed):
    settings = SETTINGS.model_copy(update=changed)
    return prototypes(
        network, LinearPrior(), settings, size=SIZE, address=Address(*address), device=torch.device("cpu")
    )


def test_snapshot_is_one_and_the_same_step(network):
    shard = make(network)
    latent = torch.from_numpy(shard.latent)
    again = LinearPrior().render(latent.float()).mul(255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    assert np.array_equal(again, shard.image), "the latent regenerates the image"
    pixels = torch.from_numpy(shard.image).permute(0, 3, 1, 2).float() / 255
    first = 0
    for layer, count in network.units.items():
        maps = network.pre_activation(backbones.normalise(pixels[first : first + count]), layer)
        row, column = backbones.centre_unit(*maps.shape[2:])
        expected = maps[range(count), range(count), row, column].numpy()
        np.testing.assert_allclose(shard.activation[first : first + count], expected, rtol=1e-4, atol=1e-4)
        first += count
    best = shard.activation_trace.max(1)
    np.testing.assert_allclose(shard.activation, best, atol=0.05 * np.abs(best).max())
    assert (best > shard.activation_trace[:, 0]).mean() > 0.9, "the ascent rises"


def test_batches_do_not_matter(network):
    whole, parts = make(network, batch_size=64), make(network, batch_size=3)
    np.testing.assert_allclose(parts.activation, whole.activation, rtol=1e-4, atol=1e-4)
    assert np.abs(parts.image.astype(int) - whole.image).max() <= 1


def test_address_decides_the_numbers_and_nothing_else_does(network):
    first = make(network)
    torch.rand(3)
    assert np.array_equal(first.image, make(network).image)
    for other in (("keepclr", 1, 0, 8), ("clrjit", 2, 0, 8), ("clrjit", 1, 1, 8), ("clrjit", 1, 0, 4)):
        assert not np.array_equal(first.latent, make(network, other).latent), other


def test_network_is_left_as_it_was(network):
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    make(network)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_a_unit_that_nothing_wakes_is_dead(network):
    network.layer2[1].bn2.weight[3] = 0
    network.layer2[1].bn2.bias[3] = -50
    assert make(network).status.tolist().count(schema.Status.DEAD) >= 1
    assert make(network).status[4 + 3] == schema.Status.DEAD


def test_a_unit_that_is_not_finite_diverged_and_its_neighbours_did_not(network):
    network.layer4[1].bn2.bias[5] = torch.nan
    status = make(network).status
    assert status[4 + 8 + 16 + 5] == schema.Status.DIVERGED
    assert (status == schema.Status.DIVERGED).sum() == 1


def test_adam_finds_the_maximum_of_a_concave_response():
    target = torch.tensor([[1.0, -2.0], [0.5, 3.0]])
    best = ascent.adam(
        torch.zeros(2, 2), lambda z: -(z - target).square().sum(1), steps=300, lr=0.1, longest=10
    )
    torch.testing.assert_close(best.latent, target, atol=1e-2, rtol=0)
    assert best.trace.shape == (2, 301)


def test_adam_steps_are_those_of_the_paper():
    """Kingma & Ba 2015, algorithm 1, by hand."""
    start = torch.tensor([[0.3, -0.7]], dtype=torch.float64)
    best = ascent.adam(start, lambda z: z.sin().sum(1), steps=5, lr=0.1, longest=10)
    z, m, v = start.numpy().copy(), 0.0, 0.0
    for t in range(1, 6):
        gradient = np.cos(z)
        m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
        z = z + 0.1 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
    np.testing.assert_allclose(best.latent.numpy(), z, rtol=1e-10)


def test_best_step_is_kept_when_the_ascent_overshoots():
    best = ascent.adam(torch.tensor([[0.1]]), lambda z: -z.square().sum(1), steps=3, lr=1.0, longest=10)
    assert best.latent.item() == pytest.approx(0.1)
    assert best.trace[0, 0] == best.trace.max()
    assert best.trace[0, -1] < best.trace[0, 0]


def test_latents_stay_within_the_ball():
    best = ascent.adam(torch.zeros(3, 4), lambda z: z.sum(1), steps=50, lr=0.5, longest=1.5)
    torch.testing.assert_close(best.latent.norm(dim=1), torch.full((3,), 1.5 * 2))
    torch.testing.assert_close(best.latent, torch.full((3, 4), 1.5), atol=1e-3, rtol=0)


def test_start_is_not_changed():
    start = torch.ones(2, 3)
    ascent.adam(start, lambda z: z.sum(1), steps=3, lr=0.5, longest=10)
    assert torch.equal(start, torch.ones(2, 3))


def test_log_rank_weights_in_closed_form():
    expected = np.log(6) - np.log(np.arange(1, 6))
    np.testing.assert_allclose(pool.log_rank_weights(5), expected / expected.sum(), rtol=1e-6)
    assert pool.log_rank_weights(1).tolist() == [1.0]


def test_starts_recombine_the_best_at_their_own_length():
    latents = pool.draw(50, 8, "clrjit", 1, 0, 8)
    scores = torch.arange(50.0)[:, None].repeat(1, 2)
    scores[:, 1] = -scores[:, 1]
    start = pool.starts(latents, scores, 3)
    weights = pool.log_rank_weights(3)
    mean = weights @ latents[[49, 48, 47]]
    torch.testing.assert_close(start[0] / start[0].norm(), mean / mean.norm())
    torch.testing.assert_close(start[0].norm(), latents[[49, 48, 47]].norm(dim=1).mean())
    torch.testing.assert_close(pool.starts(latents, scores, 1)[1], latents[0])


def test_scores_are_the_responses_of_single_units(network):
    prior = LinearPrior()
    latents = pool.draw(7, 8, "a")
    scores = pool.score(network, prior, latents, SIZE)
    for layer, count in network.units.items():
        for channel in (0, count - 1):
            units = Units(network, layer, [channel] * 7)
            alone = units(prior.render(latents))
            torch.testing.assert_close(alone, scores[layer][:, channel], rtol=1e-4, atol=1e-4)


def test_all_responses_reads_the_centre(network):
    images = torch.rand(2, 3, SIZE, SIZE)
    maps = network.pre_activation(backbones.normalise(images), "layer1")
    torch.testing.assert_close(all_responses(network, images)["layer1"], maps[:, :, 3, 3])


def test_pool_is_standard_normal():
    latents = pool.draw(4000, 16, "any")
    assert latents.mean().abs() < 5 / np.sqrt(latents.numel())
    torch.testing.assert_close(latents.T @ latents / 4000, torch.eye(16), atol=0.08, rtol=0)


def test_render_resizes_to_what_the_network_sees():
    images = render(LinearPrior(), torch.randn(2, 8), 16)
    assert images.shape == (2, 3, 16, 16)
    assert 0 <= images.min() <= images.max() <= 1
