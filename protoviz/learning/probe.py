"""Linear read-outs of frozen features: how well a network's last layer tells the classes apart (E1..E4).

There are three: logistic regression and a linear support vector machine on standardised features, and a
linear layer trained with Adam on the features as they are. On one core of a 2.1 GHz Xeon, 2000 + 2000
images of 128 features: all three in 1.4 s, of which Adam takes 0.8 s.
"""

import warnings
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from torch import nn
from torch.nn import functional

from protoviz.config.learning import Probe
from protoviz.errors import StudyError

Features = NDArray[np.float32]
Labels = NDArray[np.integer]


@dataclass(frozen=True)
class Readout:
    """The result of one read-out.

    Attributes:
        accuracy: on the test images, in percent.
        converged: whether the fit met its own stopping criterion within `max_iter`; None for Adam,
            which has none and runs for a fixed number of epochs.
    """

    accuracy: float
    converged: bool | None


def readouts(
    train_features: Features,
    train_labels: Labels,
    test_features: Features,
    test_labels: Labels,
    settings: Probe,
    seed: int,
) -> dict[str, Readout]:
    """Fit each read-out on the training features and test it on the test features.

    A fit that stops at `max_iter` counts all the same, as in the paper; it is recorded in `converged`,
    without a warning for every checkpoint.

    Args:
        train_features: (N, D) float32.
        train_labels: (N,) integers.
        test_features: (M, D) float32.
        test_labels: (M,) integers, none that the training labels lack.
        settings: iterations, and how Adam trains.
        seed: of the initial weights and the batches of Adam, and of the order in which the support
            vector machine visits the images where it does (N < D).

    Returns:
        name -> accuracy and convergence, in the order logistic, svm, adam.

    Raises:
        StudyError: a feature is not finite; the training labels have fewer than two classes; the test
            labels have one that the training labels lack.
    """
    _require_finite(train_features, "training")
    _require_finite(test_features, "test")
    _require_known_classes(train_labels, test_labels)

    # Double precision: the solvers otherwise stop where float32 rounds, not where the gradient vanishes.
    scaler = StandardScaler().fit(train_features.astype(np.float64))
    train = scaler.transform(train_features.astype(np.float64))
    test = scaler.transform(test_features.astype(np.float64))
    logistic = LogisticRegression(max_iter=settings.max_iter)
    # "auto" solves the primal problem unless N < D. It has the same optimum as the dual one, which took
    # ten times as long on 2000 overlapping images and did not converge.
    svm = LinearSVC(max_iter=settings.max_iter, dual="auto", random_state=seed % 2**32)
    return {
        "logistic": _fit(logistic, train, train_labels, test, test_labels),
        "svm": _fit(svm, train, train_labels, test, test_labels),
        "adam": Readout(
            _adam_accuracy(train_features, train_labels, test_features, test_labels, settings, seed), None
        ),
    }


def _fit(
    classifier: LogisticRegression | LinearSVC,
    train: NDArray[np.float64],
    train_labels: Labels,
    test: NDArray[np.float64],
    test_labels: Labels,
) -> Readout:
    """Fit a classifier of scikit-learn; keep quiet about convergence, not about anything else."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        classifier.fit(train, train_labels)
    unconverged = [issubclass(warning.category, ConvergenceWarning) for warning in caught]
    for warning, expected in zip(caught, unconverged, strict=True):
        if not expected:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    return Readout(_percent(classifier.predict(test), test_labels), not any(unconverged))


def _adam_accuracy(
    train_features: Features,
    train_labels: Labels,
    test_features: Features,
    test_labels: Labels,
    settings: Probe,
    seed: int,
) -> float:
    """Train a linear layer on the cross-entropy of unscaled features (E4); accuracy in percent.

    Batches are drawn anew each epoch without replacement; the last may be smaller.
    """
    classes, targets = np.unique(train_labels, return_inverse=True)
    inputs, labels = torch.tensor(train_features), torch.tensor(targets)
    draws = torch.Generator().manual_seed(seed)
    layer = nn.Linear(inputs.shape[1], len(classes), device="meta").to_empty(device="cpu")
    bound = inputs.shape[1] ** -0.5  # torch's own initial weights, from our generator
    with torch.no_grad():
        layer.weight.uniform_(-bound, bound, generator=draws)
        layer.bias.uniform_(-bound, bound, generator=draws)
    optimiser = torch.optim.Adam(layer.parameters(), lr=settings.adam_lr, fused=True)
    for _ in range(settings.adam_epochs):
        order = torch.randperm(len(inputs), generator=draws)
        for start in range(0, len(inputs), settings.adam_batch_size):
            batch = order[start : start + settings.adam_batch_size]
            optimiser.zero_grad()
            torch.autograd.backward(functional.cross_entropy(layer(inputs[batch]), labels[batch]))
            optimiser.step()
    with torch.no_grad():
        predicted = layer(torch.tensor(test_features)).argmax(1).numpy()
    return _percent(classes[predicted], test_labels)


def _percent(predicted: Labels, labels: Labels) -> float:
    return 100 * float(np.mean(predicted == labels))


def _require_finite(features: Features, which: str) -> None:
    finite = np.asarray(np.isfinite(features).all(1))
    if not finite.all():
        raise StudyError(
            f"features of the {which} images",
            expected="finite numbers",
            found=f"{np.count_nonzero(~finite)} of {len(finite)} images with infinities or NaN",
            remedy="train the network again with a smaller train.lr: it has diverged",
        )


def _require_known_classes(train_labels: Labels, test_labels: Labels) -> None:
    known = np.unique(train_labels)
    if len(known) < 2:
        raise StudyError(
            "labels of the training images",
            expected="at least two classes",
            found=f"{len(known)}",
            remedy="raise images.train, or use images of several classes",
        )
    unknown = np.setdiff1d(test_labels, known)
    if len(unknown):
        raise StudyError(
            "labels of the test images",
            expected="only classes that the training images have",
            found=f"{', '.join(map(str, unknown))} as well",
            remedy="raise images.train until every class occurs in it",
        )
