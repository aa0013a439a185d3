"""Responses that are kept: which images, in what units, and what 16 bits leave of them."""

import numpy as np

from protoviz.synthesis.responses.kept import Kept, chosen, scaled


def test_images_lie_evenly_apart():
    assert chosen(10, 4).tolist() == [0, 3, 6, 9]
    assert chosen(5, 9).tolist() == list(range(5))
    assert chosen(10, 0).size == 0


def test_a_layer_has_one_scale_and_constants_none():
    rng = np.random.default_rng(0)
    seen = (rng.standard_normal((300, 6)) * [1, 2, 4, 1e-3, 1, 1] * 1e6 + 3e6).astype(np.float32)
    seen[:, 4] = 5
    found = scaled(seen)
    assert found.dtype == np.float16
    assert np.isnan(found[:, 4]).all()
    kept = np.delete(np.arange(6), 4)
    exact = seen[:, kept].astype(float) - seen[:, kept].astype(float).mean(0)
    wanted = exact / np.sqrt((exact**2).mean())
    np.testing.assert_allclose(found[:, kept], wanted, rtol=1e-3, atol=1e-6)
    apart = np.corrcoef(found[:, kept].astype(float).T) - np.corrcoef(exact.T)
    assert np.abs(apart).max() < 2e-4
    assert np.isnan(scaled(np.full((4, 2), 7, np.float32))).all()


def test_they_are_kept_epoch_by_epoch(tmp_path):
    room = Kept(tmp_path, 2, np.array([1, 3]), 5)
    seen = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)
    room.add(1, slice(1, 4), seen)
    np.testing.assert_array_equal(room.array[0, 0, 1, :, 1:4], scaled(seen[[1, 3]]))
    assert not room.array[0, 0, 0].any()
