"""The procedural classes: repeatable one by one, told apart by form and not by colour."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from protoviz.data import procedural


def test_an_image_alone_is_the_image_in_the_set():
    images, labels = procedural.render("train", 0, 12)
    alone, label = procedural.render("train", 0, 1, start=11)
    assert np.array_equal(alone[0], images[11])
    assert label[0] == labels[11] == 1


def test_splits_and_seeds_are_different_images():
    first = procedural.render("train", 0, 1)[0]
    assert not np.array_equal(first, procedural.render("test", 0, 1)[0])
    assert not np.array_equal(first, procedural.render("train", 1, 1)[0])


def test_classes_are_balanced_and_images_fill_the_range():
    images, labels = procedural.render("train", 0, 40)
    assert images.shape == (40, 96, 96, 3)
    assert images.dtype == np.uint8
    assert np.array_equal(np.bincount(labels), [4] * 10)
    assert images.min() < 20
    assert images.max() > 220


def test_colour_says_next_to_nothing_about_the_class():
    train, test = procedural.render("train", 0, 400), procedural.render("test", 0, 400)
    accuracy = _accuracy(_colours(train[0]), train[1], _colours(test[0]), test[1])
    assert accuracy < 0.3, "chance is 0.1"


def test_form_tells_the_class():
    train, test = procedural.render("train", 0, 400), procedural.render("test", 0, 400)
    accuracy = _accuracy(_spectrum(train[0]), train[1], _spectrum(test[0]), test[1])
    assert accuracy > 0.5, "chance is 0.1"


def test_pink_noise_has_amplitude_one_over_f():
    rng = np.random.default_rng(0)
    power = np.mean([np.abs(np.fft.rfft2(procedural.pink_noise(rng))) ** 2 for _ in range(50)], axis=0)
    slope = np.polyfit(np.log(np.arange(3, 40)), np.log(power[0, 3:40]), 1)[0]
    assert slope == pytest.approx(-2, abs=0.15)


def _colours(images):
    pixels = images.reshape(len(images), -1, 3)
    return np.concatenate([pixels.mean(1), pixels.std(1)], axis=1)


def _spectrum(images):
    """Radial and angular profile of the spectrum of the luminance: form without place or colour."""
    grey = images.mean(3) - images.mean((1, 2, 3))[:, None, None]
    amplitude = np.abs(np.fft.fftshift(np.fft.fft2(grey), axes=(1, 2)))[:, 36:61, 36:61]
    return np.log1p(np.sort(amplitude.reshape(len(images), -1), axis=1))[:, ::5]


def _accuracy(train, train_labels, test, test_labels):
    scaler = StandardScaler().fit(train)
    fitted = LogisticRegression(max_iter=500).fit(scaler.transform(train), train_labels)
    return fitted.score(scaler.transform(test), test_labels)
