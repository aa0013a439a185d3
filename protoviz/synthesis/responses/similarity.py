"""How alike two images look to a layer, on a scale between images of one unit and images of different units.

After Geirhos et al. 2023 (arXiv:2306.04719), the sanity check along the layers: the similarity of two images
in a layer is Spearman's rank correlation of the layer's values for them, of all channels and positions.

    own         mean over pairs of the natural images that drive a unit most
    unrelated   mean over pairs of one of these and one that drives another unit of its layer most
    similarity  mean over pairs of the unit's prototype and its own natural images

    along       (similarity - unrelated) / scale,  scale = mean over units of own - unrelated

`along` is given for each layer on the way and each unit: it is 1 where the layer sees the prototype as it
sees the unit's natural images, 0 where it sees it as any others. The scale is that of all units together, as
five images of one unit say little about it. Where it cannot be told from zero (`scale`), the layer does not
tell images of different units apart, and `along` is missing.

All comes down to ranks, computed once for each image and standardised, and products of their sums: with z
the ranks of an image (mean 0, length 1), the correlation of two images is z . z', and the mean over pairs
is a product of sums of z. No torch.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import special  # `scipy.stats` takes three times as long to import

Float = NDArray[np.floating]
CONFIDENCE = 0.99  # of the interval of the scale, which has to lie above zero


def ranks(values: Float) -> NDArray[np.float32]:
    """Each row's ranks about their mean, of length 1: the product of two rows is Spearman's correlation.

    Args:
        values: (N, D). Equal values share the mean of their ranks.

    Returns:
        (N, D); zeros for rows that are constant, which then correlate with nothing; NaN for rows that hold a
        value that is not finite.
    """
    order = np.argsort(values, axis=1)
    ordered = np.take_along_axis(values, order, axis=1)
    place = np.arange(values.shape[1])
    new = ordered[:, 1:] != ordered[:, :-1]
    if new.all():
        shared = np.broadcast_to(place.astype(np.float32), values.shape)
    else:
        true = np.ones((len(values), 1), bool)
        first = np.maximum.accumulate(np.where(np.hstack([true, new]), place, 0), axis=1)
        ends = np.where(np.hstack([new, true]), place, values.shape[1])
        last = np.minimum.accumulate(ends[:, ::-1], axis=1)[:, ::-1]
        shared = ((first + last) / 2).astype(np.float32)
    found = np.empty(values.shape, np.float32)
    np.put_along_axis(found, order, shared - np.float32((values.shape[1] - 1) / 2), axis=1)
    length = np.linalg.norm(found.astype(np.float64), axis=1)
    found /= np.where(length > 0, length, 1).astype(np.float32)[:, None]
    found[~np.isfinite(ordered[:, [0, -1]]).all(1)] = np.nan  # NaN is last, infinities are at the ends
    return found


class References:
    """The natural images of the units of a layer, as one layer on the way sees them: sums, block by block.

    Args:
        units: U, their number.
    """

    def __init__(self, units: int) -> None:
        self._of_units: Float = np.zeros((units, 0))
        self._whole: Float = np.zeros(0)
        self._counts = np.zeros(units)
        self._squares = np.zeros(units)  # of the ranks: less than the counts where some are constant
        self._count = 0

    def add(self, found: Float, owners: NDArray[np.bool_]) -> None:
        """Add images to the sums.

        Args:
            found: (N, D), of `ranks`; those that are NaN do not count.
            owners: (U, N), which of them are among the unit's own.
        """
        sound = np.isfinite(found[:, 0])
        found, owners = found[sound], owners[:, sound]
        mine = owners.astype(np.float64)
        if not self._whole.size:
            self._of_units = np.zeros((len(mine), found.shape[1]))
            self._whole = np.zeros(found.shape[1])
        self._of_units += mine @ found
        self._whole += found.sum(0, dtype=np.float64)
        self._counts += mine.sum(1)
        self._squares += mine @ found.any(1)
        self._count += len(found)

    @property
    def own(self) -> NDArray[np.float64]:
        """(U,): mean over pairs of a unit's own images; NaN where there is no pair."""
        pairs = self._counts * (self._counts - 1)
        return _ratio((self._of_units**2).sum(1) - self._squares, pairs)

    @property
    def unrelated(self) -> NDArray[np.float64]:
        """(U,): mean over pairs of an own image and one that is not its own; NaN where there is no pair."""
        pairs = self._counts * (self._count - self._counts)
        others = self._whole - self._of_units
        return _ratio(np.einsum("ud,ud->u", self._of_units, others), pairs)

    def similarity(self, found: Float, units: slice) -> NDArray[np.float64]:
        """(B,): mean over pairs of a unit's prototype and its own images; NaN where there is no pair.

        Args:
            found: (B, D), the ranks of a prototype of each of some units; NaN where there is none.
            units: these.
        """
        sums = self._of_units[units]
        return _ratio(np.einsum("ud,ud->u", sums, found.astype(np.float64)), self._counts[units])


def _ratio(total: Float, number: Float) -> NDArray[np.float64]:
    return np.divide(total, number, out=np.full(len(total), np.nan), where=number > 0)


def scale(own: Float, unrelated: Float) -> float:
    """How much more alike images of one unit are than others, mean over units.

    Args:
        own: (U,), of one layer on the way; NaN where not known.
        unrelated: (U,), the same.

    Returns:
        The mean of own - unrelated; NaN where its 99 % interval over units (Student's t) reaches zero, or
        fewer than two units are known.
    """
    apart = (own - unrelated)[np.isfinite(own - unrelated)]
    if len(apart) < 2:
        return float("nan")
    reach = special.stdtrit(len(apart) - 1, 0.5 + CONFIDENCE / 2) * apart.std(ddof=1) / np.sqrt(len(apart))
    return float(apart.mean()) if apart.mean() > reach else float("nan")


def faithfulness(similarity: Float, unrelated: Float, scales: Float) -> NDArray[np.float64]:
    """One number for each unit: the area under its curve along the layers over that of its natural images.

    sum (similarity - unrelated) / sum scale, over the layers whose scale is known: the mean of `along`, in
    which a layer counts by how well it tells images of different units apart.

    Args:
        similarity: (..., L), along the layers.
        unrelated: the same, or what it is broadcast from.
        scales: (L,), NaN where not known.

    Returns:
        (...); NaN where no layer is known, or one that is known has no similarity.
    """
    known = np.isfinite(scales)
    if not known.any():
        return np.full(np.shape(similarity)[:-1], np.nan)
    above: NDArray[np.float64] = (similarity - unrelated)[..., known].sum(-1) / scales[known].sum()
    return above
