"""Plain pixels in closed form."""

import pytest
import torch

from protoviz.models.priors.pixels import Pixels


def test_every_latent_is_one_colour_of_one_pixel():
    prior = Pixels(4)
    latents = torch.zeros(1, prior.latent_size)
    latents[0, 1 * 16 + 2 * 4 + 3] = 2.0
    image = prior.render(latents)
    assert image[0, 1, 2, 3].item() == pytest.approx(1 / (1 + 2.718281828**-2))
    assert (image == 0.5).sum() == latents.numel() - 1


def test_random_images_are_white_noise():
    """The variance of a logistic-normal by quadrature: 0.208 squared."""
    z = torch.linspace(-10, 10, 20_001, dtype=torch.float64)
    density = torch.exp(-z.square() / 2)
    expected = ((torch.sigmoid(z) - 0.5).square() * density).sum() / density.sum()
    assert expected.sqrt().item() == pytest.approx(0.208, abs=5e-4)
    images = Pixels(16).render(torch.randn(400, 768, generator=torch.Generator().manual_seed(0)))
    assert images.var().item() == pytest.approx(expected.item(), rel=0.02)
    power = torch.fft.fft2(images - 0.5, norm="ortho").abs().square().mean((0, 1))
    torch.testing.assert_close(power / power.mean(), torch.ones(16, 16), atol=0.3, rtol=0)
