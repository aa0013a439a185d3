"""How alike layers see images: loops over scipy's Spearman, ties, silence, values that are not finite."""

import itertools

import numpy as np
import pytest
from scipy import stats

from protoviz.synthesis.responses.similarity import References, faithfulness, ranks, scale


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def spearman(first, second):
    """As scipy computes it; of what is constant, and like nothing, 0."""
    if len(set(first.tolist())) < 2 or len(set(second.tolist())) < 2:
        return 0.0
    return float(stats.spearmanr(first, second).statistic)


def literal(values, owners, prototypes):
    """Pair by pair: own, unrelated, similarity of each unit."""
    own, unrelated, alike = [], [], []
    for unit, mine in enumerate(owners):
        inside, outside = np.flatnonzero(mine), np.flatnonzero(~mine)
        own.append(np.mean([spearman(values[a], values[b]) for a, b in itertools.combinations(inside, 2)]))
        unrelated.append(np.mean([spearman(values[a], values[b]) for a in inside for b in outside]))
        alike.append(np.mean([spearman(values[a], prototypes[unit]) for a in inside]))
    return np.array(own), np.array(unrelated), np.array(alike)


def referred(values, owners, block=3):
    made = References(len(owners))
    for first in range(0, len(values), block):
        made.add(ranks(values[first : first + block]), owners[:, first : first + block])
    return made


@pytest.mark.parametrize("values", ["distinct", "tied", "rectified"])
def test_products_of_ranks_are_the_loops_over_spearman(values, rng):
    shown, prototypes = rng.normal(size=(14, 40)), rng.normal(size=(4, 40))
    if values == "tied":
        shown, prototypes = np.round(shown), np.round(prototypes)
    elif values == "rectified":
        shown, prototypes = np.maximum(shown - 0.5, 0), np.maximum(prototypes - 0.5, 0)
        shown[3] = prototypes[2] = 0  # silent
    shown, prototypes = shown.astype(np.float32), prototypes.astype(np.float32)
    owners = np.array([rng.permutation(14) < 5 for _ in range(4)])
    found = referred(shown, owners)
    wanted = literal(shown, owners, prototypes)
    alike = np.concatenate([found.similarity(ranks(prototypes[at]), at) for at in (slice(0, 3), slice(3, 4))])
    for one, other in zip((found.own, found.unrelated, alike), wanted, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_ranks_are_scipys(rng):
    values = rng.integers(0, 5, (6, 30)).astype(np.float32)
    wanted = stats.rankdata(values, axis=1)
    wanted -= wanted.mean(1, keepdims=True)
    np.testing.assert_allclose(ranks(values), wanted / np.linalg.norm(wanted, axis=1)[:, None], atol=1e-6)


def test_what_is_not_finite_has_no_rank_and_what_is_constant_no_likeness(rng):
    values = rng.normal(size=(5, 8)).astype(np.float32)
    values[1, 3], values[2, 0], values[3] = np.nan, np.inf, 7
    found = ranks(values)
    assert np.isnan(found[1:3]).all()
    assert (found[3] == 0).all()
    assert np.isfinite(found[[0, 4]]).all()
    owners = np.array([[True, True, True, True, False], [False, False, False, False, True]])
    referred_to = referred(values, owners)
    assert referred_to.own[0] == pytest.approx(0, abs=1e-6), "one pair, with a silent image"
    assert np.isnan(referred_to.own[1]), "no pair"
    assert np.isnan(referred_to.similarity(ranks(values[1:3]), slice(0, 2))).all()


def test_blocks_do_not_matter(rng):
    values, owners = rng.normal(size=(13, 25)).astype(np.float32), rng.random((6, 13)) < 0.4
    for name in ("own", "unrelated"):
        one, other = (getattr(referred(values, owners, block), name) for block in (2, 13))
        np.testing.assert_allclose(one, other, atol=1e-12)


def test_without_other_images_there_is_nothing_unrelated(rng):
    found = referred(rng.normal(size=(4, 9)).astype(np.float32), np.ones((3, 4), bool))
    assert np.isnan(found.unrelated).all()
    assert np.isfinite(found.own).all()


def test_a_scale_is_known_where_units_agree_that_there_is_one(rng):
    unrelated = rng.normal(size=64)
    assert scale(unrelated + 0.3 + 0.2 * rng.normal(size=64), unrelated) == pytest.approx(0.3, abs=0.1)
    assert np.isnan(scale(unrelated + 0.3, np.full(64, np.nan)))
    assert np.isnan(scale(np.array([0.9]), np.array([0.1]))), "one unit"
    assert np.isnan(scale(unrelated - 0.3, unrelated)), "below zero"


def test_a_scale_is_rarely_known_where_there_is_none(rng):
    """The interval of 99 % lies above zero in half a per cent of layers."""
    known = [np.isfinite(scale(rng.normal(size=16), np.zeros(16))) for _ in range(4000)]
    assert np.mean(known) == pytest.approx(0.005, abs=0.004)


def test_one_number_is_the_ratio_of_areas():
    alike, unrelated = np.array([[0.6, 0.5, 0.9], [np.nan] * 3]), np.array([0.2, 0.1, 0.3])
    scales = np.array([0.4, 0.1, np.nan])
    found = faithfulness(alike, unrelated, scales)
    assert found[0] == pytest.approx((0.4 + 0.4) / 0.5)
    assert np.isnan(found[1]), "no prototype"
    along = (alike - unrelated)[0, :2] / scales[:2]
    assert found[0] == pytest.approx(np.average(along, weights=scales[:2]))
    assert np.isnan(faithfulness(alike, unrelated, np.full(3, np.nan))).all()
