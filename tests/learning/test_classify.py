"""Training with labels: it learns what can be learnt, the same each time, and judges literally."""

import numpy as np
import pytest
import torch
from torch import nn

from protoviz.config.finetuning import Supervised
from protoviz.data.splits import LabelledSet
from protoviz.learning import classify
from protoviz.models import resnet, zoo

CPU = torch.device("cpu")


def settings(**changes):
    how = {"images": None, "epochs": 6, "view_size": 32, "batch_size": 8, "lr": 1e-2, "weight_decay": 0.0}
    return Supervised.model_validate({**how, "label_smoothing": 0.0, "precision": "float32", **changes})


def bars(count, seed=0):
    """Upright bars and lying ones, on noise: what mirroring and moving leave as it is."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    images = rng.integers(0, 80, (count, 40, 40, 3), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        place = rng.integers(8, 28)
        image[(slice(None), slice(place, place + 4)) if label else (slice(place, place + 4),)] += 150
    return images, labels.astype(np.int64)


def network():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(
            *(nn.Conv2d(3, 8, 5, 2), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 5, 2), nn.ReLU()),
            *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2)),
        )


def learnt(address=("seresnext", 1), **changes):
    made = network()
    history = classify.train(*bars(64), made, settings(**changes), address=address, device=CPU)
    return made, history


def test_it_learns():
    made, history = learnt()
    assert [epoch.epoch for epoch in history] == [1, 2, 3, 4, 5, 6]
    assert history[-1].loss < 0.6 * history[0].loss
    assert classify.accuracy(*bars(40, seed=1), made, 32, CPU) > 90
    assert not made.training


def test_the_same_address_gives_the_same_weights_and_another_one_others():
    first, again, other = learnt()[0], learnt()[0], learnt(("seresnext", 2))[0]
    for name, value in first.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name
    assert not torch.equal(first[0].weight, other[0].weight)


def test_accuracy_is_the_share_of_right_answers_on_images_at_the_size_asked_for():
    images, labels = bars(70)
    made = network().eval()
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        right = [
            int(made(resnet.normalise(pixel[None])).argmax()) == label
            for pixel, label in zip(pixels, labels, strict=True)
        ]
    assert classify.accuracy(images, labels, made, 40, CPU) == pytest.approx(100 * np.mean(right))


def test_images_are_normalised_as_the_network_says_that_it_was_trained():
    images, labels = bars(20)
    made = network().eval()
    made.pretrained_cfg = {"input_size": (3, 40, 40), "mean": (0.5, 0.4, 0.3), "std": (0.5, 0.2, 0.1)}
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.tensor(made.pretrained_cfg[name])[:, None, None] for name in ("mean", "std"))
    with torch.no_grad():
        right = made((pixels - mean) / std).argmax(1).numpy() == labels
    assert classify.accuracy(images, labels, made, 40, CPU) == pytest.approx(100 * right.mean())


def test_a_task_is_judged_by_some_of_its_images():
    images, labels = bars(70)
    some = LabelledSet(images, labels)
    task = classify.Task(["lying", "upright"], some, some)
    made = network().eval()
    said = task.judged(made, 40, CPU, None)
    assert said == {"classes": 2, "accuracy": classify.accuracy(images, labels, made, 40, CPU), "chance": 50}
    few = task.judged(made, 40, CPU, 6)
    rows = np.arange(6)
    assert few["accuracy"] == classify.accuracy(images[rows], labels[rows], made, 40, CPU)


@pytest.mark.parametrize("labels", [np.arange(60) % 3, np.repeat([0, 1, 2], [10, 20, 30])])
def test_some_of_the_images_have_all_classes_in_proportion(labels):
    """Whether they stand mixed or class after class."""
    share = np.bincount(labels) / len(labels)
    for most in (6, 30, 40, 100, None):
        some = classify._some(labels.astype(np.int64), most)
        assert len(some) == min(most or 60, 60)
        assert (np.diff(some) > 0).all()
        np.testing.assert_allclose(np.bincount(labels[some]) / len(some), share, atol=1.01 / len(some))


def test_it_learns_from_as_many_images_as_it_is_told():
    images, labels = bars(64)
    task = classify.Task(["lying", "upright"], LabelledSet(images, labels), LabelledSet(images, labels))
    few = network()
    task.learnt(few, settings(images=16, epochs=1), address=("a",), device=CPU)
    alone = network()
    classify.train(images[:16], labels[:16], alone, settings(epochs=1), address=("a",), device=CPU)
    assert torch.equal(few[0].weight, alone[0].weight)


def test_no_batch_is_left_with_a_single_image():
    """Of which batch normalisation could not take a variance."""
    sizes = [len(batch) for batch in classify._batches(np.arange(65), 16)]
    assert sum(sizes) == 65
    assert min(sizes) >= 13
    assert max(sizes) <= 16


def test_views_are_mirrored_and_moved_but_little():
    images = np.zeros((64, 40, 40, 3), np.uint8)
    images[:, 20, 8] = 255
    shown = classify._view(images, 40, zoo.colours(network()), np.random.default_rng(0))
    assert shown.shape == (64, 3, 40, 40)
    brightest = shown[:, 0].flatten(1).argmax(1)
    columns, rows = set((brightest % 40).tolist()), set((brightest // 40).tolist())
    assert len(rows) == 1, "a batch is moved as one"
    assert abs(rows.pop() - 20) <= 5
    left, right = min(columns), max(columns)
    assert len(columns) == 2
    assert right - left == 39 - 2 * 8


@pytest.mark.parametrize("images", [2, 4, 8, 10, 16, 32])
def test_any_number_of_steps_is_a_cycle(images):
    """Of batches of two: 1, 2, 4, 5, 8 and 16 steps, among them those of which a quarter is one."""
    made, before = network(), network()
    shown, labels = bars(images)
    (epoch,) = classify.train(
        shown, labels, made, settings(epochs=1, batch_size=2), address=("a",), device=CPU
    )
    assert np.isfinite(epoch.loss)
    assert not torch.equal(made[0].weight, before[0].weight)


def test_the_rate_rises_for_a_quarter_of_the_steps_and_falls_to_nothing():
    for steps in (*range(1, 12), 97, 400):
        rates = np.array([classify._rate(step, steps) for step in range(steps)])
        assert ((rates > 0) & (rates <= 1)).all()
        greatest = int(rates.argmax())
        assert abs((greatest + 0.5) / steps - 0.25) <= 1 / steps, "one of the two beside the peak"
        assert (np.diff(rates[: greatest + 1]) > 0).all()
        assert (np.diff(rates[greatest:]) < 0).all()
    assert rates[0] == pytest.approx(classify.LOWEST, abs=1e-3)
    assert rates[-1] < 1e-4
    # halfway up and halfway down: the middle between both ends of a half wave
    assert classify._rate(49.5, 400) == pytest.approx((1 + classify.LOWEST) / 2)
    assert classify._rate(249.5, 400) == pytest.approx(1 / 2)


def test_bfloat16_learns_as_well():
    made, history = learnt(precision="bfloat16")
    assert all(value.dtype != torch.bfloat16 for value in made.state_dict().values())
    assert history[-1].loss < 0.7 * history[0].loss
