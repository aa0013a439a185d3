"""The figures of study B: names that fit over their columns, pictures that do not overlap."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from protoviz.report.figures import finetuning


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("conv1", ["conv1"]),
        ("layer1.0.conv3", ["layer1.0", "conv3"]),
        ("layer2.0.downsample.0", ["layer2.0", "downsample", "0"]),
        ("a_very_long_name.x", ["a_very_long_name", "x"]),
    ],
)
def test_names_of_layers_are_broken_at_their_dots(name, lines):
    assert finetuning._lines(name) == lines


def test_pictures_on_a_map_do_not_overlap_and_none_is_lost():
    rng = np.random.default_rng(0)
    places = rng.uniform(0, 1, (80, 2))
    places[3] = np.nan
    axes = Figure().add_subplot()
    axes.set_xlim(0, 1)
    images = rng.integers(0, 256, (80, 8, 8, 3), dtype=np.uint8)
    finetuning._pictures(axes, places, images, np.zeros((80, 4)))
    shown = np.array([picture.get_extent() for picture in axes.get_images()])
    middles = np.stack([shown[:, :2].mean(1), shown[:, 2:].mean(1)], 1)
    apart = np.abs(middles[:, None] - middles).max(2) + np.eye(len(middles))
    assert apart.min() >= finetuning.SIDE - 1e-9
    assert len(shown) + len(axes.collections) == 79, "a picture or a point each, without the missing one"
    assert len(axes.collections) > 0


@pytest.mark.parametrize("shared", [True, False])
def test_views_hold_every_place_at_one_scale(shared):
    rng = np.random.default_rng(0)
    places = rng.uniform([0, 0], [4, 3], (3, 50, 2)) + np.array([[0, 0], [5, 5], [9, 1]])[:, None]
    places[1, 7] = np.nan
    middles, halves = finetuning._views(places, shared)
    outside = np.abs(places - middles[:, None]) / halves
    assert np.nanmax(outside) < 1
    assert np.nanmax(outside, (0, 1)).min() > 0.9, "and no more than that"
    assert (middles == middles[0]).all() == shared


def test_a_view_of_places_in_a_line_is_no_line():
    places = np.stack([np.linspace(0, 10, 20), np.zeros(20)], 1)[None]
    _, halves = finetuning._views(places, shared=True)
    assert halves[1] == pytest.approx(finetuning.FLATTEST * halves[0], rel=1e-3)
    _, halves = finetuning._views(np.zeros((2, 5, 2)), shared=False)
    assert (halves > 0).all()
