"""Jitter, scale and rotation: against the literal transform, closed forms, and one draw for each image."""

import math

import numpy as np
import pytest
import torch

from protoviz import seeding
from protoviz.config.synthesis import Transforms
from protoviz.synthesis import transforms
from tests.reference import transforms as literal

ALL = Transforms(jitter=5, scale=(0.8, 1.25), rotation=30)
IDENTITY = (0.0, 0.0, 1.0, 0.0)


def noise(count=1, height=12, width=12, dtype=torch.float32):
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(0), dtype=dtype)


def moved(images, **changed):
    """Every image by the same transform, named by what is not the identity."""
    draw = dict(zip(("dx", "dy", "scale", "angle"), IDENTITY, strict=True)) | changed
    return transforms.apply(images, torch.tensor([list(draw.values())]).expand(len(images), 4))


@pytest.mark.parametrize("extent", [(9, 9), (7, 10)])
@pytest.mark.parametrize(
    "draw", [(1.3, -0.6, 1.0, 0.0), (0, 0, 1.4, 0), (0, 0, 0.4, 0), (0, 0, 1, 0.5), (2.2, 9, 0.7, -2)]
)
def test_apply_is_the_literal_transform(extent, draw):
    images = noise(1, *extent, dtype=torch.float64)
    found = transforms.apply(images, torch.tensor([draw], dtype=torch.float64))[0]
    np.testing.assert_allclose(found, literal.apply(images[0].numpy(), *draw), atol=1e-12)


@pytest.mark.parametrize("size", [32, 96, 227])
def test_the_identity_gives_the_images_back(size):
    """To the rounding of float32 places; `Transforms.active` tells that there is nothing to apply."""
    images = noise(2, size, size)
    torch.testing.assert_close(moved(images), images, atol=1e-4, rtol=0)
    if size == 32:
        assert torch.equal(moved(images), images)


def test_jitter_by_whole_pixels_is_a_shift_and_a_mirror_beyond():
    images = noise()
    shifted = moved(images, dx=3.0, dy=-2.0)
    torch.testing.assert_close(shifted[:, :, :-2, 3:], images[:, :, 2:, :-3])
    torch.testing.assert_close(shifted[:, :, :-2, :3], images[:, :, 2:, :3].flip(3))
    torch.testing.assert_close(shifted[:, :, -2:, 3:], images[:, :, -2:, :-3].flip(2))


@pytest.mark.parametrize("quarters", [1, 2, -1])
def test_rotation_by_quarter_turns_is_rot90(quarters):
    images = noise()
    turned = moved(images, angle=quarters * math.pi / 2)
    torch.testing.assert_close(turned, torch.rot90(images, quarters, (2, 3)), atol=1e-5, rtol=0)


def test_scale_two_shows_the_central_half():
    images = noise(dtype=torch.float64)
    double = transforms.apply(images, torch.tensor([[0, 0, 2, 0]], dtype=torch.float64))
    # At twice the size, the new pixels lie a quarter of an old one beside the old ones.
    central = torch.nn.functional.interpolate(images, scale_factor=2, mode="bilinear")[:, :, 6:-6, 6:-6]
    torch.testing.assert_close(double, central)


def test_scale_half_reflects_beyond_the_edge():
    images = torch.linspace(0, 1, 12).expand(1, 3, 12, 12).contiguous()
    half = moved(images, scale=0.5)
    torch.testing.assert_close(half[..., 3:-3], images.unflatten(3, (6, 2)).mean(4))
    torch.testing.assert_close(half[..., :3], half[..., 3:6].flip(3))


def test_images_of_a_batch_do_not_touch():
    images, draws = noise(5), transforms.draw(ALL, 5, "a")
    alone = [transforms.apply(image[None], draw[None]) for image, draw in zip(images, draws, strict=True)]
    assert torch.equal(transforms.apply(images, draws), torch.cat(alone))


def test_gradient_is_that_of_finite_differences():
    images = noise(2, 5, 6, dtype=torch.float64).requires_grad_()
    draws = transforms.draw(ALL, 2, "a").double()
    assert torch.autograd.gradcheck(lambda x: transforms.apply(x, draws), images)


def test_places_are_exact_where_images_are_not():
    images, draws = noise(3, 96, 96), transforms.draw(ALL, 3, "a")
    coarse = transforms.apply(images.bfloat16(), draws)
    assert coarse.dtype == torch.bfloat16
    torch.testing.assert_close(coarse.float(), transforms.apply(images, draws), atol=1e-2, rtol=0)


def test_inputs_are_not_changed():
    images, draws = noise(2), transforms.draw(ALL, 2, "a")
    before = images.clone(), draws.clone()
    transforms.apply(images, draws)
    assert torch.equal(images, before[0])
    assert torch.equal(draws, before[1])


def test_draws_are_uniform_within_their_ranges():
    """Each of its own; the scale in its logarithm."""
    count = 20_000
    draws = transforms.draw(Transforms(jitter=4, scale=(0.5, 4), rotation=90), count, "a").double()
    draws[:, 2].log_()
    low = torch.tensor([-4, -4, math.log(0.5), -math.pi / 2], dtype=torch.float64)
    high = torch.tensor([4, 4, math.log(4), math.pi / 2], dtype=torch.float64)
    u = ((draws - low) / (high - low)).sort(dim=0).values
    # Kolmogorov-Smirnov: beyond 1.95 / sqrt(n) in one of a thousand.
    expected = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    assert (u - expected[:, None]).abs().max() < 1.95 / count**0.5
    correlation = draws.T.corrcoef() - torch.eye(4)
    assert correlation.abs().max() < 0.03


def test_an_address_decides_its_draws():
    draws = transforms.draw(ALL, 4, "clrjit", 1, 0, 8, "layer1", 3)
    torch.rand(3)
    np.random.rand(3)
    assert torch.equal(draws, transforms.draw(ALL, 4, "clrjit", 1, 0, 8, "layer1", 3))
    assert torch.equal(draws, transforms.draw(ALL, 9, "clrjit", 1, 0, 8, "layer1", 3)[:4])
    assert draws.unique(dim=0).shape == (4, 4)
    for other in ("layer1", 4), ("layer2", 3):
        assert (draws != transforms.draw(ALL, 4, "clrjit", 1, 0, 8, *other)).all()


def test_nothing_is_drawn_where_nothing_is_asked_for():
    draws = transforms.draw(Transforms(jitter=0, scale=(1, 1), rotation=0), 3, "a")
    assert torch.equal(draws, torch.tensor([IDENTITY]).expand(3, 4))


STILL = Transforms(jitter=0, scale=(1, 1), rotation=0)


def places_of(settings, size, steps, *address):
    """Share and centre (px from the image's) of the crops of an address, from its random numbers."""
    height, width = (size, size) if isinstance(size, int) else size
    uniform = seeding.generator("crops", *address).uniform(size=(steps, 3))
    share = settings.crop[0] + (settings.crop[1] - settings.crop[0]) * uniform[:, 0]
    free = (1 - share) * (uniform[:, 1:] - 0.5).T
    return share, free[0] * width, free[1] * height


@pytest.mark.parametrize("size", [9, (7, 10)])
def test_a_crop_is_cut_out_and_enlarged(size):
    settings = STILL.model_copy(update={"crop": (0.3, 0.9)})
    extent = (size, size) if isinstance(size, int) else size
    images = noise(6, *extent, dtype=torch.float64)
    draws = transforms.draw(settings, 6, "a", size=size).double()
    found = transforms.apply(images, draws)
    for k, (share, x, y) in enumerate(zip(*places_of(settings, size, 6, "a"), strict=True)):
        # To the float32 of the draws.
        np.testing.assert_allclose(found[k], literal.crop(images[k].numpy(), share, x, y), atol=1e-5)


def test_a_crop_is_turned_and_moved_as_the_image_would_be():
    """Cut out and enlarged first, then the rest: both ways are one resampling, exact on a plane of grey."""
    settings = ALL.model_copy(update={"crop": (0.5, 0.8), "jitter": 1.0})
    y, x = torch.meshgrid(torch.arange(40.0), torch.arange(48.0), indexing="ij")
    image = (0.01 * x + 0.02 * y)[None, None].double()
    draws = transforms.draw(settings, 5, "a", size=(40, 48)).double()
    alone = transforms.draw(settings.model_copy(update={"crop": (1, 1)}), 5, "a").double()
    shares, across, down = places_of(settings, (40, 48), 5, "a")
    for draw, rest, share, dx, dy in zip(draws, alone, shares, across, down, strict=True):
        cut = transforms.apply(image, torch.tensor([[-dx / share, -dy / share, 1 / share, 0.0]]).double())
        once, twice = transforms.apply(image, draw[None]), transforms.apply(cut, rest[None])
        torch.testing.assert_close(once[..., 15:25, 19:29], twice[..., 15:25, 19:29], atol=1e-4, rtol=0)


def test_crops_lie_within_the_image_and_are_uniform():
    settings = STILL.model_copy(update={"crop": (0.2, 0.6)})
    draws = transforms.draw(settings, 5000, "a", size=(20, 40)).double()
    share = 1 / draws[:, 2]
    assert 0.2 <= share.min() < 0.21
    assert 0.59 < share.max() <= 0.6
    for shift, side in ((draws[:, 0], 40), (draws[:, 1], 20)):
        place = -shift * share / ((1 - share) * side)  # of its centre, from -1/2 to 1/2
        assert place.abs().max() <= 0.5 + 1e-4
        assert place.std() == pytest.approx(12**-0.5, rel=0.03)


def test_without_crops_and_noise_draws_are_what_they_were():
    """To the bit: those of another version of this file, as it stood before there were any."""
    rng = seeding.generator("transforms", "a", 3)
    low, high = np.log(ALL.scale)
    greatest = np.array([ALL.jitter, ALL.jitter, (high - low) / 2, np.radians(ALL.rotation)])
    expected = rng.uniform(-greatest, greatest, (7, 4))
    expected[:, 2] = np.exp(expected[:, 2] + (low + high) / 2)
    assert torch.equal(transforms.draw(ALL, 7, "a", 3), torch.from_numpy(expected).float())
    others = transforms.draw(ALL.model_copy(update={"noise": 0.1}), 7, "a", 3)
    assert torch.equal(others[:, :4], transforms.draw(ALL, 7, "a", 3))
    images = noise(7)
    silent = torch.column_stack([others[:, :4], torch.zeros(7), others[:, 5]])
    assert torch.equal(transforms.apply(images, silent), transforms.apply(images, others[:, :4]))


def test_noise_is_what_its_seed_says_number_by_number():
    shape = torch.Size((3, 2, 3))
    found = transforms.normal(torch.tensor([0, 5, (1 << 24) - 1]), shape)
    for row, seed in zip(found, (0, 5, (1 << 24) - 1), strict=True):
        values = []
        for place in range(9):
            mixed = literal.bits(literal.bits(seed * 0x9E3779B1 % 2**32) ^ place * 0x9E3779B1 % 2**32)
            radius = math.sqrt(-2 * math.log(((mixed >> 16) + 0.5) / 65536))
            values.append((radius, 2 * math.pi * (mixed % 65536) / 65536))
        expected = [r * math.cos(a) for r, a in values] + [r * math.sin(a) for r, a in values]
        np.testing.assert_allclose(row.flatten(), expected, atol=1e-5)
    assert transforms.normal(torch.tensor([1]), torch.Size((1, 3, 3))).shape == (1, 1, 3, 3)


def test_noise_is_normal_and_independent():
    found = transforms.normal(torch.arange(40), torch.Size((3, 32, 32))).double().flatten(1)
    count = found.numel()
    assert found.mean().abs() < 4 / count**0.5
    assert found.std() == pytest.approx(1, abs=4 / (2 * count) ** 0.5)
    assert (found**4).mean() == pytest.approx(3, abs=4 * (96 / count) ** 0.5)
    between = found.corrcoef() - torch.eye(40)
    assert between.abs().max() < 5 / found.shape[1] ** 0.5
    for lag in (1, 32, 1024, 1536):
        assert (found[:, lag:] * found[:, :-lag]).mean().abs() < 5 / count**0.5


def test_noise_differs_by_step_and_unit_and_is_added_last():
    settings = STILL.model_copy(update={"noise": 0.2})
    draws = transforms.draw(settings, 3, "a", size=12)
    assert torch.equal(draws, transforms.draw(settings, 5, "a", size=12)[:3])
    assert draws[:, 5].unique().numel() == 3
    assert (draws[:, 5] != transforms.draw(settings, 3, "b", size=12)[:, 5]).all()
    images = noise(3)
    added = transforms.apply(images, draws) - images
    torch.testing.assert_close(added, 0.2 * transforms.normal(draws[:, 5].long(), images.shape[1:]))
    alone = torch.cat([transforms.apply(images[k : k + 1], draws[k : k + 1]) for k in range(3)])
    assert torch.equal(transforms.apply(images, draws), alone)
