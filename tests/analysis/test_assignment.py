"""Which unit is which: literal oracles, planted permutations, and what chance gives."""

import itertools
import statistics

import numpy as np
import pytest

from protoviz.analysis import assignment


def literal_correlation(first, second):
    """As the textbook has it, a pair of units after the other; NaN of constants."""
    found = np.full((first.shape[1], second.shape[1]), np.nan)
    for i, j in itertools.product(range(first.shape[1]), range(second.shape[1])):
        one, other = first[:, i].tolist(), second[:, j].tolist()
        if len(set(one)) > 1 and len(set(other)) > 1:
            found[i, j] = statistics.correlation(one, other)
    return found


def literal_assignment(similarity):
    """The best of all permutations."""
    count = len(similarity)
    sums = {p: sum(similarity[i, p[i]] for i in range(count)) for p in itertools.permutations(range(count))}
    return np.array(max(sums, key=sums.get))


def network(units=30, images=200, latent=None, seed=0):
    """Responses of units, each a direction in a space of images, sparse as of a convolution."""
    rng = np.random.default_rng(seed)
    latent = rng.standard_normal((images, units)) if latent is None else latent
    return latent @ rng.standard_normal((latent.shape[1], units))


def match(first, second, draws=20, error=0.05, chance=assignment.shuffled, address=("a",)):
    one, other = (assignment.standardised(x) for x in (first, second))
    table = assignment.correlations(one, other)
    partner = assignment.assign(table)
    alike = assignment.similarities(table, partner)
    given = second if chance is assignment.turned else other
    null = np.array(list(chance(one, given, draws, *address)))
    return partner, assignment.beyond(alike, null, error)


@pytest.mark.parametrize("seed", range(4))
def test_as_the_textbook_and_all_permutations(seed):
    rng = np.random.default_rng(seed)
    first, second = rng.standard_normal((2, 40, 6)) * 10.0 ** rng.integers(-8, 8, 6)
    one, other = (assignment.standardised(x) for x in (first, second))
    table = assignment.correlations(one, other)
    np.testing.assert_allclose(table, literal_correlation(first, second), rtol=1e-5, atol=1e-8)
    partner = assignment.assign(table)
    assert partner.tolist() == literal_assignment(table).tolist()
    expected = [table[i, partner[i]] for i in range(6)]
    np.testing.assert_allclose(assignment.similarities(table, partner), expected, rtol=1e-12)


def test_a_constant_unit_takes_no_part():
    rng = np.random.default_rng(0)
    first, second = rng.standard_normal((2, 40, 5))
    first[:, 2] = 0.1  # whose mean is not 0.1 to the last digit
    second[:, 0] = 7
    second[:, 4] = np.nan
    one, other = (assignment.standardised(x) for x in (first, second))
    table = assignment.correlations(one, other)
    there = np.isfinite(table)
    assert there.any(1).tolist() == [True, True, False, True, True]
    partner = assignment.assign(table)
    assert partner[2] == assignment.NONE
    assert sorted(partner[partner >= 0].tolist()) == [1, 2, 3]  # four units, three partners
    assert np.isnan(assignment.similarities(table, partner)).sum() == 2
    nothing = assignment.assign(np.full((5, 5), np.nan))
    assert (nothing == assignment.NONE).all()
    assert assignment.assign(np.empty((0, 0))).size == 0


def test_a_permuted_network_is_matched_and_the_permutation_found():
    first = network()
    order = np.random.default_rng(1).permutation(30)
    second = np.empty_like(first)
    second[:, order] = 3 * first + 2  # unit k of the first is unit order[k] of the second
    for chance in (assignment.shuffled, assignment.turned):
        partner, there = match(first, second, chance=chance)
        assert partner.tolist() == order.tolist()
        assert there.all()


def test_half_permuted_half_fresh_is_about_half():
    first, fresh = network(40, seed=1), network(40, seed=2)
    second = np.concatenate([first[:, :20], fresh[:, 20:]], 1)[:, np.random.default_rng(3).permutation(40)]
    for chance in (assignment.shuffled, assignment.turned):
        _, there = match(first, second, chance=chance)
        assert there[:20].all()
        assert there[20:].mean() <= 0.15
        assert 0.5 <= there.mean() < 0.6


@pytest.mark.parametrize("error", [0.05, 0.2])
def test_networks_that_share_nothing_keep_the_error_rate(error):
    shares = [
        match(network(20, 100, seed=k), network(20, 100, seed=1000 + k), error=error, address=(k,))[1].mean()
        for k in range(60)
    ]
    assert abs(np.mean(shares) - error) < 3 * np.std(shares) / np.sqrt(len(shares)) + 0.005
    assert np.mean(shares) < error + 0.02


def test_turned_units_keep_the_error_rate_where_the_space_is_shared():
    """Networks whose units are random directions of one space: matched by the weak null alone."""
    rng = np.random.default_rng(0)
    latent = rng.standard_normal((100, 20)) * np.array([10, 5, 3, *[0.5] * 17])
    pairs = [
        (network(latent=latent, units=20, seed=k), network(latent=latent, units=20, seed=1000 + k))
        for k in range(40)
    ]
    weak = [match(*pair, address=(k,))[1].mean() for k, pair in enumerate(pairs)]
    strong = [match(*pair, chance=assignment.turned, address=(k,))[1].mean() for k, pair in enumerate(pairs)]
    assert np.mean(weak) > 0.9
    assert abs(np.mean(strong) - 0.05) < 0.02


def test_a_rotation_keeps_the_space():
    turn = assignment._rotation(12, np.random.default_rng(0))
    np.testing.assert_allclose(turn @ turn.T, np.eye(12), atol=1e-12)


def test_the_rank_counts_the_value_itself():
    null = np.arange(19.0)
    assert assignment.beyond(np.array([18.5, 18.0, np.nan]), null, 0.05).tolist() == [True, False, False]
    assert not assignment.beyond(np.array([99.0]), null[:18], 0.05).any()  # too few draws to say so


def test_agreement_against_dealt_out_partners():
    first = np.array([0, 1, 2, -1])
    same, chance = assignment.agreement(first, np.array([0, 2, 1, 3]))
    assert same == pytest.approx(1 / 3)
    assert chance == pytest.approx(1 / 4)
    dealt = [assignment.agreement(first, np.array(p))[0] for p in itertools.permutations(range(4))]
    assert np.mean(dealt) == pytest.approx(chance)
    assert np.isnan(assignment.agreement(first, np.full(4, -1))).all()
