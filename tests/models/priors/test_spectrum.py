"""The mean spectrum of photographs: measured, kept, resampled, refused."""

from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import torch

from protoviz import files
from protoviz.errors import StudyError
from protoviz.models.priors import base, generator, spectrum
from protoviz.models.priors.fourier import COLOUR, CONTRAST

CARD = Path(__file__).parents[3] / "docs" / "priors.md"


def planted(power=1.3, side=48, count=60, seed=0):
    """Pictures, uint8, whose planes have magnitudes 0.1 f^-power (0.08 and 0.05 in the second and third)."""
    rng = np.random.default_rng(seed)
    rows, columns = np.fft.fftfreq(side)[:, None] * side, np.fft.rfftfreq(side)[None] * side
    frequency = np.maximum(np.hypot(rows, columns), 1)
    strength = np.array([0.1, 0.08, 0.05])[:, None, None] / frequency**power
    noise = np.fft.rfft2(rng.standard_normal((count, 3, side, side)))
    noise /= np.abs(noise)
    planes = np.fft.irfft2(strength * noise, s=(side, side), norm="forward")
    logits = CONTRAST * np.einsum("ij,bjhw->bhwi", np.array(COLOUR), planes)
    return np.rint(255 / (1 + np.exp(-logits))).astype(np.uint8), strength


@pytest.mark.parametrize("size", [48, 32, 96])
def test_a_planted_spectrum_is_found_at_any_size(size):
    pictures, _ = planted()
    found = spectrum.measured(pictures).at(size)
    rows, columns = np.fft.fftfreq(size)[:, None] * size, np.fft.rfftfreq(size)[None] * size
    frequency = np.hypot(rows, columns)
    seen = (frequency >= 1) & (frequency < 22)
    for channel, strength in zip(found.numpy(), (0.1, 0.08, 0.05), strict=True):
        ratio = channel[seen] / (strength / frequency[seen] ** 1.3)
        assert np.median(ratio) == pytest.approx(1, abs=0.03)
        assert np.abs(np.log(ratio)).max() < 0.15, "8 bits and the width of the averages"


def test_beyond_what_was_measured_it_falls_on_as_before():
    steep = spectrum.Spectrum(0.1 / spectrum.RADII[None, :, None].expand(4, -1, 16) ** 1.5, torch.zeros(4))
    found = steep.at(256, 1)[0]
    frequency = torch.hypot(torch.fft.fftfreq(256)[:, None] * 256, torch.fft.rfftfreq(256) * 256)
    expected = 0.1 / frequency.clamp_min(1) ** 1.5
    expected[0, 0] = 0
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-7)


def test_directions_are_kept_apart():
    """Pictures that vary along rows alone: more in waves across."""
    rng = np.random.default_rng(0)
    stripes = rng.integers(90, 160, (40, 1, 32, 3)).repeat(32, 1) + rng.integers(-4, 5, (40, 32, 32, 3))
    found = spectrum.measured(stripes.astype(np.uint8)).at(32)
    assert (found[:, 0, 5] > 3 * found[:, 5, 0]).all()


def test_waves_of_rectangles_have_the_power_of_squares():
    """Of a wider image waves lie closer along x: the deviation of its pixels is that of the square."""

    def deviation(size):
        prior = base.load("maco", size=size, channels=1)
        return float(prior(torch.randn(8, prior.latent_size)).std())

    for size in ((64, 128), (128, 64)):
        assert deviation(size) == pytest.approx(deviation(128), rel=0.15)


def test_the_mean_of_any_size_is_that_of_photographs():
    found = spectrum.load()
    for size in (16, (24, 40)):
        assert torch.equal(found.at(size)[:, 0, 0], found.mean[:3])
        assert torch.equal(found.at(size, 2)[:, 0, 0], found.mean[3:].expand(2))


def test_coefficients_are_those_of_decorrelated_logits():
    image = torch.rand(2, 3, 5, 6, generator=torch.Generator().manual_seed(0)).clamp(0.02, 0.98)
    found = spectrum.coefficients(image)
    logits = np.log(image.double().numpy() / (1 - image.double().numpy()))
    for k in range(2):
        planes = np.linalg.solve(CONTRAST * np.array(COLOUR), logits[k].reshape(3, -1)).reshape(3, 5, 6)
        y, x = np.indices((5, 6))
        for row, column in ((0, 0), (1, 2), (4, 3)):
            wave = np.exp(-2j * np.pi * (row * y / 5 + column * x / 6))
            np.testing.assert_allclose(found[k, :, row, column], (planes * wave).mean((1, 2)), atol=1e-6)


def test_blocks_do_not_matter(monkeypatch):
    pictures, _ = planted(count=7)
    whole = spectrum.measured(pictures)
    monkeypatch.setattr(spectrum, "_BLOCK", 3)
    parts = spectrum.measured(pictures)
    torch.testing.assert_close(parts.magnitude, whole.magnitude, rtol=1e-6, atol=0)


def test_the_file_comes_with_the_package():
    place = resources.files("protoviz.models.priors") / spectrum.SHIPPED.name
    assert place.read_bytes() == spectrum.SHIPPED.read_bytes()
    assert spectrum.SHIPPED.stat().st_size < 10e3
    assert base.load("maco", size=32).sha256 == spectrum.SHA256 == files.sha256(spectrum.SHIPPED)
    assert f"SHA-256 `{spectrum.SHA256}`" in CARD.read_text(), "the card describes another file"


def test_a_file_comes_back(tmp_path):
    found = spectrum.measured(planted(count=5)[0])
    for name in "ab":
        spectrum.save(tmp_path / name, found, {"photographs": 5})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    back = spectrum.load(tmp_path / "a", sha256=files.sha256(tmp_path / "a"))
    assert torch.equal(back.magnitude, found.magnitude)
    assert torch.equal(back.mean, found.mean)
    prior = base.load("maco", weights=tmp_path / "a", size=(8, 12))
    assert torch.equal(prior.spectrum, found.at((8, 12)))
    assert prior.sha256 == files.sha256(tmp_path / "a")


def test_what_is_no_spectrum_is_refused(tmp_path):
    with pytest.raises(StudyError, match="expected a weight file, found nothing"):
        spectrum.load(tmp_path / "none")
    (tmp_path / "w").write_bytes(b"\x00" * 100)
    with pytest.raises(StudyError, match="w: expected a spectrum written by protoviz"):
        spectrum.load(tmp_path / "w")
    generator.save(tmp_path / "w", generator.Decoder(generator.Shape(10, 16, 16)))
    with pytest.raises(StudyError, match="w: expected a spectrum written by protoviz"):
        spectrum.load(tmp_path / "w")
    spectrum.save(tmp_path / "w", spectrum.Spectrum(torch.ones(3, 24, 16), torch.zeros(3)), {})
    with pytest.raises(StudyError, match=r"shape \(4, 24, 16\) and the means of 4 channels, found .*\(3, 24"):
        base.load("maco", weights=tmp_path / "w", size=32)
    for wrong in (float("nan"), 0.0):
        magnitude = torch.ones(4, 24, 16)
        magnitude[0, 0, 0] = wrong
        spectrum.save(tmp_path / "w", spectrum.Spectrum(magnitude, torch.zeros(4)), {})
        with pytest.raises(StudyError, match="found values that are not finite or not above 0"):
            base.load("maco", weights=tmp_path / "w", size=32)
    with pytest.raises(StudyError, match=rf"expected SHA-256 0{{64}}, found {spectrum.SHA256}"):
        base.load("maco", size=32, sha256="0" * 64)


@pytest.mark.parametrize(
    "pictures", [np.zeros((0, 32, 32, 3), np.uint8), np.full((3, 32, 32, 3), 7, np.uint8)]
)
def test_photographs_without_any_contrast_are_refused(pictures):
    with pytest.raises(StudyError, match="photographs: expected coloured ones, with some contrast, found"):
        spectrum.measured(pictures)
