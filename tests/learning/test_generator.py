"""The generator: whitened latents, a linear beginning, and images that come back."""

import numpy as np
import pytest
import torch

from protoviz.config.learning import Generator
from protoviz.errors import StudyError
from protoviz.learning import generator
from protoviz.models import resnet
from protoviz.models.priors.generator import Decoder, Shape

CPU = torch.device("cpu")
SETTINGS = Generator(seed=0, latent_size=12, width=16, steps=30, batch_size=16, lr=2e-3, feature_weight=0.3)


@pytest.fixture(scope="module")
def encoder():
    return resnet.initial("resnet18", 4, 0).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def images():
    """Smooth images of few degrees of freedom."""
    rng = np.random.default_rng(0)
    axis = np.linspace(0, 1, 32)
    waves = np.stack([np.sin(np.pi * k * axis + p) for k in (1, 2) for p in (0, 1.5)])
    basis = np.einsum("ix,jy->ijxy", waves, waves).reshape(16, 32, 32)
    mixed = np.einsum("nkc,kxy->nxyc", rng.standard_normal((200, 16, 3)) / 4, basis)
    return (255 / (1 + np.exp(-2 * mixed))).astype(np.uint8)


def test_latents_have_zero_mean_and_identity_covariance(encoder, images):
    latents = generator.whiten(generator.describe(torch.from_numpy(images), encoder), 12)
    torch.testing.assert_close(latents.mean(0), torch.zeros(12), atol=1e-4, rtol=0)
    torch.testing.assert_close(latents.T @ latents / 200, torch.eye(12), atol=1e-3, rtol=0)


def test_whitening_keeps_the_largest_components():
    draws = torch.randn(5000, 3, generator=torch.Generator().manual_seed(0))
    kept = generator.whiten(draws * torch.tensor([0.1, 5.0, 1.0]), 1)[:, 0]
    assert abs(np.corrcoef(kept, draws[:, 1])[0, 1]) > 0.999


def test_linear_beginning_is_the_least_squares_decoder():
    """Images that are linear in the latent come back exactly, up to the sigmoid and half resolution."""
    draws = torch.Generator().manual_seed(0)
    latents = torch.randn(3000, 4, generator=draws)
    latents = (latents - latents.mean(0)) @ torch.linalg.inv(torch.linalg.cholesky(latents.T.cov()).T)
    small = torch.randn(4, 3 * 8 * 8, generator=draws) * 0.02
    images = (0.5 + latents @ small).view(-1, 3, 8, 8).repeat_interleave(2, 2).repeat_interleave(2, 3)
    decoder = Decoder(Shape(4, 16, 16))
    decoder.draw_linearly(latents, images)
    with torch.no_grad():
        torch.testing.assert_close(decoder(latents), 4 * (images - 0.5), atol=2e-2, rtol=0)


def test_training_improves_on_the_linear_beginning(encoder, images):
    decoder, losses = generator.train(images, encoder, SETTINGS, CPU)
    assert losses[-1]["pixel_loss"] < losses[0]["pixel_loss"]
    assert losses[-1]["pixel_loss"] < 0.12, "in units of the full range; the images deviate by 0.25"
    assert decoder.render(torch.zeros(1, 12)).shape == (1, 3, 32, 32)
    assert not any(parameter.requires_grad for parameter in decoder.parameters())


def test_same_seed_same_generator(encoder, images):
    first, second = (generator.train(images, encoder, SETTINGS, CPU)[0].state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    other = generator.train(images, encoder, SETTINGS.model_copy(update={"seed": 1}), CPU)[0]
    assert not torch.equal(other.conv1.weight, first["conv1.weight"])


def test_feature_weight_matters(encoder, images):
    plain = generator.train(images, encoder, SETTINGS.model_copy(update={"feature_weight": 0.0}), CPU)[1]
    both = generator.train(images, encoder, SETTINGS.model_copy(update={"feature_weight": 3.0}), CPU)[1]
    assert both[-1]["feature_loss"] < plain[-1]["feature_loss"]


def test_too_few_images_are_refused(encoder, images):
    with pytest.raises(StudyError, match=r"more reference images than latent dimensions \(12\), found 12"):
        generator.train(images[:12], encoder, SETTINGS, CPU)
