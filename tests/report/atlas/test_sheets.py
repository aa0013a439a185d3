"""Sheets, veils, windows, thumbnails, against the plain way."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from protoviz import files
from protoviz.errors import StudyError
from protoviz.report.atlas import sheets, tally


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
        images[..., :3] = 0  # as in a veil: one colour, more or less opaque
    first, again = tmp_path / "deep" / "a.webp", tmp_path / "b.webp"
    assert sheets.write(first, images) == first.stat().st_size
    sheets.write(again, images)
    assert files.sha256(first) == files.sha256(again)
    with Image.open(first) as picture:
        assert picture.format == "WEBP"
        np.testing.assert_array_equal(np.asarray(picture), sheets.sheet(images))


def smooth(count: int = 9, size: int = 32) -> np.ndarray:
    y, x = np.indices((size, size))
    whole = np.stack([np.stack([4 * y, 4 * x, 2 * (x + y)], -1)] * count)
    return (whole + noise(count, size) // 32).astype(np.uint8)


def test_lossy_is_smaller_and_the_closer_the_better(tmp_path: Path) -> None:
    images = smooth()
    found = []
    for quality in (30, 85, "lossless"):
        path = tmp_path / f"{quality}.webp"
        size = sheets.write(path, images, quality)  # type: ignore[arg-type]
        counts = sheets.differences(path, images)
        found.append((size, counts @ np.arange(256) / counts.sum()))
    (coarse, far), (fine, near), (whole, exact) = found
    assert coarse < fine < 0.5 * whole
    assert far > near > exact == 0


def test_differences_are_counted_over_every_value(tmp_path: Path) -> None:
    images = noise(5)
    sheets.write(tmp_path / "a.webp", images, 70)
    with Image.open(tmp_path / "a.webp") as picture:
        whole = np.asarray(picture).astype(int)
    counts = sheets.differences(tmp_path / "a.webp", images)
    expected = [0] * 256
    for k, image in enumerate(images):
        row, column = divmod(k, 3)
        for y, x, colour in np.ndindex(image.shape):
            expected[abs(int(image[y, x, colour]) - whole[6 * row + y, 6 * column + x, colour])] += 1
    assert counts.tolist() == expected


def test_the_stated_distance_holds_for_so_many_values(tmp_path: Path) -> None:
    images = smooth(4)
    told = tally.Tally(85)
    told.prototypes("sheets", tmp_path / "a.webp", images)
    told.prototypes("sheets", tmp_path / "b.webp", images[::-1])
    apart = []
    for name, shown in (("a", images), ("b", images[::-1])):
        with Image.open(tmp_path / f"{name}.webp") as picture:
            apart.append(np.abs(np.asarray(picture).astype(int) - sheets.sheet(shown)))
    distance = told.distance()
    assert distance is not None
    assert distance["mean"] == pytest.approx(np.mean(apart), abs=0.005)
    assert np.mean(np.array(apart) <= distance["most"]) >= tally.MOST
    assert np.mean(np.array(apart) <= distance["most"] - 1) < tally.MOST
    assert distance["greatest"] == np.max(apart)
    assert told.images["sheets"] == 8
    assert told.bytes["sheets"] == sum(path.stat().st_size for path in tmp_path.iterdir())


def test_lossless_has_no_distance(tmp_path: Path) -> None:
    told = tally.Tally("lossless")
    told.prototypes("sheets", tmp_path / "a.webp", noise(4))
    assert told.distance() is None


@pytest.mark.parametrize("count", [1, 2, 5, 9])
def test_tiles_undo_a_sheet(count: int) -> None:
    np.testing.assert_array_equal(sheets.tiles(sheets.sheet(noise(count)), count, 6), noise(count))


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
    np.testing.assert_allclose(over, 128 + (image - 128) * masks[0][..., None], atol=0.51)
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
    assert sheets.thumbnails(images, mask, 4).tolist() == np.full((2, 4, 4, 3), 164).tolist()
    half = images.copy()
    half[:, :, 5:] = 0
    shown = sheets.thumbnails(half, mask, 4)
    assert (shown[:, :, 0] > 154).all()
    assert (shown[:, :, 3] < 74).all()
