"""Adam on latents: the paper's steps, closed forms, the best step, the ball, transforms."""

import numpy as np
import pytest
import torch

from protoviz.synthesis import ascent


def climb(start, respond, **settings):
    """An ascent of a response that knows no transforms."""
    return ascent.adam(start, lambda latent, _draws: respond(latent), **{"longest": None, **settings})


def test_finds_the_maximum_of_a_concave_response():
    target = torch.tensor([[1.0, -2.0], [0.5, 3.0]])
    best = climb(torch.zeros(2, 2), lambda z: -(z - target).square().sum(1), steps=300, lr=0.1)
    torch.testing.assert_close(best.latent, target, atol=1e-2, rtol=0)
    assert best.trace.shape == (2, 301)


def test_steps_are_those_of_the_paper():
    """Kingma & Ba 2015, algorithm 1, by hand."""
    start = torch.tensor([[0.3, -0.7]], dtype=torch.float64)
    best = climb(start, lambda z: 2 * z.sin().sum(1), steps=5, lr=0.1)
    z, m, v = start.numpy().copy(), 0.0, 0.0
    for t in range(1, 6):
        gradient = 2 * np.cos(z)
        m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
        z = z + 0.1 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
    np.testing.assert_allclose(best.latent.numpy(), z, rtol=1e-10)


def test_steps_are_those_of_torch():
    start = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
    latent = start.clone().requires_grad_(True)
    optimizer = torch.optim.Adam([latent], lr=0.05, maximize=True)
    for _ in range(20):
        optimizer.zero_grad()
        (latent.sin() * latent).sum().backward()
        optimizer.step()
    best = climb(start, lambda z: (z.sin() * z).sum(1), steps=20, lr=0.05)
    torch.testing.assert_close(best.latent, latent.detach(), rtol=1e-5, atol=1e-6)


def test_damped_steps_by_hand():
    """The divisor of every component, and a share of the greatest one of its unit."""
    start = np.array([[0.3, -0.7, 0.0], [3.0, 0.01, -0.2]])
    slope = np.array([[2.0, 0.1, -0.01], [1e-4, 3e-4, 0.0]])
    give = torch.from_numpy(slope)
    best = climb(torch.from_numpy(start), lambda z: (give * z.sin()).sum(1), steps=5, lr=0.1, damping=0.3)
    z, m, v = start, 0.0, 0.0
    for t in range(1, 6):
        gradient = slope * np.cos(z)
        m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
        spread = np.sqrt(v / (1 - 0.999**t))
        z = z + 0.1 * (m / (1 - 0.9**t)) / (spread + 0.3 * spread.max(1, keepdims=True))
    np.testing.assert_allclose(best.latent.numpy(), z, rtol=1e-6)


def test_much_damping_makes_steps_that_are_proportional_to_the_gradient():
    """To a linear response: along its slope, where Adam's own go into all components alike."""
    slope = torch.tensor([[4.0, 1.0, 0.25]])
    plain, damped = (
        climb(torch.zeros(1, 3), lambda z: (slope * z).sum(1), steps=4, lr=0.1, damping=much).latent[0]
        for much in (0.0, 1e4)
    )
    torch.testing.assert_close(plain / plain[0], torch.ones(3))
    torch.testing.assert_close(damped / damped[0], slope[0] / 4, rtol=1e-3, atol=0)


def test_best_step_is_kept_when_the_ascent_overshoots():
    best = climb(torch.tensor([[0.1]]), lambda z: -z.square().sum(1), steps=3, lr=1.0)
    assert best.latent.item() == pytest.approx(0.1)
    assert best.trace[0, 0] == best.trace.max()
    assert best.trace[0, -1] < best.trace[0, 0]


def test_latents_stay_within_the_ball():
    best = climb(torch.zeros(3, 4), lambda z: z.sum(1), steps=50, lr=0.5, longest=1.5)
    torch.testing.assert_close(best.latent.norm(dim=1), torch.full((3,), 1.5 * 2))
    torch.testing.assert_close(best.latent, torch.full((3, 4), 1.5), atol=1e-3, rtol=0)


def test_a_start_outside_of_the_ball_begins_on_its_surface():
    best = climb(torch.full((2, 4), 9.0), lambda z: -z.square().sum(1), steps=0, lr=0.5, longest=2)
    torch.testing.assert_close(best.latent, torch.full((2, 4), 2.0))
    assert best.trace.tolist() == [[-16.0], [-16.0]]


def test_within_the_ball_the_best_direction_is_found():
    """Steps of one size in every dimension, scaled back, would end at the signs of the slope."""
    slope = torch.tensor([[3.0, -1.0, 0.1], [1.0, 2.0, -5.0]])
    best = climb(torch.zeros(2, 3), lambda z: (slope * z).sum(1), steps=200, lr=0.1, longest=2)
    expected = slope / slope.norm(dim=1, keepdim=True) * 2 * 3**0.5
    torch.testing.assert_close(best.latent, expected, atol=0.05, rtol=0)


def test_from_the_surface_of_the_ball_the_way_inwards_is_free():
    target = torch.tensor([[1.0, 1.0, 1.0], [0.5, -0.5, 1.0]])
    start = torch.tensor([[-9.0, -9.0, -9.0], [-9.0, -9.0, -9.0]])
    settings = {"lr": 0.1, "longest": 2}
    first = climb(start, lambda z: -(z - target).square().sum(1), steps=1, **settings)
    torch.testing.assert_close(first.latent, torch.full((2, 3), -1.9), atol=1e-4, rtol=0)
    last = climb(start, lambda z: -(z - target).square().sum(1), steps=300, **settings)
    torch.testing.assert_close(last.latent, target, atol=1e-2, rtol=0)


@pytest.mark.parametrize("factor", [1e-30, 1e-12, 1e-6, 1e12, 1e30])
def test_the_scale_of_a_response_does_not_matter(factor):
    start = torch.randn(3, 5, generator=torch.Generator().manual_seed(0))
    usual = climb(start, lambda z: z.sin().sum(1), steps=20, lr=0.1)
    scaled = climb(start, lambda z: (factor * z.sin()).sum(1), steps=20, lr=0.1)
    torch.testing.assert_close(scaled.latent, usual.latent, rtol=1e-4, atol=1e-4)


def test_start_is_not_changed():
    start = torch.ones(2, 3)
    climb(start, lambda z: z.sum(1), steps=3, lr=0.5)
    assert torch.equal(start, torch.ones(2, 3))


def test_without_steps_the_start_is_measured():
    best = climb(torch.tensor([[2.0], [3.0]]), lambda z: z.sum(1), steps=0, lr=0.5)
    assert best.latent.tolist() == [[2.0], [3.0]]
    assert best.trace.tolist() == [[2.0], [3.0]]


def test_what_is_not_finite_stops_its_own_unit_only():
    slope = torch.tensor([1.0, torch.inf])
    best = climb(torch.ones(2, 3), lambda z: slope * z.sum(1), steps=4, lr=0.1)
    assert best.finite.tolist() == [True, False]
    assert best.latent[1].isfinite().all()
    alone = climb(torch.ones(1, 3), lambda z: z.sum(1), steps=4, lr=0.1)
    torch.testing.assert_close(best.latent[:1], alone.latent)


def test_every_step_sees_its_own_transform():
    seen = []

    def respond(latent, draws):
        seen.append(None if draws is None else draws[:, 0].tolist())
        return latent.sum(1)

    draws = torch.arange(10.0).view(10, 1, 1).expand(10, 2, 4)
    ascent.adam(torch.zeros(2, 3), respond, steps=10, lr=0.1, longest=None, draws=draws)
    assert [step for step in seen if step is not None] == [[float(k)] * 2 for k in range(10)]
    assert seen.count(None) == 3, "measured without transforms at steps 0 and 8 and at the end"


def test_under_transforms_the_best_is_what_is_best_without_them():
    def respond(latent, draws):
        luck = 0 if draws is None else draws[:, 0]
        return -latent.square().sum(1) + luck

    lucky = torch.zeros(16, 1, 4)
    lucky[5] = 100
    best = ascent.adam(torch.full((1, 1), 2.0), respond, steps=16, lr=0.1, longest=None, draws=lucky)
    assert best.trace.max() > 90
    assert abs(best.latent.item()) == pytest.approx(2.0 - 1.6, abs=0.2), "the last, not the lucky one"
