"""Units started again: planted modes are found, starts are independent, images are pushed apart."""

import numpy as np
import pytest
import torch

from protoviz.analysis import embedders, modes
from protoviz.config import synthesis
from protoviz.models.priors import base
from protoviz.models.readout.network import Network
from protoviz.store import schema
from protoviz.synthesis import diversity, restarts, sampling, search
from tests.reference.modes import Templates

CPU = torch.device("cpu")
SIZE = 6
PLANTED = [1, 2, 5] * 4
RULE = modes.Rule(0.8, 0.95, "single")


def recipe(jitter=0.25, **ascent):
    still = {"jitter": 0.0, "scale": (1, 1), "rotation": 0}
    changes = {
        "transforms": still,
        "start": {"pool": 0, "top": 1, "sigma": 0.01},
        "ascent": {"steps": 32, "lr": 0.3, "longest": None, "damping": 0.3} | ascent,
        "levels": 256,
        "precision": "float32",
        "batch_size": 64,
    }
    return restarts.with_transforms(synthesis.changed("fourier", changes), jitter)


def subject(counts=PLANTED, seed=0):
    return Network(Templates(counts, SIZE, seed), SIZE, (0.5,) * 3, (0.5,) * 3)


def started(network=None, channels=range(12), count=24, made=restarts.restarts, how=None, **settings):
    prior = base.load("pixels", size=SIZE)
    address = ("planted", 1, 0)
    return made(
        network or subject(),
        {"best": list(channels)},
        prior,
        how or recipe(),
        count=count,
        address=address,
        device=CPU,
        **settings,
    )


def counted(made):
    vectors = np.stack([embedders.pixels(None)(images) for images in made.image])
    return modes.count(vectors, made.activation, made.status == schema.Status.CONVERGED, RULE)


@pytest.fixture(scope="module")
def made():
    return started()


@pytest.mark.parametrize("seed", [0, 1])
def test_planted_modes_are_found(seed):
    """Of units that respond by the best of 1, 2, 5 orthogonal templates; few of five are missed.

    What is found are the templates that the starts have climbed to, no more and no fewer.
    """
    network = Templates(PLANTED, SIZE, seed)
    made = started(Network(network, SIZE, (0.5,) * 3, (0.5,) * 3))
    found = counted(made)
    shown = torch.from_numpy(made.image[:-1]).flatten(0, 1).permute(0, 3, 1, 2) / 127.5 - 1
    best = network.all(shown).view(24, 12, 12, 5)
    for unit, count in enumerate(PLANTED):
        own = best[:, unit, unit, :count].argmax(1).tolist()
        assert found.modes[unit] == len(set(own)), unit
        together = [found.mode_of_start[unit, own.index(one)] for one in own]
        assert found.mode_of_start[unit].tolist() == together
    assert (found.modes == PLANTED).mean() >= 0.9


def test_a_start_depends_on_its_address_alone(made):
    """Not on the number of starts, the other units, or their order."""
    few = started(count=2, channels=[4, 1])
    for place, channel in enumerate((4, 1)):
        for k in range(2):
            np.testing.assert_array_equal(few.image[k, place], made.image[k, channel])
        np.testing.assert_array_equal(few.image[-1, place], made.image[-1, channel])


def test_starts_are_none_of_the_repeats_and_differ(made):
    repeat = search.prototypes(
        subject(),
        {"best": list(range(12))},
        base.load("pixels", size=SIZE),
        recipe(),
        address=("planted", 1, 0, 0),
        device=CPU,
    )
    shown = [*made.image, repeat.image]
    assert len({one.tobytes() for one in shown}) == len(shown)


def test_the_twin_has_the_start_of_start_0_and_other_transforms():
    """Without steps nothing but the start is left, which is the same."""
    still = started(how=recipe(steps=0), count=2)
    np.testing.assert_array_equal(still.image[-1], still.image[0])
    assert (still.image[1] != still.image[0]).any()
    moved = started(count=2)
    assert (moved.image[-1] != moved.image[0]).any((1, 2, 3)).all()


def test_a_recipe_that_moves_images_keeps_its_transforms():
    own = synthesis.PRESETS["fourier"]
    assert restarts.with_transforms(own, 1.0) == own
    assert restarts.with_transforms(synthesis.PRESETS["fast"], 1.5).transforms.jitter == 1.5


def test_one_start_is_one_mode():
    found = counted(started(count=1))
    assert found.modes.tolist() == [1] * 12


def test_a_unit_that_nothing_drives_has_none():
    network = Templates([1, 2, 5] * 3, SIZE)
    with torch.no_grad():
        network.best.weight[1] *= 0
        network.best.bias = torch.nn.Parameter(torch.tensor([0.0, -1.0, *[0.0] * 7]))
    made = started(Network(network, SIZE, (0.5,) * 3, (0.5,) * 3), channels=range(9))
    found = counted(made)
    assert found.modes.tolist() == [1, 0, 5, 1, 2, 5, 1, 2, 5]
    assert np.isnan(found.spread[1])


def likeness(values):
    """The mean cosine similarity of Gram matrices, literally, of (K, C, H, W)."""
    grams = []
    for image in values:
        rows = image.reshape(len(image), -1)
        grams.append(np.array([[sum(a * b) for b in rows] for a in rows]).ravel())
    unit = [one / np.sqrt((one**2).sum()) for one in grams]
    return [np.mean([unit[i] @ unit[j] for j in range(len(unit)) if j != i]) for i in range(len(unit))]


def test_likeness_is_that_of_gram_matrices():
    values = np.random.default_rng(0).normal(size=(6, 4, 3, 2))
    found = diversity.likeness(torch.from_numpy(values), 3)
    wanted = likeness(values[:3]) + likeness(values[3:])
    np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-5)
    tokens = torch.from_numpy(values).flatten(2).transpose(1, 2)
    np.testing.assert_allclose(diversity.likeness(tokens, 3).numpy(), wanted, rtol=1e-5)
    assert diversity.likeness(torch.from_numpy(values), 1).tolist() == [0.0] * 6


class Filters(torch.nn.Module):
    """Two convolutions with random weights, whose units read a place of a map."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first = torch.nn.Conv2d(3, 16, 3, padding=1)
        self.best = torch.nn.Conv2d(16, 8, 3, padding=1)

    def forward(self, images):
        return self.best(torch.relu(self.first(images)))


def test_images_that_are_pushed_apart_are_farther_apart_and_drive_the_unit_nearly_as_well():
    network, channels = Network(Filters(), SIZE, (0.5,) * 3, (0.5,) * 3), range(8)

    def apart(made):
        shown = made.image[:-1].astype(float) / 255
        pairs = [((a - b) ** 2).mean((1, 2, 3)) for i, a in enumerate(shown) for b in shown[:i]]
        return np.mean(pairs, 0)

    settings = {"network": network, "channels": channels, "count": 4}
    free = started(**settings, made=diversity.diverse, weight=1e-9)
    pushed = started(**settings, made=diversity.diverse, weight=1.0)
    assert pushed.image.shape == (5, 8, SIZE, SIZE, 3)
    assert (apart(pushed) > 1.5 * apart(free)).mean() >= 0.75
    share = pushed.activation[:-1].mean(0) / free.activation[:-1].max(0)
    assert share.min() > 0.6, share


def test_images_of_a_unit_that_are_pushed_apart_do_not_depend_on_other_units():
    network = Network(Filters(), SIZE, (0.5,) * 3, (0.5,) * 3)
    settings = {"network": network, "count": 3, "made": diversity.diverse, "weight": 0.5}
    all_units = started(**settings, channels=range(8))
    one = started(**settings, channels=[5])
    assert np.abs(one.image[:, 0].astype(int) - all_units.image[:, 5]).max() <= 1


def test_a_sample_of_units_is_the_same_at_any_size():
    units = {"a": 10, "b": (3, 5, 9)}
    assert sampling.some(units, None) == {"a": tuple(range(10)), "b": (3, 5, 9)}
    few, more = sampling.some(units, 2), sampling.some(units, 4)
    assert all(set(few[layer]) <= set(more[layer]) for layer in units)
    assert len(few["a"]) == len(few["b"]) == 2


@pytest.mark.parametrize("made", [restarts.restarts, diversity.diverse])
def test_crops_and_noise_and_kept_transparency_are_recipes_too(made):
    moved = {"jitter": 0.0, "scale": (1, 1), "rotation": 0, "crop": (0.5, 0.8), "noise": 0.02}
    how = recipe().model_copy(update={"keep_transparency": True})
    how = how.model_copy(update={"transforms": how.transforms.model_validate(moved)})
    settings = {"weight": 0.5} if made is diversity.diverse else {}
    found = started(count=2, channels=[0, 4], made=made, how=restarts.with_transforms(how, 1.0), **settings)
    assert found.image.shape == (3, 2, SIZE, SIZE, 3)
    assert (found.image[-1] != found.image[0]).any()
