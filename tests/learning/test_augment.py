"""`augment`, and `colour` and `resampling` which apply what it draws.

Every component against PIL with the same draws, and against lightly's SimCLRTransform over many draws.

Distributions are compared by two-sample Kolmogorov-Smirnov tests at level 1e-3 with fixed seeds: with
1,000 draws on each side they see a difference of 0.09 between the distribution functions.
"""

import math
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from lightly.transforms.simclr_transform import SimCLRViewTransform
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from scipy import stats
from torch import Tensor
from torchvision.transforms import functional as pil
from torchvision.transforms import v2

from protoviz.config.learning import Augment
from protoviz.learning import augment as subject
from protoviz.learning import colour, resampling

LEVEL = 1e-3
DRAWS = 1000
SIZE = 48
OFF = Augment(
    cj_prob=0.0,
    random_gray_scale=0.0,
    min_scale=1.0,
    gaussian_blur=0.0,
    hf_prob=0.0,
    vf_prob=0.0,
    rr_prob=0.0,
)
NON_DEFAULT: dict[str, object] = {
    "cj_prob": 0.3,
    "cj_strength": 0.5,
    "cj_bright": 0.3,
    "cj_contrast": 0.3,
    "cj_sat": 0.3,
    "cj_hue": 0.4,
    "random_gray_scale": 0.6,
    "min_scale": 0.5,
    "gaussian_blur": 0.9,
    "sigmas": (1.0, 1.5),
    "hf_prob": 0.8,
    "vf_prob": 0.3,
    "rr_prob": 0.4,
}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def changed(base: Augment, **values: object) -> Augment:
    return Augment.model_validate({**base.model_dump(), **values})


def clouds(count: int, size: int, cells: int = 9) -> NDArray[np.uint8]:
    """Smooth images of random colours."""
    grids = np.random.default_rng(5).integers(0, 256, (count, cells, cells, 3), dtype=np.uint8)
    return np.stack(
        [np.asarray(Image.fromarray(g).resize((size, size), Image.Resampling.BICUBIC)) for g in grids]
    )


def ramp(height: int = SIZE, width: int = SIZE) -> NDArray[np.uint8]:
    """Red is the column, green the row, each times 4."""
    image = np.zeros((height, width, 3), np.uint8)
    image[..., 0] = 4 * np.arange(width)
    image[..., 1] = 4 * np.arange(height)[:, None]
    return image


def two_colours() -> NDArray[np.uint8]:
    """Two halves whose colours leave room on all sides, so that every step of colour shows."""
    image = np.zeros((16, 16, 3), np.uint8)
    image[:, :8], image[:, 8:] = (120, 70, 50), (40, 60, 90)
    return image


def wave() -> NDArray[np.uint8]:
    """A sinusoid of 6 px along both axes."""
    phase = 2 * np.pi * np.arange(SIZE) / 6
    gray = 128 + 50 * (np.sin(phase) + np.sin(phase)[:, None])
    return np.repeat(gray.round().astype(np.uint8)[..., None], 3, -1)


def to_tensor(images: list[Image.Image]) -> Tensor:
    return torch.from_numpy(np.stack([np.asarray(i) for i in images])).permute(0, 3, 1, 2) / 255


def denormalised(views: Tensor) -> NDArray[np.float32]:
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    return (views * std[:, None, None] + mean[:, None, None]).numpy()


def our_views(
    image: NDArray[np.uint8], augment: Augment, draws: int = DRAWS, seed: int = 0
) -> NDArray[np.float32]:
    """Views (draws, 3, H, H) in [0, 1] of one image, or of each of several in turn; of 8 bits, as PIL's."""
    several = torch.from_numpy(image if image.ndim == 4 else image[None])
    chosen = torch.arange(draws) % len(several)
    views = subject.draw_views(several[chosen], augment, image.shape[-3], generator(seed))
    return np.round(denormalised(views) * 255) / 255


def their_views(
    image: NDArray[np.uint8], augment: Augment, draws: int = DRAWS, seed: int = 0
) -> NDArray[np.float32]:
    """The same from lightly."""
    torch.manual_seed(seed)
    np.random.seed(seed)  # what lightly draws from
    transform = SimCLRViewTransform(input_size=image.shape[-3], **augment.model_dump())
    several = [Image.fromarray(i) for i in (image if image.ndim == 4 else image[None])]
    views = torch.stack([transform(several[k % len(several)]) for k in range(draws)])
    return np.round(denormalised(views) * 255) / 255


@pytest.fixture(autouse=True)
def _global_random_state_is_left_alone() -> Iterator[None]:
    numpys = np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        yield
    np.random.set_state(numpys)


def p_value(ours: NDArray[np.floating], theirs: NDArray[np.floating]) -> float:
    return float(stats.ks_2samp(ours, theirs, method="asymp").pvalue)


def assert_same_distribution(
    ours: dict[str, NDArray[np.floating]], theirs: dict[str, NDArray[np.floating]]
) -> None:
    for name in ours:
        assert p_value(ours[name], theirs[name]) > LEVEL, name


# --- with the same draws: PIL is the oracle, its rounding the tolerance -------------------------------


def assert_close(ours: Tensor, theirs: Tensor, rms: float) -> None:
    """Root mean square deviation in units of 1/255."""
    assert float((ours - theirs).mul(255).pow(2).mean().sqrt()) < rms


@pytest.mark.parametrize("view_size", [20, 48, 80])
def test_a_window_is_cropped_resized_and_turned_like_pils(view_size: int) -> None:
    images = clouds(24, 64)[:, :, :52]
    crops = subject.draw_crops(24, (64, 52), 0.08, generator())
    turns = subject.draw_turns(24, changed(OFF, hf_prob=0.5, vf_prob=0.5, rr_prob=0.5), generator(1))
    theirs = []
    for k, image in enumerate(images):
        window = [int(side[k]) for side in (crops.top, crops.left, crops.height, crops.width)]
        view = pil.resized_crop(Image.fromarray(image), *window, [view_size, view_size])
        view = pil.hflip(view) if turns.horizontal[k] else view
        view = pil.vflip(view) if turns.vertical[k] else view
        theirs.append(pil.rotate(view, 90) if turns.quarter[k] else view)
    ours = resampling.crop_and_resize(torch.from_numpy(images), crops, turns, view_size)
    ours = resampling.turn_quarter(ours, turns.quarter)
    assert_close(ours, to_tensor(theirs), rms=0.5)
    assert float(ours.min()) >= 0
    assert float(ours.max()) <= 1 + 1e-6


COLOUR_ORACLES: list[Callable[[Image.Image, float], Image.Image]] = [
    pil.adjust_brightness,
    pil.adjust_contrast,
    pil.adjust_saturation,
    pil.adjust_hue,
]


@pytest.mark.parametrize("index", range(4), ids=[step.__name__ for step in colour.COLOUR_STEPS])
def test_a_colour_step_is_pils(index: int) -> None:
    amounts = subject.draw_jitter(32, changed(OFF, cj_hue=0.5), generator()).amounts[:, index]
    images = [Image.fromarray(image) for image in clouds(32, 24)]
    theirs = [COLOUR_ORACLES[index](i, float(a)) for i, a in zip(images, amounts, strict=True)]
    ours = colour.COLOUR_STEPS[index](to_tensor(images), amounts)
    assert_close(ours, to_tensor(theirs), rms=1.3)
    assert float(ours.min()) >= 0
    assert float(ours.max()) <= 1 + 1e-6


def test_a_hue_shift_is_exact_in_hsv() -> None:
    images = to_tensor([Image.fromarray(image) for image in clouds(8, 24)])
    ours = colour.adjust_hue(images, torch.linspace(-0.5, 0.5, 8))
    theirs = [
        pil.adjust_hue(i, math.trunc(255 * t) / 256)
        for i, t in zip(images, np.linspace(-0.5, 0.5, 8), strict=True)
    ]
    torch.testing.assert_close(ours, torch.stack(theirs), atol=2e-5, rtol=0)


def test_gray_has_no_hue_to_shift() -> None:
    gray = torch.linspace(0, 1, 16).reshape(1, 1, 4, 4).expand(1, 3, 4, 4)
    torch.testing.assert_close(colour.adjust_hue(gray, torch.tensor([0.3])), gray)


def test_each_view_takes_the_colour_steps_in_its_own_order() -> None:
    jitter = subject.draw_jitter(48, changed(Augment(), cj_prob=0.7), generator())
    images = [Image.fromarray(image) for image in clouds(48, 24)]
    before = to_tensor(images)
    theirs = []
    for k, image in enumerate(images):
        view = image
        for index in jitter.order[k].tolist() if jitter.on[k] else []:
            view = COLOUR_ORACLES[index](view, float(jitter.amounts[k, index]))
        theirs.append(view)
    ours = colour.jitter_colours(before, jitter)
    assert_close(ours, to_tensor(theirs), rms=2.5)
    backwards = colour.Jitter(jitter.on, jitter.order.flip(1), jitter.amounts)
    assert float((colour.jitter_colours(before, backwards) - ours).mul(255).pow(2).mean().sqrt()) > 10
    assert torch.equal(ours[~jitter.on], before[~jitter.on])


def test_gray_is_pils_in_the_chosen_views_only() -> None:
    images = [Image.fromarray(image) for image in clouds(8, 24)]
    before, chosen = to_tensor(images), torch.arange(8) % 2 == 0
    ours = colour.to_gray(before, chosen)
    assert_close(ours[chosen], to_tensor([pil.to_grayscale(i, 3) for i in images[::2]]), rms=0.5)
    assert torch.equal(ours[~chosen], before[~chosen])


@pytest.mark.parametrize("sigma", [0.1, 0.7, 1.3, 2.0, 5.0, 30.0])
def test_blur_is_pils_up_to_the_edge(sigma: float) -> None:
    images = [Image.fromarray(image) for image in clouds(8, 24)]
    theirs = [image.filter(ImageFilter.GaussianBlur(radius=sigma)) for image in images]
    before, sigmas = to_tensor(images), torch.full((8,), sigma)
    sigmas[0] = 0
    ours = resampling.blur(before, sigmas)
    assert_close(ours[1:], to_tensor(theirs[1:]), rms=1)
    assert torch.equal(ours[0], before[0])


def test_without_any_augmentation_a_view_is_the_normalised_image() -> None:
    images = clouds(4, SIZE)
    ours = subject.draw_views(torch.from_numpy(images), OFF, SIZE, generator())
    normalise = v2.Normalize(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])
    theirs = normalise(torch.from_numpy(images).permute(0, 3, 1, 2) / 255)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


# --- over many draws: lightly is the oracle ------------------------------------------------------------


def windows(views: NDArray[np.float32]) -> dict[str, NDArray[np.floating]]:
    """Where the windows of `ramp` were, from what they show."""
    views = views * 255 / 4
    edge = views.shape[-1]
    red, green = views[:, 0].mean(1), views[:, 1].mean(2)
    width, height = ((v[:, -4] - v[:, 3]) / (edge - 7) * edge for v in (red, green))
    return {
        "area": width * height,
        "aspect": np.log(width / height),
        "x": red.mean(1).round(1),  # PIL rounds: ties must stay ties
        "y": green.mean(1).round(1),
    }


@pytest.mark.parametrize("min_scale", [0.08, 0.5])
def test_crops_have_lightlys_areas_aspects_and_places(min_scale: float) -> None:
    augment = changed(OFF, min_scale=min_scale)
    ours, theirs = (windows(views(ramp(), augment)) for views in (our_views, their_views))
    assert_same_distribution(ours, theirs)
    assert ours["area"].min() > (min_scale - 0.05) * SIZE**2


@pytest.mark.parametrize(
    ("size", "min_scale"),
    [((64, 64), 0.3), ((40, 64), 0.6), ((64, 40), 0.6), ((30, 90), 0.9), ((90, 30), 0.9)],
)
def test_windows_of_images_of_any_shape_are_torchvisions(size: tuple[int, int], min_scale: float) -> None:
    drawn = subject.draw_crops(DRAWS, size, min_scale, generator())
    torch.manual_seed(0)
    transform = v2.RandomResizedCrop(8, scale=(min_scale, 1))
    image = v2.functional.to_image(np.zeros((*size, 3), np.uint8))
    theirs = [transform.make_params([image]) for _ in range(DRAWS)]
    sides = ("top", "left", "height", "width")
    assert_same_distribution(
        {side: getattr(drawn, side).numpy() for side in sides},
        {side: np.array([params[side] for params in theirs]) for side in sides},
    )
    assert bool((drawn.top >= 0).all() and (drawn.top + drawn.height <= size[0]).all())
    assert bool((drawn.left >= 0).all() and (drawn.left + drawn.width <= size[1]).all())


def test_where_no_window_fits_it_is_the_central_one() -> None:
    drawn = subject.draw_crops(50, (40, 100), 1.0, generator())
    expected = {"top": 0, "left": 23, "height": 40, "width": 53}
    assert all(bool((getattr(drawn, side) == value).all()) for side, value in expected.items())


def poses(views: NDArray[np.float32]) -> NDArray[np.intp]:
    """How often each of the eight poses of `ramp` is seen."""
    image = ramp().transpose(2, 0, 1) / 255
    turned = [image, image[:, :, ::-1], image[:, ::-1], image[:, ::-1, ::-1]]
    turned += [np.rot90(t, 1, (1, 2)) for t in turned]
    corners = np.ix_([0, 1, 2], [0, -1], [0, -1])
    deviations = np.stack([np.abs(views[:, *corners] - t[corners]).max((1, 2, 3)) for t in turned], 1)
    assert (deviations.min(1) < 0.01).all()
    return np.bincount(deviations.argmin(1), minlength=8)


def test_flips_and_quarter_turns_come_as_often_as_lightlys() -> None:
    augment = changed(OFF, hf_prob=0.3, vf_prob=0.6, rr_prob=0.2)
    mirrored = np.outer([0.4, 0.6], [0.7, 0.3]).ravel()  # neither, horizontal, vertical, both
    expected = DRAWS * np.concatenate([0.8 * mirrored, 0.2 * mirrored])
    for views in (our_views, their_views):
        assert stats.chisquare(poses(views(ramp(), augment)), expected).pvalue > LEVEL


def colours(views: NDArray[np.float32]) -> dict[str, NDArray[np.floating]]:
    """Brightness, contrast, saturation and hue of views of `two_colours`."""
    luma = np.tensordot(views, [0.299, 0.587, 0.114], (1, 0))
    left = views[..., :8].mean((2, 3))
    hue = np.angle(left @ np.exp(2j * np.pi * np.arange(3) / 3)) / (2 * np.pi)
    return {
        "brightness": luma.mean((1, 2)),
        "contrast": luma.std((1, 2)),
        "saturation": np.ptp(views, axis=1).mean((1, 2)),
        "hue": hue.round(2),
    }


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ({"cj_bright": 0.5}, "brightness"),
        ({"cj_bright": 1.3}, "brightness"),
        ({"cj_contrast": 0.5}, "contrast"),
        ({"cj_sat": 0.5}, "saturation"),
        ({"cj_hue": 0.15}, "hue"),
        ({"cj_bright": 0.8, "cj_contrast": 0.8, "cj_sat": 0.8, "cj_hue": 0.2, "cj_prob": 0.6}, None),
        ({"cj_bright": 0.6, "cj_contrast": 0.4, "cj_sat": 0.9, "cj_hue": 0.1, "cj_strength": 0.5}, None),
    ],
    ids=str,
)
def test_colour_jitter_has_lightlys_distribution(values: dict[str, float], shown: str | None) -> None:
    still = {"cj_bright": 0.0, "cj_contrast": 0.0, "cj_sat": 0.0, "cj_hue": 0.0, "cj_prob": 1.0}
    augment = changed(OFF, **{**still, **values})
    ours, theirs = (colours(views(two_colours(), augment)) for views in (our_views, their_views))
    assert_same_distribution({name: ours[name] for name in ours if shown in (name, None)}, theirs)


def test_colour_steps_come_in_every_order_equally_often() -> None:
    jitter = subject.draw_jitter(12_000, changed(Augment(), cj_prob=0.6), generator())
    codes = (jitter.order * torch.tensor([64, 16, 4, 1])).sum(1)
    counts = np.unique(codes.numpy(), return_counts=True)[1]
    assert len(counts) == 24
    assert stats.chisquare(counts).pvalue > LEVEL
    assert stats.binomtest(int(jitter.on.sum()), 12_000, 0.6).pvalue > LEVEL


def test_grayscale_comes_as_often_as_lightlys() -> None:
    augment = changed(OFF, random_gray_scale=0.3)
    for views in (our_views, their_views):
        gray = int((np.ptp(views(two_colours(), augment), axis=1).max((1, 2)) < 0.01).sum())
        assert stats.binomtest(gray, DRAWS, 0.3).pvalue > LEVEL


def test_blur_attenuates_a_wave_like_lightlys() -> None:
    # Not from 0.1 px: below 0.4 px each of PIL's six passes changes a pixel so little that it rounds it back.
    augment = changed(OFF, gaussian_blur=0.7, sigmas=(0.4, 1.6))
    ours, theirs = (views(wave(), augment)[:, 0].std((1, 2)).round(3) for views in (our_views, their_views))
    assert p_value(ours, theirs) > LEVEL
    for deviations in (ours, theirs):
        sharp = int((deviations == deviations.max()).sum())
        assert stats.binomtest(sharp, DRAWS, 0.3).pvalue > LEVEL


def test_the_blur_is_as_frequent_and_as_wide_as_the_parameters_say() -> None:
    sigma = subject.draw_sigma(
        10_000, changed(OFF, gaussian_blur=0.3, sigmas=(0.1, 2.0)), generator()
    ).numpy()
    assert stats.binomtest(int((sigma > 0).sum()), 10_000, 0.3).pvalue > LEVEL
    assert stats.kstest(sigma[sigma > 0], stats.uniform(0.1, 1.9).cdf).pvalue > LEVEL


def summary(views: NDArray[np.float32]) -> dict[str, NDArray[np.floating]]:
    """What a network could first notice: means, deviations, and power in three bands of frequency."""
    luma = np.tensordot(views, [0.299, 0.587, 0.114], (1, 0))
    power = np.abs(np.fft.fft2(luma - luma.mean((1, 2), keepdims=True))) ** 2
    frequency = np.hypot(*np.meshgrid(*2 * [np.fft.fftfreq(luma.shape[-1])]))
    bands = {"low": (0.01, 0.06), "middle": (0.06, 0.15), "high": (0.15, 0.3)}
    return {
        **{f"mean {c}": views[:, k].mean((1, 2)) for k, c in enumerate("RGB")},
        **{f"deviation {c}": views[:, k].std((1, 2)) for k, c in enumerate("RGB")},
        "saturation": np.ptp(views, axis=1).mean((1, 2)),
        "rows over columns": np.log(luma.mean(2).std(1) / luma.mean(1).std(1)),
        **{
            f"power {name}": np.log(power[:, (frequency > least) & (frequency <= most)].mean(1) + 0.1)
            for name, (least, most) in bands.items()
        },
    }


def test_the_whole_pipeline_has_lightlys_statistics() -> None:
    images = clouds(50, SIZE, cells=16)
    augment = changed(Augment(), vf_prob=0.5, rr_prob=0.5, min_scale=0.25)
    ours, theirs = (summary(views(images, augment)) for views in (our_views, their_views))
    assert_same_distribution(ours, theirs)
    other = summary(our_views(images, changed(augment, cj_strength=0.5, min_scale=0.08), seed=1))
    rejected = {name for name in theirs if p_value(other[name], theirs[name]) < LEVEL}
    assert {"saturation", "power middle", "mean R"} <= rejected  # so the test can fail


# --- parameters, randomness, input ---------------------------------------------------------------------


def test_the_list_of_non_default_values_is_complete() -> None:
    assert set(NON_DEFAULT) == set(Augment.model_fields)


@pytest.mark.parametrize("name", NON_DEFAULT)
def test_every_parameter_changes_the_views(name: str) -> None:
    images = torch.from_numpy(clouds(32, 24))
    default, other = (
        subject.draw_views(images, augment, 16, generator())
        for augment in (Augment(), changed(Augment(), **{name: NON_DEFAULT[name]}))
    )
    assert not torch.allclose(default, other, atol=0.01)


def test_same_generator_same_views_and_each_image_its_own() -> None:
    images = torch.from_numpy(np.repeat(clouds(1, 24), 16, 0))
    first, again, other = (subject.draw_views(images, Augment(), 16, generator(s)) for s in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)
    assert len(torch.unique(first, dim=0)) == 16
    assert first.dtype == torch.float32
    assert first.shape == (16, 3, 16, 16)
    assert first.is_contiguous()


def test_conditions_that_differ_in_colour_see_the_same_crops() -> None:
    images = torch.from_numpy(clouds(256, 24))
    coloured, plain = Augment(), changed(Augment(), cj_prob=0.0, random_gray_scale=0.0)
    first, second = generator(), generator()
    ours, others = (
        subject.draw_views(images, coloured, 16, first),
        subject.draw_views(images, plain, 16, second),
    )
    untouched = int((ours == others).all(3).all(2).all(1).sum())
    assert stats.binomtest(untouched, 256, 0.2 * 0.8).pvalue > LEVEL
    assert torch.equal(first.get_state(), second.get_state())


def test_images_and_the_global_generators_are_left_alone() -> None:
    images = torch.from_numpy(clouds(8, 24))
    before, state = images.clone(), torch.get_rng_state()
    subject.draw_views(images, Augment(rr_prob=0.5), 16, generator())
    assert torch.equal(images, before)
    assert torch.equal(torch.get_rng_state(), state)


def test_components_leave_their_input_alone() -> None:
    views = torch.rand(8, 3, 16, 16, generator=generator())
    before, every = views.clone(), torch.ones(8, dtype=torch.bool)
    resampling.turn_quarter(views, every)
    colour.jitter_colours(views, subject.draw_jitter(8, Augment(cj_prob=1.0), generator()))
    colour.to_gray(views, every)
    resampling.blur(views, torch.ones(8))
    for step in colour.COLOUR_STEPS:
        step(views, torch.full((8,), 0.4))
    assert torch.equal(views, before)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_views_are_drawn_on_the_device_of_the_images() -> None:
    images = torch.from_numpy(clouds(64, 24)).cuda()
    first, again = (
        subject.draw_views(images, Augment(rr_prob=0.5), 16, torch.Generator("cuda").manual_seed(0))
        for _ in range(2)
    )
    assert first.is_cuda
    assert torch.equal(first, again)
    assert bool(first.isfinite().all())
