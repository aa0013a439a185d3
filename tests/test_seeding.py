"""Random numbers come from the address, and no two addresses share a stream."""

import itertools

import numpy as np

from protoviz import seeding


def test_same_address_same_numbers():
    first, second = (seeding.generator("pool", "clrjit", 1, 0, 8).standard_normal(5) for _ in range(2))
    assert np.array_equal(first, second)


def test_value_is_fixed_for_ever():
    # The first 63 bits of sha256(b'["pool","clrjit",1,0,8]'): a study can be remade by any later version.
    assert seeding.seed("pool", "clrjit", 1, 0, 8) == 8421260674607202482


def test_neighbouring_addresses_are_independent():
    addresses = itertools.product(("clrjit", "keepclr"), (1, 2, "1"), range(3), range(5))
    seeds = [seeding.seed(*address) for address in addresses]
    assert len(set(seeds)) == len(seeds)
    draws = np.array([np.random.Generator(np.random.Philox(seed)).standard_normal(2000) for seed in seeds])
    correlation = np.corrcoef(draws) - np.eye(len(seeds))
    assert np.abs(correlation).max() < 5 / np.sqrt(2000)


def test_boundaries_between_parts_count():
    assert seeding.seed("ab", "c") != seeding.seed("a", "bc")
    assert seeding.seed("a", 1) != seeding.seed("a", "1")
    assert 0 <= seeding.seed() < 2**63
