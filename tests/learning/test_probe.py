"""Read-outs against closed forms and scipy; features of frozen networks."""

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import optimize, special, stats

from protoviz.config.learning import Probe
from protoviz.errors import StudyError
from protoviz.learning import probe as subject

SETTINGS = Probe(max_iter=1000, adam_lr=1e-2, adam_epochs=60, adam_batch_size=128)
Data = tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]


def blobs(separation: float, classes: int = 4, count: int = 400, features: int = 12) -> Data:
    """Gaussian classes around random centres: training and test halves."""
    rng = np.random.default_rng(3)
    centres = separation * rng.normal(size=(classes, features))
    labels = np.arange(2 * count) % classes
    points = (centres[labels] + rng.normal(size=(2 * count, features))).astype(np.float32)
    return points[:count], labels[:count], points[count:], labels[count:]


def accuracies(*data: Any, **settings: Any) -> dict[str, float]:
    return {name: fit.accuracy for name, fit in subject.readouts(*data, **settings).items()}


def test_separable_classes_are_all_told_apart() -> None:
    found = accuracies(*blobs(6), SETTINGS, seed=0)
    assert found == {"logistic": 100, "svm": 100, "adam": 100}
    assert list(found) == ["logistic", "svm", "adam"]


def test_labels_may_be_any_integers() -> None:
    train, train_labels, test, test_labels = blobs(6)
    names = np.array([-3, 40, 7, 1000])
    found = accuracies(train, names[train_labels], test, names[test_labels], SETTINGS, seed=0)
    assert set(found.values()) == {100.0}


def test_shuffled_labels_are_at_chance() -> None:
    train, train_labels, test, test_labels = blobs(6)
    rng = np.random.default_rng(0)
    found = accuracies(
        train, rng.permutation(train_labels), test, rng.permutation(test_labels), SETTINGS, seed=0
    )
    for accuracy in found.values():
        assert stats.binomtest(round(accuracy / 100 * len(test)), len(test), 0.25).pvalue > 1e-3


def standardised(data: Data) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    mean, deviation = data[0].mean(0, dtype=float), data[0].std(0, dtype=float)
    return (data[0] - mean) / deviation, (data[2] - mean) / deviation


def softmax_regression(
    train: NDArray[np.float64], labels: NDArray[np.int64], test: NDArray[np.float64], penalty: float
) -> NDArray[np.intp]:
    """Predictions of the minimum of the summed cross-entropy plus penalty/2 of the squared weights."""
    targets = np.eye(labels.max() + 1)[labels]
    shape = (train.shape[1] + 1, targets.shape[1])

    def objective(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        weights = flat.reshape(shape)
        scores = train @ weights[1:] + weights[0]
        error = special.softmax(scores, 1) - targets
        loss = -(special.log_softmax(scores, 1) * targets).sum() + penalty / 2 * (weights[1:] ** 2).sum()
        gradient = np.vstack([error.sum(0), train.T @ error + penalty * weights[1:]])
        return loss, gradient.ravel()

    best = optimize.minimize(objective, np.zeros(shape).ravel(), jac=True, method="L-BFGS-B", tol=1e-10)
    weights = best.x.reshape(shape)
    return (test @ weights[1:] + weights[0]).argmax(1)


def linear_svm(
    train: NDArray[np.float64], labels: NDArray[np.int64], test: NDArray[np.float64]
) -> NDArray[np.intp]:
    """Predictions of one machine against the rest for each class, with squared hinge loss and C = 1."""
    ones = [np.hstack([x, np.ones((len(x), 1))]) for x in (train, test)]
    scores = []
    for label in range(labels.max() + 1):
        signs = np.where(labels == label, 1.0, -1.0)

        def objective(
            weights: NDArray[np.float64], signs: NDArray[np.float64] = signs
        ) -> tuple[float, NDArray[np.float64]]:
            slack = np.maximum(0, 1 - signs * (ones[0] @ weights))
            return weights @ weights / 2 + slack @ slack, weights - 2 * ones[0].T @ (signs * slack)

        start = np.zeros(ones[0].shape[1])
        scores.append(ones[1] @ optimize.minimize(objective, start, jac=True, method="L-BFGS-B", tol=1e-10).x)
    return np.argmax(scores, 0)


def test_logistic_and_svm_are_the_minima_of_their_losses() -> None:
    data = blobs(0.5)
    data[0][:, :6] *= 100  # without the scaler the penalty would weigh the features differently
    data[2][:, :6] *= 100
    train, test = standardised(data)
    found = accuracies(*data, SETTINGS, seed=0)
    logistic = 100 * np.mean(softmax_regression(train, data[1], test, penalty=1) == data[3])
    svm = 100 * np.mean(linear_svm(train, data[1], test) == data[3])
    one_image = 100 / len(test)
    assert 30 < logistic < 95
    assert found["logistic"] == pytest.approx(logistic, abs=one_image + 1e-9)
    assert found["svm"] == pytest.approx(svm, abs=one_image + 1e-9)


def test_adam_approaches_the_minimum_of_the_cross_entropy_of_unscaled_features() -> None:
    data = blobs(0.5)
    expected = 100 * np.mean(
        softmax_regression(data[0].astype(float), data[1], data[2].astype(float), penalty=1e-6) == data[3]
    )
    long = SETTINGS.model_copy(update={"adam_epochs": 250})
    assert accuracies(*data, long, seed=0)["adam"] == pytest.approx(expected, abs=1.5)


def test_the_scaler_sees_the_training_features_only() -> None:
    train, train_labels, test, test_labels = blobs(0.5)
    moved = np.concatenate([test, np.full_like(test, 1e4)])
    labels = np.concatenate([test_labels, test_labels])
    alone = accuracies(train, train_labels, test, test_labels, SETTINGS, seed=0)
    far = accuracies(train, train_labels, moved[400:], labels[400:], SETTINGS, seed=0)
    both = accuracies(train, train_labels, moved, labels, SETTINGS, seed=0)
    for name in alone:
        assert both[name] == pytest.approx((alone[name] + far[name]) / 2)


def test_adam_reads_features_as_they_are() -> None:
    data = blobs(0.5)
    small = (data[0] * np.float32(1e-3), data[1], data[2] * np.float32(1e-3), data[3])
    found, shrunk = (accuracies(*d, SETTINGS, seed=0) for d in (data, small))
    assert shrunk["logistic"] == pytest.approx(found["logistic"], abs=0.5)
    assert shrunk["svm"] == pytest.approx(found["svm"], abs=0.5)
    assert shrunk["adam"] < found["adam"] - 3


@pytest.mark.parametrize("change", [{"adam_lr": 1e-5}, {"adam_epochs": 1}, {"adam_batch_size": 400}])
def test_every_setting_of_adam_counts(change: dict[str, float]) -> None:
    data, short = blobs(0.5), SETTINGS.model_copy(update={"adam_epochs": 3})
    default, other = (
        accuracies(*data, settings, seed=0)["adam"] for settings in (short, short.model_copy(update=change))
    )
    assert default != other


def test_same_seed_same_accuracies_whatever_the_global_generators() -> None:
    data, short = blobs(0.5), SETTINGS.model_copy(update={"adam_epochs": 2})
    state = torch.get_rng_state()
    first = accuracies(*data, short, seed=2**62)
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(5)
    np.random.rand(5)
    assert accuracies(*data, short, seed=2**62) == first
    others = [accuracies(*data, short, seed=seed)["adam"] for seed in range(4)]
    assert len(set(others)) > 1


def test_a_fit_that_does_not_converge_is_recorded_without_a_warning() -> None:
    data = blobs(0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        short = subject.readouts(*data, SETTINGS.model_copy(update={"max_iter": 1}), seed=0)
        full = subject.readouts(*data, SETTINGS, seed=0)
    assert [readout.converged for readout in short.values()] == [False, False, None]
    assert [readout.converged for readout in full.values()] == [True, True, None]


def test_features_are_left_alone_and_may_be_dead() -> None:
    data = blobs(6)
    data[0][:, 0] = data[2][:, 0] = 0
    before = [part.copy() for part in data]
    assert set(accuracies(*data, SETTINGS, seed=0).values()) == {100.0}
    for part, copy in zip(data, before, strict=True):
        np.testing.assert_array_equal(part, copy)


@pytest.mark.parametrize(("position", "which"), [(0, "training"), (2, "test")])
def test_features_that_are_not_finite_are_refused(position: int, which: str) -> None:
    data = blobs(1)
    data[position][[3, 5], 0] = np.nan, np.inf
    with pytest.raises(StudyError, match=f"{which} images: expected finite numbers, found 2 of 400 images"):
        accuracies(*data, SETTINGS, seed=0)


def test_classes_that_training_lacks_are_refused() -> None:
    train, train_labels, test, test_labels = blobs(1)
    with pytest.raises(
        StudyError, match=r"test images: expected only classes.*found 4, 5 as well; raise images"
    ):
        accuracies(train, train_labels % 2, test, np.where(test_labels > 1, test_labels + 2, 0), SETTINGS, 0)


def test_one_class_is_refused() -> None:
    train, train_labels, test, test_labels = blobs(1)
    with pytest.raises(StudyError, match="at least two classes, found 1"):
        accuracies(train, train_labels * 0, test, test_labels * 0, SETTINGS, 0)
