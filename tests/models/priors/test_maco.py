"""Fixed magnitudes and free phases: in closed form, on photographs, at every size."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_sample_image

import protoviz
from protoviz.errors import StudyError
from protoviz.models.priors import base, spectrum
from protoviz.models.priors.fourier import COLOUR, CONTRAST
from protoviz.models.priors.maco import Maco

SIZES = [(8, 8), (7, 7), (8, 9), (9, 8), (2, 5), (5, 2)]


def photograph(height, width):
    pixels = torch.from_numpy(load_sample_image("china.jpg").copy()).permute(2, 0, 1)[None] / 255
    return pixels[:, :, 100 : 100 + height, 200 : 200 + width].clamp(spectrum.CLIP, 1 - spectrum.CLIP)


def drawn(height, width, channels=3, seed=0):
    """A prior with the spectrum of noise."""
    noise = torch.randn(1, channels, height, width, generator=torch.Generator().manual_seed(seed))
    return Maco(
        with_signs(torch.fft.rfft2(noise.double(), norm="forward"), (height, width))[0], (height, width)
    )


def with_signs(waves, size):
    """Magnitudes of waves, and of those without a phase what they are."""
    found = waves.abs()
    for row in {0, size[0] // 2} if size[0] % 2 == 0 else {0}:
        for column in {0, size[1] // 2} if size[1] % 2 == 0 else {0}:
            found[..., row, column] = waves.real[..., row, column]
    return found


def planes_of(logits):
    """Decorrelated planes of logits (B, 3, H, W), by numpy in double precision."""
    inverse = np.linalg.inv(CONTRAST * np.array(COLOUR))
    return np.einsum("ij,bjhw->bihw", inverse, logits.double().numpy())


@pytest.mark.parametrize("size", SIZES)
def test_the_spectrum_is_the_fixed_one_whatever_the_latent(size):
    prior = drawn(*size).double()  # the way back to decorrelated colours would enlarge rounding
    for length in (0.0, 1.0, 5.0):
        latents = length * torch.randn(4, prior.latent_size, generator=torch.Generator().manual_seed(1))
        latents = latents.double()
        found = np.fft.rfft2(planes_of(prior(latents))) / (size[0] * size[1])
        np.testing.assert_allclose(
            np.abs(found), np.abs(prior.spectrum.numpy())[None].repeat(4, 0), atol=1e-5
        )
        mean = planes_of(prior(latents)).mean((2, 3))
        np.testing.assert_allclose(mean, prior.spectrum[:, 0, 0].expand(4, 3), atol=1e-5)


@pytest.mark.parametrize("size", SIZES[:4])
def test_the_image_is_the_sum_of_its_waves(size):
    """Literally: one cosine for each wave and its mirror image, of the fixed magnitude and the free phase."""
    height, width = size
    prior = drawn(height, width, 1)
    latents = torch.randn(1, prior.latent_size, generator=torch.Generator().manual_seed(2))
    phase = torch.pi * prior.placed(latents)[0, 0].double().numpy()
    strength = prior.spectrum[0].double().numpy()
    y, x = np.indices(size)
    expected = np.zeros(size)
    for row in range(height):
        for column in range(width // 2 + 1):
            twice = 2 if 0 < column < (width + 1) // 2 else 1  # its mirror image is in no other column
            wave = 2 * np.pi * (row * y / height + column * x / width) + phase[row, column]
            expected += twice * strength[row, column] * np.cos(wave)
    np.testing.assert_allclose(prior(latents)[0, 0], CONTRAST * expected, atol=1e-5)


@pytest.mark.parametrize("size", [(32, 32), (31, 32), (24, 33), (33, 33)])
def test_the_phases_of_a_photograph_with_its_own_magnitude_are_the_photograph(size):
    image = photograph(*size)
    waves = spectrum.coefficients(image)
    prior = Maco(with_signs(waves, size)[0], size)
    latents = prior.latents(waves.angle() / torch.pi)
    torch.testing.assert_close(prior.render(latents.float()), image, atol=1e-5, rtol=0)


def test_latents_and_phases_are_each_other_undone():
    for size in SIZES:
        prior = drawn(*size)
        latents = torch.randn(2, prior.latent_size, generator=torch.Generator().manual_seed(3))
        assert torch.equal(prior.latents(prior.placed(latents)), latents)


def test_every_component_is_a_phase_of_its_own():
    """Two half turns give the image back; in between, it is another."""
    prior = drawn(6, 8, 1)
    origin = torch.randn(1, prior.latent_size, generator=torch.Generator().manual_seed(4))
    at = prior(origin)
    moved = prior(origin + torch.eye(prior.latent_size))
    assert ((moved - at).abs().amax((1, 2, 3)) > 1e-3).all()
    torch.testing.assert_close(
        prior(origin + 2 * torch.eye(prior.latent_size)), at.expand_as(moved), atol=1e-5, rtol=0
    )
    assert torch.linalg.matrix_rank((moved - at).flatten(1)) == prior.latent_size


def test_random_latents_do_not_meet_in_a_corner():
    """Of phases of deviation 1 rad, as the authors draw them, the corner stands out."""
    prior = base.load("maco", size=32)
    latents = torch.randn(200, prior.latent_size, generator=torch.Generator().manual_seed(5))
    spread = prior(latents).std(0).mean(0)
    assert spread[0, 0] == pytest.approx(float(spread.mean()), rel=0.25)
    mean = prior(latents).mean(0).mean(0)
    assert mean[0, 0] == pytest.approx(float(mean.mean()), abs=5 * float(spread.mean()) / 200**0.5)
    narrow = prior(latents / torch.pi).mean(0).mean(0)
    assert narrow[0, 0] > narrow.mean() + 5 * spread.mean(), "it is where they would meet"


def test_a_spectrum_of_another_size_is_refused():
    with pytest.raises(StudyError, match=r"expected coefficients \(8, 5\) of each channel, found \(8, 8\)"):
        Maco(torch.ones(3, 8, 8), 8)
    with pytest.raises(StudyError, match=r"expected an image size above 2 px, .*found 2 px"):
        base.load("maco", size=2)


@pytest.mark.parametrize(("channels", "size"), [(3, 24), (1, (16, 20))])
def test_a_unit_alone_is_the_one_in_a_batch(channels, size):
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Conv2d(channels, 4, 3), torch.nn.ReLU(), torch.nn.Conv2d(4, 5, 3))
    how = {"prior": "maco", "size": size, "repeats": 1, "ascent": {"steps": 6}, "precision": "float32"}
    how |= {"mean": [0.5] * channels, "std": [0.2] * channels, "keep_transparency": True}
    batch = protoviz.synthesize(network, "2:0-4", **how)
    assert "maco" in protoviz.PRESETS
    for channel in (0, 3):
        alone = protoviz.synthesize(network, f"2:{channel}", **how)
        together = batch.isel(unit=[channel])
        np.testing.assert_allclose(alone.latent, together.latent, atol=2e-3)
        np.testing.assert_allclose(alone.activation, together.activation, rtol=1e-3)
        difference = np.abs(alone.transparency.astype(int) - together.transparency.astype(int))
        assert difference.max() <= 2
    better = batch.activation.values.ravel() - batch.activation_trace.values[..., 0].ravel()
    assert better.mean() > 0
