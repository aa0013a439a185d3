"""The nearest neighbours of every unit: those whose prototypes look most like its own."""

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.uint8]

ROWS = 8  # rows of the images that are processed at once


def nearest(
    images: Images, masks: NDArray[np.float32], live: NDArray[np.bool_], count: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The `count` nearest other live images of every image, by mean squared error of masked pixels in 0-1.

    The matrix of products is added up over bands of rows, so that the images are never held as floats.

    Args:
        images: (N, H, W, C).
        masks: (N, H, W) in [0, 1], one for each image.
        live: (N,), the images that count.
        count: number of neighbours; fewer if fewer images are live.

    Returns:
        Places (N, count) and distances (N, count), the nearest first, ties in order; -1 and NaN if an
        image is not live.
    """
    n, size = len(images), images.shape[1]
    products = np.zeros((n, n))
    for top in range(0, size, ROWS):
        band = np.s_[:, top : top + ROWS]
        pixels = (images[band] * (masks[band] / np.float32(255))[..., None]).reshape(n, -1)
        products += pixels @ pixels.T
    squares = np.diag(products)
    distances = np.maximum(squares[:, None] + squares[None] - 2 * products, 0) / images[0].size
    np.fill_diagonal(distances, np.inf)
    distances[:, ~live] = np.inf
    count = min(count, max(int(live.sum()) - 1, 0))
    places = np.argsort(distances, axis=1, kind="stable")[:, :count]
    found = np.take_along_axis(distances, places, axis=1)
    places[~live], found[~live] = -1, np.nan
    return places, found
