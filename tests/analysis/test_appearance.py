"""Appearance: colours and waves of known numbers, masks as weights, and the store."""

import colorsys
import itertools

import numpy as np
import pytest
import xarray as xr

from protoviz.analysis import appearance
from protoviz.store import schema, zarr_io
from protoviz.store.schema_appearance import APPEARANCE
from tests.reference import prototypes as toy

ONES = np.ones((16, 16))


def plain(*colour, size=16):
    """An image of one colour."""
    return np.broadcast_to(np.array(colour, float), (1, size, size, 3))


def test_saturation_of_one_colour_is_that_of_colorsys():
    rng = np.random.default_rng(0)
    for colour in rng.random((5, 3)):
        assert appearance.saturation(plain(*colour), [ONES])[0, 0] == pytest.approx(
            colorsys.rgb_to_hsv(*colour)[1]
        )
    assert appearance.saturation(plain(0, 0, 0), [ONES]) == 0
    assert appearance.saturation(plain(0.3, 0.3, 0.3), [ONES]) == 0


def test_dark_pixels_hardly_count():
    image = np.array(plain(0.8, 0.8, 0.8))
    image[:, :8] = (0.01, 0.0, 0.0)  # saturated, and next to black
    assert appearance.saturation(image, [ONES])[0, 0] < 0.02


@pytest.mark.parametrize(
    ("colour", "hue", "warmth"),
    [
        ((1, 0, 0), 0, (1 + np.cos(np.pi / 6)) / 2),
        ((1, 1, 0), np.pi / 3, (1 + np.cos(np.pi / 6)) / 2),
        ((0, 1, 0), 2 * np.pi / 3, 0.5),
        ((0, 0, 1), -2 * np.pi / 3, (1 - np.cos(np.pi / 6)) / 2),
    ],
)
def test_hue_and_warmth_of_pure_colours(colour, hue, warmth):
    found = appearance.hue_and_warmth(plain(*colour), [ONES])
    assert [float(part[0, 0]) for part in found] == pytest.approx([hue, warmth])


def test_hue_is_a_circular_mean_by_chroma():
    image = np.array(plain(1, 0, 0))
    image[:, :, :8] = (1, 1, 0)
    assert appearance.hue_and_warmth(image, [ONES])[0][0, 0] == pytest.approx(np.pi / 6)
    image = np.array(plain(1.0, 0, 0.2))  # either side of red
    image[:, :, :8] = (1.0, 0.2, 0)
    hue, warmth = appearance.hue_and_warmth(image, [ONES])
    assert hue[0, 0] == pytest.approx(0, abs=1e-12)
    assert 0 <= warmth[0, 0] <= 1
    assert np.isnan(appearance.hue_and_warmth(plain(0.5, 0.5, 0.5), [ONES])).all()


def wave(cycles, size=64, along=1, mean=0.5):
    place = np.arange(size) * cycles / size
    rows = mean + 0.4 * np.sin(2 * np.pi * place)
    grey = np.broadcast_to(rows[:, None] if along == 0 else rows[None], (size, size))
    return np.repeat(grey[None, ..., None], 3, -1)


def test_bands_are_octaves():
    assert appearance.band_edges(64).tolist() == [0, 1 / 32, 1 / 16, 1 / 8, 1 / 4]
    assert appearance.band_edges(68).tolist() == [0, 1 / 32, 1 / 16, 1 / 8, 1 / 4]
    assert appearance.band_edges(6).tolist() == [0, 1 / 4]


@pytest.mark.parametrize(("cycles", "band"), [(1, 0), (2, 1), (5, 2), (9, 3), (16, 4), (31, 4)])
@pytest.mark.parametrize("along", [0, 1])
def test_a_wave_lies_in_its_band(cycles, band, along):
    found = appearance.spectrum(wave(cycles, along=along), [np.ones((64, 64))])[0, 0]
    assert found[band] == pytest.approx(1, abs=1e-6)
    assert found.sum() == pytest.approx(1)


def test_spectrum_shares_are_those_of_the_full_transform():
    rng = np.random.default_rng(1)
    for size in (16, 17):
        images, mask = rng.random((3, size, size, 3)), rng.random((size, size))
        luma = images @ np.array([0.2126, 0.7152, 0.0722])
        luma = luma - (luma * mask).sum((1, 2), keepdims=True) / mask.sum()
        power = np.abs(np.fft.fft2(luma * mask)) ** 2
        frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(size), np.fft.fftfreq(size)))
        edges = [*appearance.band_edges(size), 9]
        expected = [
            [
                image[(frequency >= low) & (frequency < high)].sum() / image.sum()
                for low, high in itertools.pairwise(edges)
            ]
            for image in power
        ]
        np.testing.assert_allclose(appearance.spectrum(images, [mask])[:, 0], expected, rtol=1e-6)


def test_brightness_and_contrast_do_not_change_the_spectrum_and_nothing_has_none():
    one, other = wave(5) + wave(20), 0.3 * (wave(5) + wave(20)) + 0.1
    masks = [np.ones((64, 64))]
    np.testing.assert_allclose(appearance.spectrum(one, masks), appearance.spectrum(other, masks), atol=1e-9)
    assert np.isnan(appearance.spectrum(plain(0.2, 0.4, 0.1), [ONES])).all()


def test_masks_are_weights():
    image = np.array(plain(1, 0, 0))
    image[:, :, :8] = (0, 0, 1)
    left, right = np.zeros((16, 16)), np.zeros((16, 16))
    left[:, :8], right[:, 8:] = 0.5, 2.0
    hue, warmth = appearance.hue_and_warmth(image, [left, right])
    assert hue[0] == pytest.approx([-2 * np.pi / 3, 0])
    assert warmth[0, 0] < 0.1 < 0.9 < warmth[0, 1]
    half = np.array(plain(0.5, 0.5, 0.5))
    half[:, :, :8] = (1, 0.5, 0.5)
    assert appearance.saturation(half, [left, right])[0] == pytest.approx([0.5, 0])


def test_a_mask_for_each_image_is_that_image_with_its_mask():
    rng = np.random.default_rng(2)
    images, masks = rng.random((4, 16, 16, 3)), rng.random((4, 16, 16))
    for measure in (appearance.saturation, appearance.spectrum, lambda *a: appearance.hue_and_warmth(*a)[1]):
        together = measure(images, [masks, ONES])
        for k in range(4):
            np.testing.assert_allclose(
                together[k, 0], measure(images[k : k + 1], [masks[k]])[0, 0], rtol=1e-9
            )
            np.testing.assert_allclose(together[k, 1], measure(images[k : k + 1], [ONES])[0, 0], rtol=1e-9)


@pytest.fixture
def network(tmp_path):
    """A toy network in which one prototype is dead, and its receptive fields."""
    from protoviz.store import cube

    path = toy.write_cube(tmp_path / "cube.zarr", toy.template(epochs=(0, 2)))
    prototypes = cube.open_cube(path).load()
    prototypes["status"].values[0, 0, 1, 1, 5] = schema.Status.DEAD
    rng = np.random.default_rng(3)
    fields = xr.Dataset(
        {
            "mask": (
                ("condition", "run", "epoch", "layer", "y", "x"),
                rng.random((1, 1, 2, 2, 6, 6)).astype("f4"),
            ),
            "fixed_mask": (("layer", "y", "x"), rng.random((2, 6, 6)).astype("f4")),
        },
        {"condition": ["clrjit"], "run": [1], "epoch": [0, 2], "layer": list(toy.LAYERS)},
    )
    return prototypes, fields


def test_store_holds_every_unit_under_its_own_address(network, tmp_path):
    prototypes, fields = network
    found = appearance.appearance(prototypes, fields)
    zarr_io.write_dataset(tmp_path / "appearance.zarr", found, APPEARANCE)  # follows the schema
    image = prototypes["image"].values[0, 0, 1, 0, 7][None] / 255.0
    masks = {
        "saturation": fields["mask"].values[0, 0, 0, 1],
        "saturation_fixed": fields["fixed_mask"].values[1],
        "saturation_unmasked": np.ones((6, 6)),
    }
    for name, mask in masks.items():
        expected = appearance.saturation(image, [mask])[0, 0]
        assert float(found[name].values[0, 0, 1, 0, 7]) == pytest.approx(expected, rel=1e-5)
    bands = found["spectrum_fixed"].values[0, 0, 1, 0, 7]
    assert bands.sum() == pytest.approx(1, rel=1e-5)
    assert found["high_frequency_fixed"].values[0, 0, 1, 0, 7] == pytest.approx(
        bands[found["band"] >= 1 / 8].sum()
    )


def test_dead_units_have_no_appearance_and_others_keep_theirs(network):
    prototypes, fields = network
    found = appearance.appearance(prototypes, fields)
    for name in ("saturation", "warmth_fixed", "spectrum_unmasked"):
        values = found[name].values
        assert np.isnan(values[0, 0, 1, 1, 5]).all()
        assert np.isfinite(np.delete(values[0, 0, 1, 1], 5, axis=0)).all()
    prototypes["status"].values[:] = schema.Status.DEAD
    assert all(np.isnan(array).all() for array in appearance.appearance(prototypes, fields).values())
