"""Figures of images of any channels and sides: every picture is a square of RGB."""

import numpy as np
import pytest
from matplotlib import pyplot
from numpy.testing import assert_array_equal

from protoviz.report.figures import prototype_grids
from protoviz.report.figures.sample import Sample
from protoviz.store import channels, cube, zarr_io
from tests.reference import shapes


@pytest.mark.parametrize(("count", "size"), shapes.SHAPES.values(), ids=shapes.SHAPES)
def test_prototypes_are_drawn_as_squares_of_rgb(count, size, tmp_path):
    store, fields = shapes.write(tmp_path, count, size)
    read, masks = cube.open_cube(store), {"grown": zarr_io.open_dataset(fields)}
    height, width = (size, size) if isinstance(size, int) else size
    side = max(height, width)
    sample = Sample(read, masks)
    stored = read.image.isel(condition=0, run=0, repeat=0, epoch=1).sel(layer="3").to_numpy()
    drawn = sample.draw("grown", 2, "3", range(6), masked=False)
    assert_array_equal(drawn.images, channels.squared(channels.as_rgb(stored), -3))
    assert drawn.images.shape == (6, side, side, 3)
    masked = sample.draw("grown", 2, "3", range(6))
    assert masked.mask.shape == (side, side)
    assert (abs(masked.images - 128.0) <= abs(drawn.images - 128.0)).all(), "they fade to grey"

    figure = prototype_grids(read, masks, 4, "shapes", 100, masked=False)
    sheets = [np.asarray(image.get_array()) for axes in figure.axes for image in axes.images]
    assert [sheet.shape for sheet in sheets] == [(side, 4 * side + 3 * 2, 3)] * 2
    assert_array_equal(sheets[1][:, :side], np.where(drawn.alive[0], drawn.images[0], sheets[1][:, :side]))
    pyplot.close("all")
