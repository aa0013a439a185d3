"""What holds for every image prior of the registry."""

import numpy as np
import pytest
import torch

from protoviz.errors import StudyError
from protoviz.priors import base, generator

CPU = torch.device("cpu")


def weights(name, folder):
    """A weight file of each prior, as small as it gets."""
    assert name == "generator", "a new prior needs its file here"
    torch.manual_seed(0)
    generator.save(folder / name, generator.Decoder(generator.Shape(10, 16, 32)))
    return folder / name


@pytest.fixture(params=base.PRIORS)
def prior(request, tmp_path):
    return base.load(request.param, weights(request.param, tmp_path), CPU)


def test_images_are_rgb_in_the_unit_interval(prior):
    images = prior.render(10 * torch.randn(3, prior.latent_size))
    assert images.shape == (3, 3, prior.image_size, prior.image_size)
    assert 0 <= images.min() < images.max() <= 1


def test_images_of_a_batch_do_not_touch(prior):
    latents = torch.randn(4, prior.latent_size)
    alone = torch.cat([prior.render(latent[None]) for latent in latents])
    torch.testing.assert_close(prior.render(latents), alone, atol=1e-5, rtol=0)


def test_gradient_is_that_of_finite_differences(prior):
    latent = torch.randn(1, prior.latent_size, requires_grad=True)
    weight = torch.randn(1, 3, prior.image_size, prior.image_size)
    (gradient,) = torch.autograd.grad((prior.render(latent) * weight).sum(), latent)
    step = 1e-2 * torch.randn_like(latent)
    with torch.no_grad():
        there, back = (((prior.render(latent + s * step)) * weight).sum() for s in (1, -1))
    assert (there - back).item() / 2 == pytest.approx((gradient * step).sum().item(), rel=0.05, abs=1e-3)


def test_unknown_prior_lists_those_that_exist():
    with pytest.raises(StudyError, match="image prior 'gan': expected one of generator"):
        base.load("gan", "x", CPU)


def test_generator_file_repeats_to_the_byte_and_comes_back(tmp_path):
    decoder = generator.Decoder(generator.Shape(10, 16, 32))
    for name in "ab":
        generator.save(tmp_path / name, decoder)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    latent = torch.randn(1, 10)
    np.testing.assert_array_equal(
        generator.load(tmp_path / "a").render(latent), decoder.render(latent).detach()
    )


@pytest.mark.parametrize("content", [b"", b"\x00" * 400])
def test_a_file_that_is_no_generator_is_refused(tmp_path, content):
    (tmp_path / "g").write_bytes(content)
    with pytest.raises(StudyError, match="expected a generator written by protoviz"):
        generator.load(tmp_path / "g")
    with pytest.raises(StudyError, match="found nothing; run"):
        generator.load(tmp_path / "none")
