"""Sheets, veils, windows, thumbnails, against the plain way."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from protoviz import files
from protoviz.atlas import sheets
from protoviz.errors import StudyError


def noise(count: int, size: int = 6, channels: int = 3) -> np.ndarray:
    rng = np.random.default_rng(count)
    return rng.integers(0, 256, (count, size, size, channels), dtype=np.uint8)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 9, 10, 17])
def test_a_sheet_holds_every_image_at_its_place(count: int) -> None:
    images = noise(count)
    whole = sheets.sheet(images)
    across = sheets.columns(count)
    assert across * across >= count > (across - 1) ** 2
    for k, image in enumerate(images):
        row, column = divmod(k, across)
        np.testing.assert_array_equal(whole[6 * row : 6 * row + 6, 6 * column : 6 * column + 6], image)
    filled = np.zeros(whole.shape[:2], bool)
    for k in range(count):
        row, column = divmod(k, across)
        filled[6 * row : 6 * row + 6, 6 * column : 6 * column + 6] = True
    assert (whole[~filled] == 0).all()


@pytest.mark.parametrize("channels", [3, 4])
def test_what_is_written_is_lossless_and_repeats(tmp_path: Path, channels: int) -> None:
    images = noise(7, channels=channels)
    if channels == 4:
        images[..., :3] = 0  # as in a veil: black, more or less opaque
    first, again = tmp_path / "deep" / "a.webp", tmp_path / "b.webp"
    assert sheets.write(first, images) == first.stat().st_size
    sheets.write(again, images)
    assert files.sha256(first) == files.sha256(again)
    with Image.open(first) as picture:
        assert picture.format == "WEBP"
        np.testing.assert_array_equal(np.asarray(picture), sheets.sheet(images))


def test_lossy_is_smaller_and_close(tmp_path: Path) -> None:
    y, x = np.indices((32, 32))
    smooth = np.stack([np.stack([4 * y, 4 * x, 2 * (x + y)], -1)] * 9).astype(np.uint8)
    lossless = sheets.write(tmp_path / "a.webp", smooth + noise(9, 32) // 32)
    lossy = sheets.write(tmp_path / "b.webp", smooth + noise(9, 32) // 32, lossless=False)
    assert lossy < 0.5 * lossless
    with Image.open(tmp_path / "b.webp") as picture:
        assert np.abs(np.asarray(picture).astype(float) - sheets.sheet(smooth)).mean() < 8


def test_a_sheet_that_is_too_large_is_refused(tmp_path: Path) -> None:
    images = np.zeros((4, 8192, 8192, 1), np.uint8)
    with pytest.raises(StudyError, match=r"at most 16383 px a side, found 16384 x 16384 px for 4 images"):
        sheets.write(tmp_path / "a.webp", images)
    assert not (tmp_path / "a.webp").exists()


def test_a_veil_over_an_image_is_the_masked_image() -> None:
    masks = np.linspace(0, 1, 36, dtype=np.float32).reshape(1, 6, 6)
    image = noise(1)[0].astype(np.float64)
    veil = sheets.veil(masks)[0].astype(np.float64)
    opacity = veil[..., 3:] / 255
    over = veil[..., :3] * opacity + image * (1 - opacity)
    np.testing.assert_allclose(over, image * masks[0][..., None], atol=0.51)
    np.testing.assert_array_equal(sheets.veil(np.array([[[-1.0, 2.0]]]))[..., 3], [[[255, 0]]])


def slow_window(masks: np.ndarray, least: float) -> int:
    """The least side of a square in the image that holds everything seen, by trying all."""
    size = masks.shape[-1]
    seen = {(y, x) for m in masks for y in range(size) for x in range(size) if m[y, x] >= least}
    for side in range(1, size + 1):
        for top in range(size - side + 1):
            for left in range(size - side + 1):
                if all(top <= y < top + side and left <= x < left + side for y, x in seen):
                    return side
    raise AssertionError


@pytest.mark.parametrize("seed", range(12))
def test_the_window_is_the_smallest_square_that_holds_the_masks(seed: int) -> None:
    rng = np.random.default_rng(seed)
    masks = np.zeros((2, 9, 9))
    for mask in masks:
        masks_at = rng.integers(0, 9, (rng.integers(1, 4), 2))
        mask[masks_at[:, 0], masks_at[:, 1]] = 0.5
    left, top, side = sheets.window(masks, least=0.5)
    assert side == slow_window(masks, 0.5)
    assert 0 <= left <= 9 - side
    assert 0 <= top <= 9 - side
    inside = masks[:, top : top + side, left : left + side]
    assert inside.sum() == masks.sum()


def test_the_window_of_nothing_is_everything() -> None:
    assert sheets.window(np.zeros((1, 5, 5))) == (0, 0, 5)
    assert sheets.window(np.ones((1, 5, 5))) == (0, 0, 5)


def test_thumbnails_show_the_masked_window() -> None:
    images = np.full((2, 8, 8, 3), 200, np.uint8)
    mask = np.zeros((8, 8))
    mask[2:6, 3:7] = 0.5
    assert sheets.thumbnails(images, mask, 4).tolist() == np.full((2, 4, 4, 3), 100).tolist()
    half = images.copy()
    half[:, :, 5:] = 0
    shown = sheets.thumbnails(half, mask, 4)
    assert (shown[:, :, 0] > 90).all()
    assert (shown[:, :, 3] < 10).all()
