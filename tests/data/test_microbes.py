"""Micrographs: each alone from its address, grey, of five shapes."""

import numpy as np
import pytest

from protoviz import seeding
from protoviz.config import params
from protoviz.data import microbes, splits


def test_an_image_can_be_made_alone():
    images, labels = microbes.render("train", 3, 7)
    assert images.shape == (7, 96, 96, 3)
    assert labels.tolist() == [0, 1, 2, 3, 4, 0, 1]
    alone = microbes.image(4, seeding.generator("microbes", 3, "train", 4))
    np.testing.assert_array_equal(alone, images[4])


def test_splits_and_seeds_differ():
    train, test = (microbes.render(split, 0, 2)[0] for split in ("train", "test"))
    assert not np.array_equal(train, test)
    assert not np.array_equal(train, microbes.render("train", 1, 2)[0])
    assert not np.array_equal(train[0], microbes.render("train", 0, 6)[0][5]), "of one class, but not alike"


def test_images_are_grey_with_dark_bodies_and_bright_halos():
    images, _ = microbes.render("train", 0, 10)
    np.testing.assert_array_equal(images[..., 0], images[..., 2])
    for image in images[..., 0].astype(float):
        field = np.median(image)
        assert image.min() < field - 35
        assert image.max() > field + 12
        assert abs(image - field).mean() > 8


def test_shapes_are_told_apart_by_their_distances_from_the_middle():
    """Long bodies, round bodies: the reach of a body against its radius."""
    rng = np.random.default_rng(0)
    reach = {}
    for name, (grow, _) in microbes._BODIES.items():
        bodies = [grow(1.0, rng) for _ in range(20)]
        reach[name] = np.mean([np.ptp(body[:, [0, 2]]) / body[:, 4].max() for body in bodies])
    assert reach["cocci"] == 0
    assert reach["yeast"] < reach["bacilli"] < reach["spirilla"]
    assert reach["chains"] > 4


def test_distance_to_a_capsule():
    field = microbes._distance(np.array([[10.0, 20.0, 30.0, 20.0, 4.0]]))
    assert field[20, 20] == pytest.approx(-4)
    assert field[27, 20] == pytest.approx(3)
    assert field[20, 40] == pytest.approx(6)
    assert field[23, 34] == pytest.approx(1)


def test_as_a_source_of_the_pipeline(tmp_path):
    images = params.Images(
        source="microbes", path=None, size=32, seed=0, unlabeled=1, reference=0, train=15, test=5
    )
    splits.make(tmp_path / "domain", images)
    train = splits.load(tmp_path / "domain", "train")
    assert train.images.shape == (15, 32, 32, 3)
    assert np.bincount(train.labels).tolist() == [3] * 5
    assert splits.classes(tmp_path / "domain") == list(microbes.CLASSES)
