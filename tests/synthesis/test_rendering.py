"""Windows of images are rendered as the whole images are, for every image prior."""

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from protoviz.models.priors import deepsim, fourier, generator, pixels
from protoviz.models.readout.windows import Span, Window, whole
from protoviz.synthesis.rendering import Renderer, quantised

CPU = torch.device("cpu")
SIZE = 24


def decoder():
    """The in-pipeline generator: linear map, convolutions, pixel shuffles, concatenation."""
    network = generator.Decoder(generator.Shape(latent_size=16, width=16, image_size=SIZE))
    return network.eval().requires_grad_(False)


class Upconvolutions(nn.Module):
    """The operations of DeePSim's generator, small: transposed convolutions and leaky ReLUs."""

    latent_size, image_size = 16, SIZE

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(16, 8 * 9),
            nn.LeakyReLU(0.3, inplace=True),
            nn.Unflatten(1, (8, 3, 3)),
            nn.ConvTranspose2d(8, 8, 4, 2, 1),
            nn.LeakyReLU(0.3, inplace=True),
            nn.Conv2d(8, 6, 3, 1, 1),
            nn.LeakyReLU(0.3, inplace=True),
            nn.ConvTranspose2d(6, 6, 4, 2, 1),
            nn.ConvTranspose2d(6, 3, 4, 2, 1),
        )

    def render(self, latents):
        return (self.layers(latents) + 0.5).clamp(0, 1)


class ByValue(nn.Module):
    """A prior whose Python cannot be traced."""

    latent_size, image_size = 3, SIZE

    def render(self, latents):
        if latents.isnan().any():
            raise ValueError
        return torch.sigmoid(latents)[:, :, None, None] * torch.linspace(0, 1, SIZE * SIZE).view(
            1, 1, SIZE, SIZE
        )


class Plain:
    """A prior that is no module."""

    latent_size, image_size = 3, SIZE

    def render(self, latents):
        return ByValue.render(self, latents)


def full_size():
    return deepsim.DeepSim(deepsim.build(0).state_dict())


PRIORS = {
    "generator": decoder,
    "fourier": lambda: fourier.Fourier(SIZE),
    "pixels": lambda: pixels.Pixels(SIZE),
    "upconvolutions": Upconvolutions,
    "by value": ByValue,
    "no module": Plain,
}
NAMES = [*PRIORS, pytest.param("deepsim", marks=pytest.mark.slow)]


@pytest.fixture(scope="module", params=NAMES)
def prior(request):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return full_size() if request.param == "deepsim" else PRIORS[request.param]()


def latents(prior, count=2):
    return torch.randn(count, prior.latent_size, generator=torch.Generator().manual_seed(1))


def renderer(prior, size=None, dtype=torch.float32):
    return Renderer(prior, size or prior.image_size, dtype, CPU)


def windows(size):
    """A part in the middle, the corners, single pixels, whole rows, and all of it."""
    edge, middle = Span(size - 5, size), Span(size // 2 - 3, size // 2 + 4)
    all_of_it = Span(0, size)
    yield from (
        Window(rows, columns) for rows in (Span(0, 3), middle, edge) for columns in (Span(0, 4), edge)
    )
    yield Window(middle, middle)
    yield Window(Span(7, 8), Span(size - 1, size))
    yield Window(middle, all_of_it)
    yield Window(all_of_it, Span(1, size))
    yield whole(size, size)


def test_the_whole_image_is_that_of_the_prior(prior):
    found = renderer(prior)(latents(prior))
    assert found.shape == (2, 3, prior.image_size, prior.image_size)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, prior.render(latents(prior)), rtol=0, atol=1e-5)


def test_a_window_is_that_of_the_whole_image(prior):
    z = latents(prior)
    rendered = renderer(prior)
    image = prior.render(z)
    assert image.std() > 0.01
    for window in windows(prior.image_size):
        (top, bottom), (left, right) = window
        found = rendered.within(window)(z)
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, image[:, :, top:bottom, left:right], rtol=0, atol=1e-5)


@pytest.mark.parametrize("size", [9, 16, 37])
def test_windows_of_a_resized_image(prior, size):
    z = latents(prior)
    rendered = renderer(prior, size)
    expected = functional.interpolate(
        prior.render(z), (size, size), mode="bilinear", antialias=True, align_corners=False
    )
    torch.testing.assert_close(rendered(z), expected, rtol=0, atol=1e-5)
    assert 0 <= rendered(z).min() <= rendered(z).max() <= 1
    for window in (*windows(size), Window(Span(3, 9), Span(0, size))):
        (top, bottom), (left, right) = window
        found = rendered.within(window)(z)
        torch.testing.assert_close(found, expected[:, :, top:bottom, left:right], rtol=0, atol=1e-5)


def test_gradients_of_a_resized_image_are_those_of_resizing():
    prior = Upconvolutions()
    z = latents(prior).requires_grad_(True)
    window = Window(Span(2, 9), Span(5, 16))
    weight = torch.randn(2, 3, 7, 11, generator=torch.Generator().manual_seed(2))
    (ours,) = torch.autograd.grad((renderer(prior, 16).within(window)(z) * weight).sum(), z)
    resized = functional.interpolate(prior.render(z), (16, 16), mode="bilinear", antialias=True)
    (expected,) = torch.autograd.grad((resized[:, :, 2:9, 5:] * weight).sum(), z)
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5)


def test_images_may_be_larger_than_those_of_the_prior():
    prior = decoder()
    images = renderer(prior, 40)(latents(prior))
    assert images.shape == (2, 3, 40, 40)
    assert 0 <= images.min() <= images.max() <= 1


@pytest.mark.parametrize("name", ["generator", "upconvolutions", "fourier"])
def test_gradients_are_those_of_the_prior(name):
    prior = PRIORS[name]()
    z = latents(prior).requires_grad_(True)
    window = Window(Span(2, 9), Span(15, SIZE))
    weight = torch.randn(2, 3, 7, 9, generator=torch.Generator().manual_seed(2))
    (ours,) = torch.autograd.grad((renderer(prior).within(window)(z) * weight).sum(), z)
    (expected,) = torch.autograd.grad((prior.render(z)[:, :, 2:9, 15:] * weight).sum(), z)
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["generator", "upconvolutions"])
def test_bfloat16_is_within_a_few_grey_levels(name):
    prior = PRIORS[name]()
    z = latents(prior, 16)
    near = renderer(prior, dtype=torch.bfloat16)
    window = Window(Span(2, 9), Span(15, SIZE))
    assert next(prior.parameters()).dtype == torch.float32, "the prior stays as it was"
    resized = functional.interpolate(prior.render(z), (16, 16), mode="bilinear", antialias=True)
    for found, expected in (
        (near(z), prior.render(z)),
        (near.within(window)(z), prior.render(z)[:, :, 2:9, 15:]),
        (renderer(prior, 16, torch.bfloat16)(z), resized),
    ):
        assert found.dtype == torch.float32
        assert (found - expected).abs().max() < 3 / 255


@pytest.mark.parametrize("name", ["fourier", "pixels"])
def test_a_prior_without_parameters_computes_in_float32(name):
    prior = PRIORS[name]()
    z = latents(prior)
    found = renderer(prior, dtype=torch.bfloat16)(z)
    torch.testing.assert_close(found, prior.render(z), rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["generator", "upconvolutions"])
def test_a_window_costs_less(name):
    rendered = renderer(PRIORS[name]())
    z = torch.randn(1, 16)

    def operations(render):
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            render(z)
        return counter.get_total_flops()

    for drawn in (rendered, renderer(PRIORS[name](), 16)):
        corner = drawn.within(Window(Span(0, 4), Span(0, 4)))
        assert 2 * operations(corner) < operations(drawn)


def test_the_prior_stays_as_it_was():
    prior = Upconvolutions().train()
    before = {name: tensor.clone() for name, tensor in prior.state_dict().items()}
    renderer(prior, dtype=torch.bfloat16).within(Window(Span(0, 4), Span(0, 4)))(latents(prior))
    assert prior.training
    assert prior.layers[1].inplace
    assert all(parameter.requires_grad for parameter in prior.parameters())
    for name, tensor in prior.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_memory_is_estimated_from_the_graph():
    assert renderer(pixels.Pixels(SIZE)).elements >= 2 * 3 * SIZE**2
    assert renderer(ByValue()).elements == renderer(Plain()).elements == 0, "not known"


def test_256_levels_are_all_that_8_bits_hold():
    eighths = torch.linspace(-0.1, 1.1, 20_001)
    assert torch.equal(quantised(eighths, 256), eighths.clamp(0, 1).mul(255).round().to(torch.uint8))


@pytest.mark.parametrize("levels", [2, 3, 32, 200])
def test_colours_go_to_the_nearest_of_the_levels(levels):
    exact = torch.linspace(0, 1, 20_001)
    stored = quantised(exact, levels)
    allowed = torch.tensor([round(255 * k / (levels - 1)) for k in range(levels)], dtype=torch.uint8)
    assert torch.equal(stored.unique(), allowed)
    nearest = (exact[:, None] - torch.linspace(0, 1, levels)).abs().argmin(1)
    # Half way between two levels either is right.
    assert (stored != allowed[nearest]).float().mean() < 1e-3
