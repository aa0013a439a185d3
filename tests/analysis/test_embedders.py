"""Embedders: the properties that every member of the registry must have, and each one's own arithmetic."""

import subprocess
import sys

import numpy as np
import pytest

from protoviz.analysis import embedders
from protoviz.errors import StudyError


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    from protoviz.models import checkpoints, resnet

    path = tmp_path_factory.mktemp("reference") / "encoder.safetensors"
    model = resnet.initial("resnet18", 4, 3)
    checkpoints.save(path, model, checkpoints.Checkpoint("reference", 0, 1, "resnet18", 4, "none"))
    return path


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).random((5, 32, 32, 3), dtype=np.float32)


def load(name, encoder, batch_size=2):
    return embedders.load([name], embedders.Setting(encoder, "cpu", 1, batch_size))[name]


# One network for all ten, which run through the same code (tests/models/test_imagenet.py has the others).
NAMES = ["pixels", "reference", "efficientnet_lite0", "mobilenet_v2:untrained"]


@pytest.mark.parametrize("name", NAMES)
def test_every_embedder_gives_one_row_for_each_image_whatever_the_batch(name, encoder, images):
    before = images.copy()
    together = load(name, encoder, batch_size=5)(images)
    assert together.dtype == np.float32
    assert together.shape == (5, together.shape[1])
    for batch_size in (1, 2, 3):
        np.testing.assert_allclose(load(name, encoder, batch_size)(images), together, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(images, before)


# One network for all ten, which run through the same code (tests/models/test_imagenet.py has the others).
NAMES = ["pixels", "reference", "mobilenet_v2:untrained"]


@pytest.mark.parametrize("name", NAMES)
def test_every_embedder_repeats_itself_to_the_bit(name, encoder, images):
    np.testing.assert_array_equal(load(name, encoder)(images), load(name, encoder)(images))


@pytest.mark.parametrize("name", NAMES)
def test_every_embedder_takes_stored_images_and_masks(name, encoder):
    rng = np.random.default_rng(1)
    stored = rng.integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
    shown = stored.astype(np.float32) / np.float32(255)
    mask = rng.random((32, 32), dtype=np.float32)
    each = rng.random((5, 32, 32), dtype=np.float32)
    embed = load(name, encoder)
    before = stored.copy(), mask.copy()
    scale = np.abs(embed(shown)).max()
    for given, wanted in [
        (embed(stored), embed(shown)),
        (embed(stored, mask), embed(shown * mask[..., None])),
        (embed(shown, mask), embed(shown * mask[..., None])),
        (embed(stored, each), embed(shown * each[..., None])),
    ]:
        np.testing.assert_allclose(given, wanted, rtol=1e-4, atol=1e-5 * scale)
    assert np.abs(embed(stored, mask) - embed(stored)).max() > 1e-3 * scale
    np.testing.assert_array_equal(stored, before[0])
    np.testing.assert_array_equal(mask, before[1])


def test_bfloat16_is_near_float32_and_not_the_same(encoder, images):
    exact, coarse = (
        embedders.load(["reference"], embedders.Setting(encoder, "cpu", 1, 2, precision))["reference"](images)
        for precision in ("float32", "bfloat16")
    )
    assert coarse.dtype == np.float32
    assert not np.array_equal(exact, coarse)
    np.testing.assert_allclose(coarse, exact, atol=0.03 * np.abs(exact).max())


def test_pixels_are_the_images_row_by_row(encoder, images):
    found = load("pixels", encoder)(images)
    assert found[3, (4 * 32 + 7) * 3 + 2] == images[3, 4, 7, 2]
    assert not np.shares_memory(found, images)


def test_reference_is_the_pooled_features_of_normalised_images(encoder, images):
    import torch

    from protoviz.models import checkpoints, resnet

    model, _ = checkpoints.load(encoder)
    batch = torch.tensor(images).permute(0, 3, 1, 2)
    mean, std = (torch.tensor(c)[:, None, None] for c in (resnet.IMAGENET_MEAN, resnet.IMAGENET_STD))
    expected = model.features((batch - mean) / std).numpy()
    np.testing.assert_allclose(load("reference", encoder)(images), expected, rtol=1e-4, atol=1e-6)


def test_order_of_embedders_is_that_of_the_names(encoder):
    setting = embedders.Setting(encoder, "cpu", 1, 8)
    assert list(embedders.load(["pixels", "reference"], setting)) == ["pixels", "reference"]
    assert list(embedders.load(["reference", "pixels"], setting)) == ["reference", "pixels"]


def test_unknown_embedder_lists_those_that_exist(encoder):
    with pytest.raises(
        StudyError, match=r"embedder 'pixel': expected one of .*pixels, reference.*did you mean 'pixels'"
    ):
        load("pixel", encoder)


def test_missing_encoder_is_named(tmp_path):
    with pytest.raises(StudyError, match=r"encoder\.safetensors: expected a file made by an earlier stage"):
        load("reference", tmp_path / "encoder.safetensors")


def test_importing_and_using_pixels_needs_no_torch():
    code = (
        "import sys; from protoviz.analysis import distances, embedders; "
        "embedders.load(['pixels'], embedders.Setting('x', 'cpu', 1, 1)); "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
