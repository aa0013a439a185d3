"""The Fourier basis in closed form: its waves, their amplitude, their colours."""

import numpy as np
import pytest
import torch

from protoviz.models.priors.fourier import COLOUR, Fourier, amplitudes, hartley

SIZES = [2, 7, 16]


@pytest.mark.parametrize("size", SIZES)
def test_a_coefficient_is_one_plane_wave(size):
    """Bracewell 1983, The discrete Hartley transform."""
    y, x = np.indices((size, size))
    for row, column in {(0, 0), (1, 0), (0, size // 2), (size - 1, size // 2)}:
        coefficients = torch.zeros(size, size)
        coefficients[row, column] = 1
        angle = 2 * np.pi * (row * y + column * x) / size
        expected = (np.cos(angle) + np.sin(angle)) / size
        np.testing.assert_allclose(hartley(coefficients), expected, atol=1e-6)


@pytest.mark.parametrize("size", SIZES)
def test_waves_are_orthonormal(size):
    matrix = hartley(torch.eye(size**2).view(-1, size, size)).flatten(1)
    torch.testing.assert_close(matrix @ matrix.T, torch.eye(size**2), atol=1e-5, rtol=0)


@pytest.mark.parametrize("size", SIZES)
def test_amplitude_falls_as_the_inverse_of_the_frequency(size):
    amplitude = amplitudes(size).double().numpy()
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(size), np.fft.fftfreq(size)))
    expected = 1 / np.maximum(frequency, 1 / size)
    np.testing.assert_allclose(amplitude / amplitude[0, 0], expected / expected[0, 0], rtol=1e-6)
    assert (amplitude**2).mean() == pytest.approx(1)


def logits(size, count):
    latents = torch.randn(count, 3 * size**2, generator=torch.Generator().manual_seed(0))
    return Fourier(size)(latents)


def test_the_spectrum_of_random_images_falls_as_the_inverse_of_the_frequency():
    size, count = 32, 400
    power = torch.fft.fft2(logits(size, count), norm="ortho").abs().square().mean((0, 1)).double()
    along = torch.fft.fftfreq(size, dtype=torch.float64)
    frequency = torch.hypot(along[:, None], along)
    # Slope of the logarithms over all frequencies from one period per image up.
    x, y = frequency.flatten()[1:].log(), power.flatten()[1:].log() / 2
    slope = ((x - x.mean()) * (y - y.mean())).sum() / (x - x.mean()).square().sum()
    assert slope.item() == pytest.approx(-1, abs=0.02)


def test_the_colours_of_random_images_have_the_covariance_of_photographs():
    """To first order of the sigmoid, whose slope is 1/4."""
    colours = logits(16, 2000).movedim(1, 0).flatten(1) / 4
    matrix = torch.tensor(COLOUR)
    torch.testing.assert_close(colours.cov(), matrix @ matrix.T, atol=0, rtol=0.05)
    assert colours.mean().abs() < 0.01


@pytest.mark.parametrize("size", [8, 33, 96])
def test_contrast_does_not_depend_on_the_size(size):
    latents = torch.randn(20_000 // size, 3 * size**2, generator=torch.Generator().manual_seed(0))
    assert 0.2 < Fourier(size).render(latents).std() < 0.24
