"""The equations of the strategies one by one: closed forms, and dense matrices where there is none."""

import math

import numpy as np
import pytest
import torch

from protoviz.synthesis.evolution import cma_es, constants, cumulation, selection, vd_cma_es, weights
from protoviz.synthesis.evolution.base import STRATEGIES
from tests.reference import evolution as oracle


def normal(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("n", [2, 5, 30])
def test_natural_gradient_solves_the_fisher_system(n):
    v = normal(4, n) * torch.tensor([0.1, 0.5, 1.0, 5.0], dtype=torch.float64)[:, None]
    x, w = normal(4, 9, n, seed=1), torch.linspace(1, 0.1, 9, dtype=torch.float64).expand(4, 9)
    p, q = vd_cma_es.scale_gradient(x, w, v), vd_cma_es.axis_gradient(x, w, v)
    change = vd_cma_es.natural_gradient(p, q, v)
    for unit in range(4):
        gradients = [
            w[unit, k].item() * oracle.likelihood_gradient(x[unit, k].numpy(), np.ones(n), v[unit].numpy())
            for k in range(9)
        ]
        fisher = oracle.fisher(v[unit].numpy(), vd_cma_es.coupling(v)[unit].item())
        expected = np.linalg.solve(fisher, sum(gradients))
        found = torch.cat([change.log_scales[unit], change.long_axis[unit]]).numpy()
        np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-10)


def test_likelihood_gradient_of_the_oracle_is_that_of_torch():
    D, v, y = normal(4).exp(), normal(4, seed=1), normal(4, seed=2)
    log_scales, v = D.log().requires_grad_(), v.requires_grad_()
    scales = torch.diag(log_scales.exp())
    covariance = scales @ (torch.eye(4) + torch.outer(v, v)) @ scales
    likelihood = torch.distributions.MultivariateNormal(torch.zeros(4).double(), covariance).log_prob(y)
    expected = torch.cat(torch.autograd.grad(likelihood, [log_scales, v]))
    found = oracle.likelihood_gradient(y.numpy(), D.numpy(), v.detach().numpy())
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-9)


def test_stretch_is_the_power_of_the_matrix():
    v, x = normal(2, 5), normal(2, 3, 5, seed=1)
    for unit in range(2):
        matrix = torch.eye(5) + torch.outer(v[unit], v[unit])
        twice = vd_cma_es.stretch(vd_cma_es.stretch(x, v, 0.5), v, 0.5)[unit]
        torch.testing.assert_close(twice, x[unit] @ matrix)
        torch.testing.assert_close(vd_cma_es.stretch(x, v, -1.0)[unit] @ matrix, x[unit])


@pytest.mark.parametrize("name", STRATEGIES)
def test_samples_have_the_covariance_of_the_state(name):
    """`ask` is affine in the draws: its slope times its transpose is the covariance."""
    n, samples = 4, 12
    start = STRATEGIES[name](normal(1, n), 0.7, samples, None)
    state = start
    for z in normal(6, 1, samples, n, seed=1):
        state = state.tell(state.ask(z), -state.ask(z).square() @ torch.arange(1.0, n + 1).double())
    unit = torch.zeros(1, samples, n, dtype=torch.float64)
    unit[0, :n] = torch.eye(n)
    shift = state.ask(unit)[0, :n] - state.mean
    torch.testing.assert_close(state.ask(unit)[0, n:], state.mean.expand(samples - n, n))
    if name == "cma":
        shape = state.covariance[0]
    else:
        scales = torch.diag(state.scales[0]) if name != "fixed_sigma" else torch.eye(n).double()
        v = state.long_axis[0] if name == "vd_cma" else torch.zeros(n).double()
        shape = scales @ (torch.eye(n) + torch.outer(v, v)) @ scales
    torch.testing.assert_close(shift.T @ shift, torch.as_tensor(state.sigma) ** 2 * shape)


def test_fixed_sigma_moves_by_the_weighted_mean_of_the_best_draws():
    start, draws = normal(1, 6), normal(1, 30, 6, seed=1)
    state = STRATEGIES["fixed_sigma"](start, 2.0, 30, 15).tell(start[:, None] + 2.0 * draws, draws.sum(2))
    ranked = draws[0][draws[0].sum(1).argsort(descending=True)][:15]
    share = torch.log(torch.tensor(16.0).double()) - torch.log(torch.arange(1, 16).double())
    torch.testing.assert_close(state.mean[0], start[0] + 2.0 * (share / share.sum()) @ ranked)
    assert state.sigma == 2.0


def test_fixed_sigma_walks_at_random_where_nothing_is_selected():
    """Its steps have the variance sigma^2 / mu_eff in every coordinate, as its module says."""
    start = torch.zeros(400, 50, dtype=torch.float64)
    strategy = STRATEGIES["fixed_sigma"](start, 2.0, 30, 15)
    state = strategy.tell(strategy.ask(normal(400, 30, 50)), normal(400, 30, seed=1))
    expected = 2.0**2 / weights.effective(weights.log_rank_weights(15))
    assert state.mean.square().mean().item() == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize("count", [1, 2, 15])
def test_log_rank_weights_in_closed_form(count):
    expected = np.log(count + 1) - np.log(np.arange(1, count + 1))
    found = weights.log_rank_weights(count, torch.float64)
    np.testing.assert_allclose(found, expected / expected.sum(), rtol=1e-12)
    assert weights.log_rank_weights(count).dtype == torch.float32


@pytest.mark.parametrize("samples", [2, 3, 10, 31])
@pytest.mark.parametrize("kind", ["full", "separable", "vd"])
def test_weights_fall_with_rank_and_sum_to_what_the_limits_allow(kind, samples):
    k = getattr(constants, kind)(torch.zeros(1, 10, dtype=torch.float64), samples, None)
    falls = k.weights.diff() <= 1e-15
    assert falls.all()
    assert k.weights.clamp_min(0).sum().item() == pytest.approx(1)
    assert int((k.weights > 0).sum()) == samples // 2
    if kind == "vd":
        assert k.weights.min() == 0
    elif samples == 10:  # for the usual number of samples the covariance neither decays nor grows
        assert k.c_1 + k.c_mu * k.weights.sum().item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("kind", ["full", "separable", "vd"])
@pytest.mark.parametrize(
    ("n", "samples", "parents"), [(1, 2, None), (10, 10, None), (512, 30, 15), (4, 200, 90)]
)
def test_rates_are_shares(kind, n, samples, parents):
    k = getattr(constants, kind)(torch.zeros(1, n), samples, parents)
    assert 0 < k.c_sigma <= 0.5
    assert 0 < k.c_c <= 1
    assert k.c_1 > 0
    assert 0 <= k.c_mu <= 1 - k.c_1
    assert k.d_sigma > 1


def test_expected_norm_is_that_of_the_distribution():
    assert constants.expected_norm(1) == pytest.approx(math.sqrt(2 / math.pi))
    assert constants.expected_norm(2) == pytest.approx(math.sqrt(math.pi / 2))
    assert constants.expected_norm(4096) == pytest.approx(64 * (1 - 1 / (4 * 4096)), rel=1e-7)


def test_step_size_stays_where_the_path_has_the_expected_length():
    k = constants.full(torch.zeros(1, 7), 9, None)
    path = torch.full((1, 7), k.chi / math.sqrt(7), dtype=torch.float64)
    torch.testing.assert_close(cumulation.step_size(torch.tensor([0.3]).double(), path, k).item(), 0.3)
    assert cumulation.step_size(torch.ones(1), 1e6 * path, k).item() == pytest.approx(math.e)


def test_ranks_are_those_of_the_responses():
    responses = torch.tensor([[1.0, torch.nan, 3.0, 2.0, torch.inf, 3.0]])
    found = selection.by_rank(torch.tensor([5.0, 4.0, 3.0, 2.0, 1.0, 0.0]), responses)
    assert found.tolist() == [[2.0, 1.0, 5.0, 3.0, 0.0, 4.0]]


@pytest.mark.parametrize("n", [3, 40])
def test_covariance_stays_positive_definite_under_hostile_selection(n):
    """The best sample is the one nearest the mean: all else counts against every direction."""
    state = STRATEGIES["cma"](torch.zeros(1, n, dtype=torch.float64), 1.0, 12, None)
    for z in normal(200, 1, 12, n):
        state = state.tell(state.ask(z), -z.square().sum(2))
        assert torch.linalg.eigvalsh(state.covariance).min() > 0


def test_roots_are_roots_and_short_axes_are_lengthened():
    axes = torch.linalg.qr(normal(2, 5, 5)).Q
    variances = torch.tensor([[1.0, 2, 3, 4, 5], [-1e-20, 0, 1e-30, 1, 1]], dtype=torch.float64)
    covariance = axes * variances[:, None] @ axes.mT
    root, inverse = cma_es.roots(covariance)
    torch.testing.assert_close(root @ root, covariance)
    torch.testing.assert_close(root @ inverse, torch.eye(5).double().expand(2, 5, 5), atol=1e-6, rtol=0)
    torch.testing.assert_close(root, root.mT)


def test_decomposition_waits_in_many_dimensions_and_not_in_few():
    assert cma_es.patience(constants.full(torch.zeros(1, 10), 10, None), 10) == 1
    state = STRATEGIES["cma"](torch.zeros(1, 300), 1.0, 20, None)
    patience = cma_es.patience(state.constants, 300)
    assert patience > 1
    for generation in range(1, 2 * patience + 1):
        candidates = state.ask(normal(1, 20, 300, seed=generation).float())
        after = state.tell(candidates, candidates.sum(2))
        assert torch.equal(after.root, state.root) == (generation % patience > 0)
        state = after


def test_a_step_of_vd_changes_no_scale_by_more_than_seven_tenths():
    v = normal(2, 4)
    change = vd_cma_es.Change(torch.tensor([[3.0, -9.0, 1, 0], [0, 0, 0, 0.1]]).double(), 0.1 * v)
    share = vd_cma_es.truncation(change, v)
    torch.testing.assert_close(share, torch.tensor([[0.7 / 9], [1.0]]).double())
    longer = vd_cma_es.truncation(change._replace(long_axis=10 * v), v)
    torch.testing.assert_close(longer, torch.tensor([[0.07], [0.07]]).double())
