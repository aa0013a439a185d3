"""Prototypes that were made in other company: alike, but for what rounding does."""

import numpy as np

from protoviz.store.cube import Shard


def same_but_for_rounding(found: Shard, whole: Shard, rows: slice | list[int], levels: int = 256) -> None:
    """Compare prototypes with rows of others: their responses to 1e-4.

    A value between two levels may be rounded to either, and moves the response of its image more.
    """
    difference = abs(found.image.astype(int) - whole.image[rows])
    assert difference.max() <= np.ceil(255 / (levels - 1))
    assert difference.mean() < 0.05
    for unit, (ours, theirs) in enumerate(zip(found.activation, whole.activation[rows], strict=True)):
        tolerance = 2e-2 if difference[unit].any() else 1e-4
        np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=1e-4)
