"""Strategies step by step against the oracles, the loop that runs them, and what they refuse."""

import math
from functools import cache

import numpy as np
import pytest
import torch

from protoviz.errors import StudyError
from protoviz.synthesis.evolution.base import STRATEGIES, evolve
from tests.reference import evolution as oracle

ADAPTIVE = sorted(set(STRATEGIES) - {"fixed_sigma"})
CASES = [(3, 7, None), (12, 10, None), (4, 100, None), (5, 12, 3), (6, 6, 6)]  # n, lambda, mu
INTERNAL = {"h", "alpha", "share"}


def normal(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def ellipsoid(x):
    """Responses of the last dimension, greatest at (1, ..., 1), condition number 1e4."""
    return -(torch.logspace(0, 4, x.shape[-1], dtype=x.dtype) * (x - 1).square()).sum(-1)


def slope(x):
    """Without an optimum: paths grow until the update of the covariance stalls."""
    return x.sum(-1)


def run(strategy, draws, respond):
    """The states after each generation."""
    states = []
    for z in draws:
        candidates = strategy.ask(z)
        strategy = strategy.tell(candidates, respond(candidates))
        states.append(strategy)
    return states


@cache
def both(name, n, samples, parents, respond):
    """The states of a batch of two after each of 15 generations, and those of the oracle, unit by unit."""
    start, draws = normal(2, n), normal(15, 2, samples, n, seed=1)
    sigma = 0.05 if respond is slope else 0.8
    first = STRATEGIES[name](start, sigma, samples, parents)
    expected = []
    for unit in range(2):
        more = {"v": first.long_axis[unit].numpy()} if name == "vd_cma" else {}
        states = getattr(oracle, name)(
            start[unit].numpy(),
            sigma,
            draws[:, unit].numpy(),
            lambda x: respond(torch.from_numpy(x)).item(),
            (parents or samples // 2) if name == "fixed_sigma" else parents,
            **more,
        )
        expected.append(states)
    return run(first, draws, respond), expected


@pytest.mark.parametrize("respond", [ellipsoid, slope])
@pytest.mark.parametrize(("n", "samples", "parents"), CASES)
@pytest.mark.parametrize("name", STRATEGIES)
def test_every_generation_is_that_of_the_literal_algorithm(name, n, samples, parents, respond):
    found, expected = both(name, n, samples, parents, respond)
    for unit, states in enumerate(expected):
        for generation, state in enumerate(states):
            for field in set(state) - INTERNAL:
                value = getattr(found[generation], field)[unit].numpy()
                message = f"{field} of unit {unit} after generation {generation}"
                np.testing.assert_allclose(value, state[field], rtol=1e-7, atol=1e-9, err_msg=message)


@pytest.mark.parametrize("name", ADAPTIVE)
def test_the_comparison_has_seen_paths_that_stall(name):
    assert seen(name, "h", 3, 7) == {0.0, 1.0}


def test_the_comparison_has_seen_both_couplings_and_truncated_steps():
    assert max(seen("vd_cma", "alpha", 12, 10)) == 1.0
    assert max(seen("vd_cma", "alpha", 3, 7)) < 1.0
    assert min(seen("vd_cma", "share", 4, 100)) < 1.0 == max(seen("vd_cma", "share", 4, 100))


def seen(name, internal, n, samples):
    """The values that an internal quantity of the oracle has taken."""
    runs = [both(name, n, samples, None, respond)[1] for respond in (ellipsoid, slope)]
    return {float(state[internal]) for units in runs for states in units for state in states}


@pytest.mark.parametrize("name", STRATEGIES)
def test_evolve_runs_the_strategy_and_records_the_best(name):
    draws, told = normal(4, 3, 8, 5), []

    def respond(candidates):
        assert not torch.is_grad_enabled()
        responses = ellipsoid(candidates)
        responses[0, 0], responses[1, 1], responses[2] = torch.nan, torch.inf, torch.nan
        told.append((candidates, responses))
        return responses

    first = STRATEGIES[name](normal(3, 5, seed=1), 0.5, 8, None)
    state, trace = evolve(first, respond, lambda generation: draws[generation], 4)
    expected = first
    for generation, (candidates, responses) in enumerate(told):
        assert torch.equal(candidates, expected.ask(draws[generation]))
        expected = expected.tell(candidates, responses)
    assert torch.equal(state.mean, expected.mean)
    assert trace.shape == (3, 4)
    assert torch.equal(trace[0], torch.stack([responses[0, 1:].max() for _, responses in told]))
    assert trace[1].isfinite().all()
    assert trace[2].isneginf().all()


def test_evolve_for_no_generation_is_the_start():
    start = STRATEGIES["cma"](normal(3, 5), 0.5, 8, None)
    state, trace = evolve(start, ellipsoid, lambda _: normal(3, 8, 5), 0)
    assert state is start
    assert trace.shape == (3, 0)


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"samples": 1}, "samples of the evolution: expected at least 2.*found 1"),
        ({"parents": 9}, "parents of the evolution: expected between 1 and the 8 samples.*found 9"),
        ({"parents": 0}, "parents of the evolution.*found 0"),
        ({"sigma": 0.0}, "sigma of the evolution: expected a positive number, found 0.0"),
        ({"sigma": math.nan}, "sigma of the evolution.*found nan"),
        ({"mean": torch.zeros(5)}, r"one latent of real numbers for each unit, \(B, n\), found .*\(5,\)"),
        ({"mean": torch.zeros(2, 5, dtype=torch.int64)}, "found torch.int64"),
    ],
)
def test_unfit_settings_are_refused(name, changed, message):
    settings = {"mean": torch.zeros(2, 5), "sigma": 1.0, "samples": 8, "parents": 4, **changed}
    with pytest.raises(StudyError, match=message):
        STRATEGIES[name](*settings.values())


def test_full_covariance_refuses_many_dimensions_and_names_what_takes_them():
    message = r"at most 512 latent dimensions.*found 4096; choose sep_cma or vd_cma"
    with pytest.raises(StudyError, match=message):
        STRATEGIES["cma"](torch.zeros(1, 4096), 1.0, 30, None)
    assert STRATEGIES["cma"](torch.zeros(1, 512), 1.0, 30, None).mean.shape == (1, 512)
