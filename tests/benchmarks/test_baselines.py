"""The baselines against slow oracles, closed forms and the counts of evaluations that are published."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from benchmarks import lucent_style, one_at_a_time, published, smoothness, subjects
from benchmarks.fc6 import LENGTH, PublishedFc6
from benchmarks.pipeline import Pipeline, measure, quantized
from protoviz.models import resnet
from tests.reference import published as oracle

SMALL = published.Budget(generations=3, samples=6, parents=3, steps=4, lr=0.3, block=2)


@pytest.fixture(scope="module")
def subject():
    return subjects.load("tiny", "tiny", torch.device("cpu"))


def respond_alone(subject, layer, channel):
    """Latent (n,) of any type -> response, by the shortest way there is."""

    def respond(latent):
        image = subject.prior.render(latent[None].float())
        maps = functional.relu(subject.network.pre_activation(resnet.normalise(image), layer))
        row, column = (maps.shape[2] - 1) // 2, (maps.shape[3] - 1) // 2
        return maps[0, channel, row, column]

    return respond


def test_published_evolution_is_that_of_single_units(subject):
    channels = [1, 4, 6]
    n = subject.prior.latent_size
    found = published.evolve(Pipeline(subject), "layer2", channels, torch.Generator().manual_seed(3), SMALL)
    draws = torch.Generator().manual_seed(3)
    start = torch.randn(3, n, generator=draws).numpy()
    noise = np.stack(
        [
            np.stack([torch.randn(3, n, generator=draws).numpy() for _ in range(SMALL.samples)])
            for _ in range(SMALL.generations)
        ]
    )
    for i, channel in enumerate(channels):
        respond = respond_alone(subject, "layer2", channel)
        with torch.no_grad():
            expected = oracle.evolve(
                lambda z, respond=respond: respond(torch.from_numpy(z)).item(),
                start[i],
                noise[:, :, i],
                SMALL.sigma,
                SMALL.parents,
            )
        np.testing.assert_allclose(found[i], expected, rtol=1e-4, atol=1e-4)


def test_published_ascent_is_adam_of_single_units(subject):
    start = torch.randn(2, subject.prior.latent_size, generator=torch.Generator().manual_seed(0))
    found = published.ascend(Pipeline(subject), "layer1", [0, 3], start, SMALL)
    for i, channel in enumerate([0, 3]):
        expected = oracle.adam(
            respond_alone(subject, "layer1", channel), start[i].numpy(), SMALL.steps, SMALL.lr
        )
        np.testing.assert_allclose(found[i], expected, rtol=1e-4, atol=1e-4)


def test_published_budget_is_the_papers(subject):
    pipeline = Pipeline(subject)
    published.synthesize(pipeline, "layer1", [0], torch.Generator().manual_seed(0), published.Budget())
    assert (pipeline.forward["layer1"], pipeline.gradient["layer1"]) == (620, 50)


def test_blocks_leave_no_unit_out(subject):
    pipeline = Pipeline(subject)
    found = published.synthesize(pipeline, "layer2", range(5), torch.Generator().manual_seed(0), SMALL)
    assert found.shape == (5, subject.prior.latent_size)
    assert pipeline.forward["layer2"] == 5 * SMALL.generations * (SMALL.samples + 1)
    assert pipeline.gradient["layer2"] == 5 * SMALL.steps


def test_recombination_weights_in_closed_form():
    expected = np.log(16) - np.log(np.arange(1, 16))
    np.testing.assert_allclose(published.recombination_weights(15), expected / expected.sum(), rtol=1e-6)


@pytest.mark.parametrize(("dimensions", "diagonal"), [(8, False), (one_at_a_time.FULL + 1, True)])
def test_library_minimises_a_sphere_with_either_covariance(dimensions, diagonal):
    strategy = one_at_a_time.library(np.random.default_rng(0), dimensions, published.Budget())
    first = strategy.mean @ strategy.mean
    for _ in range(150):
        population = strategy.ask()
        strategy.tell(population, [float(x @ x) for x in population])
    assert strategy.mean @ strategy.mean < first / 2
    assert strategy.sigma_vec.is_identity != diagonal, "only the diagonal is scaled coordinate by coordinate"


def test_one_at_a_time_rises_and_repeats_itself(subject):
    def make():
        torch.rand(3)
        np.random.rand(3)
        pipeline = Pipeline(subject)
        return pipeline, one_at_a_time.synthesize(pipeline, "layer3", 2, np.random.default_rng(5), SMALL)

    (pipeline, latent), (_, again) = make(), make()
    assert torch.equal(latent, again)
    assert pipeline.forward["layer3"] == SMALL.generations * SMALL.samples + 1
    respond = respond_alone(subject, "layer3", 2)
    start = torch.from_numpy(np.random.default_rng(5).standard_normal(subject.prior.latent_size)).float()
    assert respond(latent[0]) > respond(start)


def test_lucent_image_is_grey_without_a_spectrum_and_a_wave_with_one():
    size = 12
    spectrum = torch.zeros(1, 3, size, size // 2 + 1, 2)
    assert torch.equal(lucent_style.image(spectrum, size), torch.full((1, 3, size, size), 0.5))
    spectrum[0, 0, 0, 2, 0] = 3.0  # the first colour axis, two periods along a row
    wave = 2 / size * 3.0 * (size / 2) / 4 * np.cos(2 * np.pi * 2 * np.arange(size) / size)
    colours = np.array(lucent_style.COLOURS)
    colours = colours / np.linalg.norm(colours, axis=0).max()
    expected = 1 / (1 + np.exp(-colours[:, 0, None] * wave))
    found = lucent_style.image(spectrum, size)[0]
    np.testing.assert_allclose(found[:, 5], expected, atol=1e-6)
    np.testing.assert_allclose(found[:, 0], found[:, 5], atol=1e-6)


def test_lucent_transforms_keep_the_size_and_do_nothing_when_they_draw_nothing(monkeypatch):
    images = torch.rand(1, 3, 20, 20, generator=torch.Generator().manual_seed(0))
    assert lucent_style.transformed(images, np.random.default_rng(1)).shape == images.shape
    for name, value in {"PADDING": 0, "JITTERS": (1, 1), "SCALES": (1.0,), "ANGLES": (0,)}.items():
        monkeypatch.setattr(lucent_style, name, value)
    torch.testing.assert_close(lucent_style.transformed(images, np.random.default_rng(1)), images)


def test_lucent_drives_its_unit(subject):
    pipeline = Pipeline(subject)
    image = lucent_style.synthesize(pipeline, "layer1", 2, np.random.default_rng(0), 30)
    grey = torch.full_like(image, 0.5)
    after, before = (pipeline.responses_to(each, "layer1", [2]) for each in (image, grey))
    assert pipeline.gradient["layer1"] == 30
    assert after > before + 1


def test_what_is_measured_is_the_response_to_the_quantised_image(subject):
    units = {"layer1": [3, 0], "layer4": [7]}
    images = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    pixels = quantized(images)
    found = measure(subject, units, pixels)
    exact = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
    assert (exact - images).abs().max() <= 0.5 / 255 + 1e-6
    for i, (layer, channel) in enumerate([("layer1", 3), ("layer1", 0), ("layer4", 7)]):
        maps = subject.network.pre_activation(resnet.normalise(exact[i : i + 1]), layer)
        row, column = ((extent - 1) // 2 for extent in maps.shape[2:])
        assert found[i] == pytest.approx(maps[0, channel, row, column].item(), rel=1e-4, abs=1e-5)


def test_published_and_own_fc6_make_the_same_images():
    published_form = PublishedFc6(1)
    latents = LENGTH * torch.randn(2, 4096, generator=torch.Generator().manual_seed(0))
    images = published_form.render(latents)
    torch.testing.assert_close(images, published_form.ours().render(latents), atol=1e-4, rtol=0)
    assert 0.1 < images.std() < 0.4


def test_calibrated_network_has_responses_of_order_one(subject):
    latents = torch.randn(32, subject.prior.latent_size, generator=torch.Generator().manual_seed(9))
    images = resnet.normalise(subject.prior.render(latents))
    for _, maps in subject.network.pre_activations(images):
        assert 0.3 < maps.std() < 5


def test_gradients_last_beyond_a_move_that_is_small_enough(subject, monkeypatch):
    pipeline = Pipeline(subject)
    far = smoothness.measured(pipeline, "layer3")
    monkeypatch.setattr(smoothness, "MOVE", 1e-5)
    np.testing.assert_allclose(smoothness.measured(pipeline, "layer3"), 1, atol=0.02)
    assert far[0] < 0.99
    assert far[2] < 0.99


def test_smoothness_is_told_of_every_layer(capsys):
    smoothness.main(["--study", "tiny"])
    table = capsys.readouterr().out
    assert table.count("| tiny | layer") == 4
    assert "nan" not in table
