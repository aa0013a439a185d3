"""Units matched over networks: the whole data set, what is planted, and what a study lacks."""

import tracemalloc

import numpy as np
import pytest
import xarray as xr

from protoviz.analysis import assignment, matching, members, partners
from protoviz.analysis.matching import Member, matched
from protoviz.errors import StudyError
from protoviz.store import schema, schema_matching, zarr_io

LAYERS = {"layer1": 6, "layer2": [3, 7, 20, 21, 40, 41, 55, 60]}
UNITS = schema.unit_labels(LAYERS)
EPOCHS = [0, 2, 8]
DIM, IMAGES = 5, 60


def member(condition, run, *, order=None, dead=(), responses=True, prototypes=True, base=0):
    """A network whose units are those of another in another order, or fresh ones."""
    count = len(UNITS[1])

    def permuted(values):
        found = values.copy()
        if order is not None:
            for at in schema.layer_slices(UNITS[0]).values():
                size = at.stop - at.start
                place = np.random.default_rng([order, size]).permutation(size)
                found[..., at.start + place] = values[..., at]
        return found

    def answer(epoch):
        rng = np.random.default_rng([1, base, epoch])
        values = permuted(rng.standard_normal((IMAGES, count)))
        values[:, list(dead)] = 4
        return values.astype(np.float16)

    def look(epoch, _layer, at):
        rng = np.random.default_rng([2, base, epoch])
        rows = permuted(rng.standard_normal((count, DIM)).T).T.astype(np.float32)
        live = np.ones(count, bool)
        live[list(dead)] = False
        return rows[at], live[at]

    return Member(condition, run, answer if responses else None, look if prototypes else None)


def run(*networks, epochs=EPOCHS, draws=20, error=0.05):
    return matched(networks, UNITS, epochs, draws=draws, error=error)


def test_pairs_are_of_seeds_and_of_conditions_within_a_run():
    every = [member(c, r) for c in "ab" for r in (1, 2, 3)]
    named = [(x.condition, x.run, y.condition, y.run) for x, y in matching.pairs(every)]
    assert len(named) == len(set(named)) == 9
    assert sum(a == b for a, _, b, _ in named) == 6
    assert all(a == c or b == d for a, b, c, d in named)


def test_a_permuted_network_is_found_in_every_layer_and_epoch():
    found = run(member("a", 1), member("a", 2, order=1))
    for at in schema.layer_slices(UNITS[0]).values():
        size = at.stop - at.start
        place = np.random.default_rng([1, size]).permutation(size)
        wanted = UNITS[1][at][place]
        for name in ("partner", "prototype_partner"):
            assert (found[name].values[0, :, at] == wanted).all()
    np.testing.assert_allclose(found.correlation, 1, atol=1e-6)
    np.testing.assert_allclose(found.prototype_distance, 0, atol=1e-10)
    for name in ("share_matched", "share_beyond_space", "agreement"):
        assert (found[name] == 1).all()
    np.testing.assert_allclose(found.agreement_by_chance[0, 0], [1 / 6, 1 / 8], rtol=1e-6)
    assert (found.compared_units.values[0, 0] == [6, 8]).all()
    assert found.attrs["absent"] == ""


def test_numbers_are_those_of_the_literal_loop():
    one, other = member("a", 1), member("a", 2, base=1)
    found = run(one, other)
    for e, epoch in enumerate(EPOCHS):
        for k, (layer, at) in enumerate(schema.layer_slices(UNITS[0]).items()):
            first, second = (x.responses(epoch)[:, at].astype(float) for x in (one, other))
            table = np.corrcoef(first.T, second.T)[: first.shape[1], first.shape[1] :]
            partner = assignment.assign(table)
            wanted = np.array([table[i, j] for i, j in enumerate(partner)])
            np.testing.assert_allclose(found.correlation[0, e, at], wanted, atol=1e-5)
            assert found.partner.values[0, e, at].tolist() == UNITS[1][at][partner].tolist()
            np.testing.assert_allclose(found.matched_correlation[0, e, k], wanted.mean(), atol=1e-5)
            rows, columns = (x.prototypes(epoch, layer, at)[0].astype(float) for x in (one, other))
            apart = np.array([[((a - b) ** 2).mean() for b in columns] for a in rows])
            partner = assignment.assign(-apart)
            wanted = [apart[i, j] for i, j in enumerate(partner)]
            np.testing.assert_allclose(found.prototype_distance[0, e, at], wanted, rtol=1e-5)
            assert found.prototype_partner.values[0, e, at].tolist() == UNITS[1][at][partner].tolist()


def test_units_that_are_dead_or_constant_have_no_partner():
    found = run(member("a", 1), member("a", 2, dead=(0, 1, *range(6, 14))))
    assert (found.partner.values[0, :, :6] >= 0).sum(1).tolist() == [4] * 3
    assert (found.partner.values[0, :, 6:] == -1).all()
    assert (found.prototype_partner.values[0, :, 6:] == -1).all()
    assert found.share_matched.values[0, :, 0] == pytest.approx(4 / 6)  # of the network with more of them
    assert np.isnan(found.share_matched.values[0, :, 1]).all()
    assert found.compared_units.values[0, 0].tolist() == [6, 8]


def test_what_there_is_is_matched_and_the_rest_is_said(tmp_path):
    pictures = run(member("a", 1, responses=False), member("a", 2, responses=False, order=1))
    assert "by prototypes alone" in pictures.attrs["absent"]
    assert (pictures.prototype_partner >= 0).all()
    assert (pictures.partner == -1).all()
    assert np.isnan(pictures.share_matched).all()
    assert np.isnan(pictures.agreement).all()
    answers = run(member("a", 1, prototypes=False), member("a", 2, prototypes=False))
    assert "by responses alone" in answers.attrs["absent"]
    assert (answers.prototype_partner == -1).all()
    assert (answers.partner >= 0).all()
    assert "conditions are compared, not seeds" in run(member("a", 1), member("b", 1)).attrs["absent"]
    alone = run(member("a", 1))
    assert alone.attrs["absent"] == "one network, which can be compared with no other"
    assert alone.sizes["pair"] == 0
    for found in (pictures, alone, run(member("a", 1), member("a", 2), epochs=[8])):
        zarr_io.write_dataset(tmp_path / "m.zarr", found, schema_matching.MATCHING)
        again = zarr_io.open_dataset(tmp_path / "m.zarr")
        xr.testing.assert_equal(again.load(), found)


def test_runs_are_means_over_the_others():
    networks = [member("a", 1), member("a", 2, order=1), member("a", 3, base=1), member("b", 1)]
    store = run(*networks, epochs=[2, 8])
    means = xr.Dataset(
        coords={"condition": ["a", "b"], "run": [1, 2, 3], "epoch": EPOCHS, "layer": list(LAYERS)}
    )
    found = partners.of_runs(store, means)
    assert set(found) == set(partners.OF_RUNS)
    pairs = store.share_matched.values  # 1-2, 1-3, 2-3, then conditions
    np.testing.assert_allclose(found.share_matched.values[0, 0, 1:], (pairs[0] + pairs[1]) / 2)
    np.testing.assert_allclose(found.share_matched.values[0, 2, 1:], (pairs[1] + pairs[2]) / 2)
    assert np.isnan(found.share_matched.values[0, :, 0]).all()
    assert np.isnan(found.share_matched.values[1]).all()
    np.testing.assert_allclose(found.share_matched.values[0, :, 1:].mean(0), pairs[:3].mean(0))
    assert not partners.of_runs(run(member("a", 1), member("b", 1)), means)


def test_the_same_again_whatever_else_is_matched():
    two = [member("a", 1), member("a", 2, base=1)]
    whole = run(*two, member("a", 3, base=2), member("b", 1, base=3))
    alone = run(*two, epochs=[8])
    for name in ("share_matched", "shuffled_correlation", "turned_correlation", "correlation"):
        np.testing.assert_array_equal(whole[name].values[0, 2], alone[name].values[0, 0])


def test_memory_does_not_grow_with_epochs():
    def peak(epochs):
        two = [member("a", 1), member("a", 2, base=1)]
        run(*two, epochs=epochs[:1], draws=2)
        tracemalloc.start()
        run(*two, epochs=epochs, draws=2)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    few, many = peak(list(range(4))), peak(list(range(24)))
    assert many < few + 60_000  # of results: a number for each unit


def test_responses_to_other_images_are_refused():
    network = {"condition": ["a"], "run": [1]}
    stores = [xr.Dataset(coords=network, attrs={"shown_images": rows}) for rows in ([1, 2], [1, 3])]
    with pytest.raises(StudyError, match="responses to the same natural images in all networks"):
        members.require_same_images(stores)
    members.require_same_images([])
