"""Image priors of any channels and sides; those that are learnt make RGB squares alone."""

import pytest
import torch

from protoviz.errors import StudyError
from protoviz.models.priors import base, fourier


@pytest.mark.parametrize("name", ["fourier", "pixels"])
@pytest.mark.parametrize("channels", [1, 2, 3, 7])
@pytest.mark.parametrize("size", [24, (16, 24), (25, 9)])
def test_priors_without_weights_are_of_any_channels_and_sides(name, channels, size):
    prior = base.load(name, size=size, channels=channels)
    height, width = (size, size) if isinstance(size, int) else size
    assert (prior.image_size, prior.channels) == (size, channels)
    assert prior.latent_size == channels * height * width
    latents = torch.randn(400, prior.latent_size, generator=torch.Generator().manual_seed(0))
    images = prior.render(latents)
    assert images.shape == (400, channels, height, width)
    for channel in images.unbind(1):
        assert channel.mean() == pytest.approx(0.5, abs=0.02)
        assert channel.std() == pytest.approx(0.21, abs=0.03)
    together = torch.corrcoef(images.transpose(0, 1).flatten(1)) if channels > 1 else torch.ones(1, 1)
    if name == "fourier" and channels == 3:
        assert together[0, 1] > 0.8, "the colours of photographs"
    else:
        assert (together - torch.eye(channels)).abs().max() < 0.1, "nothing is known of other channels"


@pytest.mark.parametrize("channels", [1, 2, 3, 7])
@pytest.mark.parametrize("size", [24, (16, 24), (25, 9), (2, 3)])
def test_a_spectrum_is_of_any_channels_and_sides(channels, size):
    prior = base.load("maco", size=size, channels=channels)
    height, width = (size, size) if isinstance(size, int) else size
    assert (prior.image_size, prior.channels) == (size, channels)
    alone = (2 - height % 2) * (2 - width % 2)  # waves that are their own mirror image
    assert prior.latent_size == channels * (height * width - alone) // 2
    latents = torch.randn(200, prior.latent_size, generator=torch.Generator().manual_seed(0))
    images = prior.render(latents)
    assert images.shape == (200, channels, height, width)
    if min(height, width) > 8:
        for channel in images.unbind(1):
            assert channel.mean() == pytest.approx(0.45, abs=0.06), "the mean colour of photographs"
            assert channel.std() == pytest.approx(0.21, abs=0.04)


@pytest.mark.parametrize("sides", [(6, 8), (8, 6), (5, 9)])
def test_the_transform_is_its_own_inverse_on_rectangles(sides):
    values = torch.randn(2, *sides, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(fourier.hartley(fourier.hartley(values)), values)
    assert fourier.hartley(values).square().sum() == pytest.approx(float(values.square().sum()), rel=1e-5)


def test_amplitudes_fall_alike_along_rows_and_columns():
    found = fourier.amplitudes((16, 32))
    assert found.shape == (16, 32)
    # Wave 1 of 16 rows and wave 2 of 32 columns have the same frequency, 1/16 per px.
    assert found[1, 0] == found[0, 2] == found[0, 1] / 2
    assert found.square().mean() == pytest.approx(1, rel=1e-5)


@pytest.mark.parametrize("name", ["generator", "deepsim", "natural"])
@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"channels": 1}, "one of images of 1 channel"),
        ({"channels": 4, "size": (8, 9)}, "one of images of 4 channels and 8 x 9 px"),
        ({"size": (32, 48)}, "one of images of 32 x 48 px"),
    ],
)
def test_learnt_priors_make_rgb_squares_alone(name, asked, found):
    message = (
        f"image prior '{name}': expected a network of RGB squares.*found {found}; choose a prior without"
    )
    with pytest.raises(StudyError, match=message):
        base.load(name, weights="w.pt", **asked)


@pytest.mark.parametrize("size", [(1, 8), (8, 1), 1])
def test_a_side_of_one_pixel_is_refused(size):
    with pytest.raises(StudyError, match="an image size of at least 2 px, found "):
        base.load("pixels", size=size)
