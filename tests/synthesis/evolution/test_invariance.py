"""What every strategy must leave unchanged, over the registry: batches, order, place, scale, direction."""

from dataclasses import fields, replace

import pytest
import torch

from protoviz.synthesis.evolution.base import STRATEGIES

UNITS, N, SAMPLES, GENERATIONS = 4, 6, 8, 25


def normal(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


START, DRAWS = normal(UNITS, N), normal(GENERATIONS, UNITS, SAMPLES, N, seed=1)
SHAPE = normal(N, N, seed=2)


def respond(x):
    """Curved, not separable, greatest at (1, ..., 1)."""
    return -((x - 1) @ SHAPE).square().sum(-1) - 0.1 * (x - 1).square().square().sum(-1)


def search(name, start=START, draws=DRAWS, respond=respond, sigma=0.5, prepare=lambda strategy: strategy):
    """The state after all generations."""
    strategy = prepare(STRATEGIES[name](start, sigma, SAMPLES, None))
    for z in draws:
        candidates = strategy.ask(z)
        strategy = strategy.tell(candidates, respond(candidates))
    return strategy


def tensors(strategy):
    """The state by field, without what does not change."""
    values = {field.name: getattr(strategy, field.name) for field in fields(strategy)}
    return {
        name: value for name, value in values.items() if isinstance(value, torch.Tensor) and name != "weights"
    }


def assert_same(found, expected, atol=1e-10):
    for name, value in tensors(expected).items():
        torch.testing.assert_close(
            getattr(found, name), value, atol=atol, rtol=atol, msg=lambda m, n=name: f"{n}: {m}"
        )


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_batch_is_as_many_single_searches(name):
    batch = search(name)
    for unit in range(UNITS):
        alone = search(name, START[unit : unit + 1], DRAWS[:, unit : unit + 1])
        for field, value in tensors(alone).items():
            torch.testing.assert_close(getattr(batch, field)[unit : unit + 1], value, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("name", STRATEGIES)
def test_the_same_search_is_the_same_bit_for_bit(name):
    first, second = tensors(search(name)), tensors(search(name))
    assert all(torch.equal(first[field], second[field]) for field in first)


@pytest.mark.parametrize("name", STRATEGIES)
def test_only_the_order_of_responses_counts(name):
    expected = search(name)
    bent = search(name, respond=lambda x: (respond(x) / 100).exp() - 7)
    assert all(torch.equal(getattr(bent, field), value) for field, value in tensors(expected).items())


@pytest.mark.parametrize("name", STRATEGIES)
def test_the_order_of_samples_does_not_count(name):
    order = torch.randperm(SAMPLES, generator=torch.Generator().manual_seed(3))
    assert_same(search(name, draws=DRAWS[:, :, order]), search(name))


@pytest.mark.parametrize("name", STRATEGIES)
def test_translation_moves_the_mean_and_nothing_else(name):
    shift = 3 * normal(N, seed=4)
    expected = search(name)
    moved = search(name, START + shift, respond=lambda x: respond(x - shift))
    assert_same(replace(moved, mean=moved.mean - shift), expected)


@pytest.mark.parametrize("name", STRATEGIES)
def test_scale_changes_the_mean_and_sigma_and_nothing_else(name):
    expected = search(name)
    large = search(name, 100 * START, respond=lambda x: respond(x / 100), sigma=50.0)
    assert_same(replace(large, mean=large.mean / 100, sigma=large.sigma / 100), expected)


@pytest.mark.parametrize("name", ["fixed_sigma", "cma"])
def test_rotation_rotates_the_mean(name):
    rotation = torch.linalg.qr(normal(N, N, seed=5)).Q
    turned = search(name, START @ rotation, DRAWS @ rotation, lambda x: respond(x @ rotation.T))
    torch.testing.assert_close(turned.mean @ rotation.T, search(name).mean, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("name", ["sep_cma", "vd_cma"])
def test_restricted_covariances_know_the_axes_but_not_their_order_and_signs(name):
    order = torch.randperm(N, generator=torch.Generator().manual_seed(6))
    signs = torch.tensor([1.0, -1, 1, -1, -1, 1]).double()

    def flip(x):
        return x[..., order] * signs

    def back(x):
        return (x * signs)[..., order.argsort()]

    def turned(strategy):
        return replace(strategy, long_axis=flip(strategy.long_axis)) if name == "vd_cma" else strategy

    found = search(name, flip(START), flip(DRAWS), lambda x: respond(back(x)), prepare=turned)
    torch.testing.assert_close(back(found.mean), search(name).mean, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("name", STRATEGIES)
def test_a_response_that_is_not_finite_ranks_last_and_harms_its_own_search_only(name, bad):
    def spoilt(value):
        def wrapped(x):
            responses = respond(x)
            responses[1, 2:5] = value
            return responses

        return wrapped

    found, worst, untouched = (search(name, respond=f) for f in (spoilt(bad), spoilt(-1e300), respond))
    for field, value in tensors(worst).items():
        assert torch.equal(getattr(found, field), value), field
        others = [0, 2, 3]
        assert torch.equal(getattr(found, field)[others], getattr(untouched, field)[others]), field
        assert not torch.equal(found.mean[1], untouched.mean[1])


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_unit_with_no_finite_response_keeps_its_state(name):
    before = search(name)
    candidates = before.ask(DRAWS[0])
    responses = respond(candidates)
    responses[2] = torch.nan
    after = before.tell(candidates, responses)
    for field, value in tensors(before).items():
        kept = [torch.equal(a, b) for a, b in zip(getattr(after, field), value, strict=True)]
        assert kept[2], field
        assert not any(kept[:2] + kept[3:]), field


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_unit_with_no_finite_response_does_not_disturb_the_others(name):
    def silent(x):
        responses = respond(x)
        responses[2] = torch.nan
        return responses

    found, alone = search(name, respond=silent), search(name, START[3:], DRAWS[:, 3:])
    for field, value in tensors(alone).items():
        torch.testing.assert_close(getattr(found, field)[3:], value, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_state_that_would_not_be_finite_is_not_taken(name):
    before = search(name)
    candidates = before.ask(DRAWS[0])
    candidates[1] = torch.inf
    after = before.tell(candidates, normal(UNITS, SAMPLES))
    for field, value in tensors(before).items():
        assert torch.equal(getattr(after, field)[1], value[1]), field
        assert getattr(after, field).isfinite().all(), field


@pytest.mark.parametrize("name", STRATEGIES)
def test_nothing_of_the_caller_changes(name):
    start, draws = START.clone(), DRAWS[0].clone()
    strategy = STRATEGIES[name](start, 0.5, SAMPLES, None)
    before = {field: value.clone() for field, value in tensors(strategy).items()}
    candidates = strategy.ask(draws)
    responses = respond(candidates)
    copies = candidates.clone(), responses.clone()
    strategy.tell(candidates, responses)
    start += 1
    assert torch.equal(draws, DRAWS[0])
    assert torch.equal(candidates, copies[0])
    assert torch.equal(responses, copies[1])
    assert all(torch.equal(getattr(strategy, field), value) for field, value in before.items())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", STRATEGIES)
def test_the_dtype_is_that_of_the_start(name, dtype):
    state = search(name, START.to(dtype), DRAWS.to(dtype), lambda x: respond(x.double()).float())
    assert {value.dtype for value in tensors(state).values()} == {dtype}
    if dtype == torch.float32:
        torch.testing.assert_close(state.mean.double(), search(name).mean, atol=0.05, rtol=0.05)


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_generation_stays_on_the_device_and_waits_for_no_value(name):
    """Tensors on the device "meta" have no values: reading one, or mixing devices, would raise."""
    strategy = STRATEGIES[name](START.to("meta"), 0.5, SAMPLES, None)
    candidates = strategy.ask(DRAWS[0].to("meta"))
    after = strategy.tell(candidates, candidates.sum(2))
    assert {value.device.type for value in tensors(after).values()} == {"meta"}
    assert {field: value.shape for field, value in tensors(after).items()} == {
        field: value.shape for field, value in tensors(strategy).items()
    }
