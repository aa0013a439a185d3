"""The prior `natural` is learnt: latents are white, losses fall, trainings repeat and go on to the bit."""

import itertools

import numpy as np
import pytest
import torch
from torch.nn import functional

from protoviz.config.natural_prior import NATURAL, NaturalPrior
from protoviz.errors import StudyError
from protoviz.learning import natural, natural_latents
from protoviz.models import efficientnet_lite0
from protoviz.models.priors.natural import save

CPU = torch.device("cpu")
SETTINGS = NaturalPrior(
    seed=0,
    image_size=32,
    photograph_size=40,
    components=(12, 4, 4),
    widths=(32, 32),
    crops=2,
    steps=80,
    adversary_steps=0,
    batch_size=8,
    lr=1e-2,
    adversary_lr=2e-4,
    feature_weight=0.05,
    adversary_weight=0.02,
    precision="float32",
)
SHORT = SETTINGS.model_copy(update={"steps": 3, "adversary_steps": 3, "crops": 1})


@pytest.fixture(scope="module")
def photographs():
    """Smooth images of few degrees of freedom."""
    rng = np.random.default_rng(0)
    axis = np.linspace(0, 1, 40)
    waves = np.stack([np.sin(np.pi * k * axis + p) for k in (1, 2) for p in (0, 1.5)])
    basis = np.einsum("ix,jy->ijxy", waves, waves).reshape(16, 40, 40)
    mixed = np.einsum("nkc,kxy->nxyc", rng.standard_normal((60, 16, 3)) / 4, basis)
    return (255 / (1 + np.exp(-2 * mixed))).astype(np.uint8)


def weights(trained):
    return torch.cat([tensor.flatten() for tensor in trained[0].state_dict().values()])


@pytest.fixture(scope="module")
def short(photographs):
    return natural.train(photographs, SHORT, CPU)


def test_latents_are_white():
    draws = torch.Generator().manual_seed(0)
    common = torch.randn(500, 3, generator=draws)
    parts = [
        common @ torch.randn(3, size, generator=draws) + torch.randn(500, size, generator=draws) + shift
        for size, shift in ((9, 5.0), (7, -2.0), (6, 0.0))
    ]
    latents = natural_latents.whitening(parts, (4, 3, 2))(parts).double()
    torch.testing.assert_close(latents.mean(0), torch.zeros(9).double(), atol=1e-5, rtol=0)
    torch.testing.assert_close(latents.T @ latents / 500, torch.eye(9).double(), atol=1e-4, rtol=0)


def test_of_each_part_the_largest_components_are_kept():
    """Parts that have nothing in common: each component of a latent is a component of its own part."""
    draws = torch.randn(20000, 6, generator=torch.Generator().manual_seed(0))
    scaled = draws * torch.tensor([0.1, 5.0, 1.0, 3.0, 0.2, 0.3])
    latents = natural_latents.whitening([scaled[:, :3], scaled[:, 3:]], (2, 1))(
        [scaled[:, :3], scaled[:, 3:]]
    )
    for component, axis in enumerate((1, 2, 3)):
        assert abs(np.corrcoef(latents[:, component], draws[:, axis])[0, 1]) > 0.999


def test_maps_are_those_of_the_network_and_descriptions_their_means():
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    network = efficientnet_lite0.load()
    maps = natural_latents.Encoder()(images, natural_latents.NEEDED)
    x = network.bn1(network.conv_stem((images - 0.5) / 0.5))
    for number, found in enumerate(maps):
        x = network.blocks[number](x)
        torch.testing.assert_close(found, x, atol=2e-4 * float(x.abs().max()), rtol=0)
    thumbnail, fine, coarse = natural_latents.describe(images, maps)
    assert thumbnail.shape == (2, 3 * 16 * 16)
    for pooled, part, cells in ((maps[2], fine, 4), (maps[5], coarse, 2)):
        side = pooled.shape[-1] // cells
        for channel, row, column in itertools.product((0, 7), range(cells), range(cells)):
            cell = pooled[1, channel, row * side : (row + 1) * side, column * side : (column + 1) * side]
            assert part.view(2, -1, cells, cells)[1, channel, row, column] == pytest.approx(
                float(cell.mean()), rel=1e-4
            )


def test_thumbnails_are_linear_and_keep_one_colour():
    maps = [torch.zeros(1, 1, 4, 4)] * natural_latents.NEEDED

    def thumbnail(image):
        return natural_latents.describe(image, maps)[0]

    one, other = torch.rand(2, 1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(thumbnail(one + other), thumbnail(one) + thumbnail(other))
    torch.testing.assert_close(thumbnail(torch.full((1, 3, 64, 64), 0.3)), torch.full((1, 768), 0.3))


def test_training_converges(photographs):
    decoder, history, unseen = natural.train(photographs, SETTINGS, CPU)
    assert history[-1]["step"] == 80
    spread = float(np.abs(photographs / 255.0 - photographs.mean() / 255).mean())
    assert unseen["pixel_loss"] < 0.8 * spread, "the loss of the image of one grey is the spread"
    start = natural.train(photographs, SETTINGS.model_copy(update={"steps": 1}), CPU)[2]
    assert unseen["feature_loss"] < 0.8 * start["feature_loss"]
    assert decoder.render(torch.zeros(1, 20)).shape == (1, 3, 32, 32)
    assert not any(parameter.requires_grad for parameter in decoder.parameters())


def test_same_seed_same_bytes(photographs, short, tmp_path):
    again = natural.train(photographs, SHORT, CPU)
    for name, trained in (("a", short), ("b", again)):
        save(tmp_path / name, trained[0], {"unseen": trained[2]})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    other = natural.train(photographs, SHORT.model_copy(update={"seed": 1}), CPU)
    assert not torch.equal(weights(other), weights(short))


def test_what_is_held_out_is_not_trained_on(photographs, short):
    changed = photographs.copy()
    changed[9::10] = 255 - changed[9::10]
    again = natural.train(changed, SHORT, CPU)
    assert torch.equal(weights(again), weights(short))
    assert again[2] != short[2]


@pytest.mark.parametrize("stopped", [2, 4], ids=["before the adversary", "with it"])
def test_a_stopped_training_goes_on_to_the_same_end(photographs, short, tmp_path, monkeypatch, stopped):
    monkeypatch.setattr(natural, "_KEPT", 1)
    state = tmp_path / "state"
    advance = natural._Training.advance

    def advance_until(self, step):
        if step == stopped:
            raise KeyboardInterrupt
        advance(self, step)

    monkeypatch.setattr(natural._Training, "advance", advance_until)
    with pytest.raises(KeyboardInterrupt):
        natural.train(photographs, SHORT, CPU, state)
    steps = []
    monkeypatch.setattr(natural._Training, "advance", lambda self, s: (steps.append(s), advance(self, s)))
    resumed = natural.train(photographs, SHORT, CPU, state)
    assert steps == list(range(stopped, 6))
    assert torch.equal(weights(resumed), weights(short))
    assert resumed[1:] == short[1:]


def test_the_state_of_another_training_is_refused(photographs, tmp_path, monkeypatch):
    monkeypatch.setattr(natural, "_KEPT", 1)
    one = SHORT.model_copy(update={"steps": 1, "adversary_steps": 0})
    natural.train(photographs, one, CPU, tmp_path / "state")
    others = (photographs, one.model_copy(update={"lr": 1e-3})), (photographs[::-1].copy(), one)
    for images, settings in others:
        with pytest.raises(StudyError, match="a training with these settings and photographs, found that of"):
            natural.train(images, settings, CPU, tmp_path / "state")
    (tmp_path / "state").write_bytes(b"no state")
    with pytest.raises(StudyError, match=r"state: expected the state of a training.*remove it"):
        natural.train(photographs, one, CPU, tmp_path / "state")


def test_the_adversary_takes_part_when_its_steps_begin(short, photographs):
    decoder, history, _ = short
    alone = natural.train(photographs, SHORT.model_copy(update={"adversary_weight": 0.0}), CPU)
    assert not torch.equal(weights(alone), weights(short))
    assert 0 < history[-1]["adversary_loss"] < 2, "half of the steps; the hinge loss begins near 2"
    without = natural.train(photographs, SHORT.model_copy(update={"adversary_steps": 0}), CPU)
    assert without[1][-1]["adversary_loss"] == 0
    assert decoder.training is False


def test_learning_rates_fall_to_nothing_twice():
    rates = [
        natural._rate(step, NATURAL.model_copy(update={"adversary_steps": 10}))
        for step in (0, NATURAL.steps - 1, NATURAL.steps, NATURAL.steps + 9)
    ]
    assert rates == pytest.approx([1, 0, 0.25, 0], abs=0.01)


def test_the_feature_loss_is_that_of_the_literal_formula(photographs):
    training = natural._Training(torch.from_numpy(photographs), SHORT, CPU)
    one, other = torch.rand(2, 2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    total = 0.0
    for got, want in zip(training._maps(one, 4), training._maps(other, 4), strict=True):
        places = []
        for image, row, column in itertools.product(range(2), range(got.shape[2]), range(got.shape[3])):
            a, b = (maps[image, :, row, column].double() for maps in (got, want))
            places.append(float(((a / a.norm() - b / b.norm()) ** 2).sum()))
        total += np.mean(places) / 4
    assert float(training._feature_loss(one, other)) == pytest.approx(total, rel=1e-4)


def test_crops_are_windows_of_the_photographs():
    ramp = np.arange(40, dtype=np.uint8)
    images = torch.from_numpy(np.broadcast_to(ramp[None, None, :, None], (60, 40, 40, 3)).copy())
    training = object.__new__(natural._Training)
    training.settings, training.device = SHORT, CPU
    crops = 255 * training._crops(images, np.random.default_rng(0))
    assert crops.shape == (60, 3, 32, 32)
    slopes = (crops[:, 0, 5, -3] - crops[:, 0, 5, 2]) / 27
    assert (slopes < 0).sum() in range(15, 46), "about half are mirrored"
    assert slopes.abs().min() > 0.99, "at most one pixel of the photograph for each of the crop"
    assert slopes.abs().max() < 40 / 32 + 0.01
    assert functional.l1_loss(crops[:, :, :1].expand_as(crops), crops) < 1e-3, "rows are alike"


def test_too_few_photographs_are_refused(photographs):
    with pytest.raises(
        StudyError, match=r"more of them to train on than a latent has dimensions, 20,.*found 20 of 22; add"
    ):
        natural.train(photographs[:22], SETTINGS, CPU)
