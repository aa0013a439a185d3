"""What holds for every image prior of the registry."""

import copy

import numpy as np
import pytest
import torch
from sklearn.datasets import load_sample_image
from torch import fx, nn
from torch.nn import functional

from protoviz.errors import StudyError
from protoviz.models.priors import base, deepsim, fourier, generator, maco, natural, pixels

SIZE = 32  # px, of the priors that may be of any

NAMES = list(base.PRIORS)
FILES = ("generator", "deepsim")  # priors that need a file; that of `natural` comes with it
LEARNT = (*FILES, "natural")

# The R^2 to reach on a photograph, and the learning rate and steps it takes. The decoder is only drawn
# linearly and the generator of DeePSim has random weights: measured are 0.86 and 0.79. The spectrum of this
# photograph is not that of the mean of all: 0.76.
FITS = {
    generator.Decoder: (0.75, 0.1, 100),
    deepsim.DeepSim: (0.65, 0.2, 30),
    natural.Natural: (0.75, 0.1, 100),
    fourier.Fourier: (0.99, 0.1, 200),
    maco.Maco: (0.7, 0.1, 200),
    pixels.Pixels: (0.99, 0.1, 200),
}


def photograph(size):
    pixels = torch.from_numpy(load_sample_image("china.jpg").copy()).permute(2, 0, 1)[None] / 255
    return functional.interpolate(pixels[:, :, :400, :400], (size, size), mode="area")


@pytest.fixture(scope="module")
def generator_file(tmp_path_factory):
    """A decoder drawn linearly from crops of a photograph."""
    pixels = torch.from_numpy(load_sample_image("flower.jpg").copy()).permute(2, 0, 1) / 255
    half = functional.avg_pool2d(pixels, 2)
    crops = half.unfold(1, SIZE, 7).unfold(2, SIZE, 13).permute(1, 2, 0, 3, 4).flatten(0, 1)
    flat = crops.flatten(1)
    left, _, _ = torch.linalg.svd(flat - flat.mean(0), full_matrices=False)
    torch.manual_seed(0)
    decoder = generator.Decoder(generator.Shape(64, 16, SIZE))
    decoder.draw_linearly(left[:, :64] * len(crops) ** 0.5, crops)
    path = tmp_path_factory.mktemp("generator") / "generator"
    generator.save(path, decoder)
    return path


@pytest.fixture(scope="module", params=NAMES)
def prior(request):
    if request.param in FILES:
        return base.load(request.param, weights=request.getfixturevalue(f"{request.param}_file"))
    return base.load(request.param, size=SIZE)


class Rendered(nn.Module):
    def __init__(self, prior):
        super().__init__()
        self.prior = prior

    def forward(self, latents):
        return self.prior.render(latents)


def test_images_are_rgb_in_the_unit_interval(prior):
    images = prior.render(10 * torch.randn(3, prior.latent_size))
    assert images.shape == (3, 3, prior.image_size, prior.image_size)
    assert 0 <= images.min() < images.max() <= 1


def test_images_have_the_contrast_of_photographs(prior):
    """Of latents from N(0, I)."""
    images = prior.render(torch.randn(8, prior.latent_size, generator=torch.Generator().manual_seed(1)))
    assert 0.15 < images.std() < 0.3
    assert 0.25 < images.mean() < 0.75


def test_images_of_a_batch_do_not_touch(prior):
    latents = torch.randn(4, prior.latent_size)
    alone = torch.cat([prior.render(latent[None]) for latent in latents])
    torch.testing.assert_close(prior.render(latents), alone, atol=1e-5, rtol=0)


def test_gradient_is_that_of_finite_differences(prior):
    draws = torch.Generator().manual_seed(2)
    latent = torch.randn(1, prior.latent_size, generator=draws).requires_grad_()
    weight = torch.randn(1, 3, prior.image_size, prior.image_size, generator=draws)
    (gradient,) = torch.autograd.grad((prior.render(latent) * weight).sum(), latent)
    # Along the gradient, where the difference is greatest; a short step, as the clamp has kinks.
    step = 1e-2 * gradient / gradient.norm()
    with torch.no_grad():
        there, back = (((prior.render(latent + s * step)) * weight).double().sum() for s in (1, -1))
    assert (there - back).item() / 2 == pytest.approx((gradient * step).sum().item(), rel=0.02)


def test_torch_fx_traces_it_for_any_batch(prior):
    traced = fx.symbolic_trace(Rendered(prior))
    for batch in (1, 3):
        latents = torch.randn(batch, prior.latent_size)
        assert torch.equal(traced(latents), prior.render(latents))


def test_is_frozen_and_leaves_the_latents(prior):
    assert not prior.training
    assert not any(parameter.requires_grad for parameter in prior.parameters())
    latents = torch.randn(2, prior.latent_size)
    before = latents.clone()
    prior.render(latents)
    assert torch.equal(latents, before)


def test_repeats_to_the_bit_on_the_cpu(prior):
    latent = torch.randn(1, prior.latent_size, requires_grad=True)
    mode = torch.get_deterministic_debug_mode()
    torch.set_deterministic_debug_mode("error")
    try:
        runs = [prior.render(latent) for _ in range(2)]
        gradients = [torch.autograd.grad(run.square().sum(), latent)[0] for run in runs]
    finally:
        torch.set_deterministic_debug_mode(mode)
    assert torch.equal(*runs)
    assert torch.equal(*gradients)


def test_bfloat16_changes_no_image_much(prior):
    if not list(prior.parameters()):
        assert prior.render(torch.randn(1, prior.latent_size)).dtype == torch.float32
        return
    latents = torch.randn(2, prior.latent_size)
    images = copy.deepcopy(prior).bfloat16().render(latents.bfloat16())
    assert images.dtype == torch.bfloat16
    assert (images.float() - prior.render(latents)).square().mean().sqrt() < 0.01


def test_fits_a_photograph(prior):
    target = photograph(prior.image_size)
    least, lr, steps = FITS[type(prior)]
    latent = torch.randn(1, prior.latent_size, generator=torch.Generator().manual_seed(0)).requires_grad_()
    adam = torch.optim.Adam([latent], lr=lr)
    for _ in range(steps):
        (latent.grad,) = torch.autograd.grad((prior.render(latent) - target).square().mean(), latent)
        adam.step()
    # The R^2 of the image of one colour is 0.
    missed = (prior.render(latent) - target).square().mean()
    assert 1 - missed / (target - target.mean((2, 3), keepdim=True)).square().mean() > least


def test_unknown_prior_lists_those_that_exist():
    with pytest.raises(
        StudyError, match="image prior 'gan': expected one of deepsim, fourier, generator, maco, na"
    ):
        base.load("gan", size=SIZE)


@pytest.mark.parametrize("name", sorted(set(base.PRIORS) - {"natural"}))
def test_a_prior_says_what_it_lacks(name):
    lacks = "a file with its weights, or their address" if name in FILES else "an image size of at least 2 px"
    with pytest.raises(StudyError, match=f"image prior '{name}': expected {lacks}, found none"):
        base.load(name)


@pytest.mark.parametrize("name", sorted(set(base.PRIORS) - {*LEARNT, "maco"}))
def test_a_prior_without_parameters_refuses_weights(name):
    for given in ({"weights": "w.pt"}, {"sha256": "ab"}):
        with pytest.raises(StudyError, match="expected no weights, it has no parameters"):
            base.load(name, size=SIZE, **given)
    with pytest.raises(StudyError, match="expected an image size of at least 2 px, found 1 px"):
        base.load(name, size=1)


@pytest.mark.parametrize("name", [*LEARNT, "maco"])
def test_a_weight_file_that_is_not_there_is_named(name, tmp_path):
    with pytest.raises(StudyError, match=r"none\.pt: expected a weight file, found nothing"):
        base.load(name, weights=tmp_path / "none.pt", size=None if name in LEARNT else SIZE)


def test_the_digest_that_weights_must_have_is_checked(generator_file):
    with pytest.raises(StudyError, match=r"expected SHA-256 abc, found [0-9a-f]{64}"):
        base.load("generator", weights=generator_file, sha256="abc")


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
