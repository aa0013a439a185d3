"""Training with labels, for the states of study B: AdamW, one cycle, cross-entropy."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from protoviz import compute, seeding
from protoviz.config.finetuning import Supervised
from protoviz.data import splits
from protoviz.models import resnet, zoo
from protoviz.progress import track

Pixels = NDArray[np.uint8]
Labels = NDArray[np.int64]

SHIFT = 8  # a batch is moved by up to an eighth of its width
BETAS = (0.9, 0.99)  # AdamW; a short training cannot wait for a mean over a thousand steps
WARM_UP = 0.25  # share of the cycle in which the rate rises
LOWEST = 0.04  # share of the greatest rate at which the cycle begins
JUDGED = 64  # images judged at once


@dataclass(frozen=True)
class Epoch:
    """The results of an epoch: its mean loss, and the accuracy on its training batches, %."""

    epoch: int
    loss: float
    accuracy: float


@dataclass(frozen=True)
class Task:
    """A set of labelled images.

    Attributes:
        classes: their names.
        train: images to learn from.
        test: images to judge by.
    """

    classes: list[str]
    train: splits.LabelledSet
    test: splits.LabelledSet

    @classmethod
    def read(cls, directory: Path) -> "Task":
        """Read what a stage of the pipeline has written.

        Raises:
            StudyError: it is missing or damaged.
        """
        train, test = splits.load(directory, "train"), splits.load(directory, "test")
        return cls(splits.classes(directory), train, test)

    def learnt(
        self,
        network: nn.Module,
        settings: Supervised,
        *,
        address: tuple[str | int, ...],
        device: torch.device,
    ) -> list[Epoch]:
        """Train a network on it in place; see `train`."""
        some = _some(self.train.labels, settings.images)
        images, labels = self.train.images[some], self.train.labels[some]
        return train(images, labels, network, settings, address=address, device=device)

    def judged(self, network: nn.Module, size: int, device: torch.device, most: int | None) -> dict[str, Any]:
        """How well a network does: accuracy on the images to judge by, %, and that of guessing.

        Args:
            network: as `train`.
            size: px of the images.
            device: where to compute.
            most: images at most, of all classes; None: all.
        """
        some = _some(self.test.labels, most)
        reached = accuracy(self.test.images[some], self.test.labels[some], network, size, device)
        return {"classes": len(self.classes), "accuracy": reached, "chance": 100 / len(self.classes)}


def train(
    images: Pixels,
    labels: Labels,
    network: nn.Module,
    settings: Supervised,
    *,
    address: tuple[str | int, ...],
    device: torch.device,
) -> list[Epoch]:
    """Train a classifier in place.

    Args:
        images: uint8 (N, size, size, 3).
        labels: (N,).
        network: of timm, images (B, 3, S, S) with the mean and deviation that it names -> (B, classes).
        settings: of this training.
        address: the source of the random order and changes of the images.
        device: where to compute.
    """
    rng = seeding.generator("supervised", *address)
    colours = zoo.colours(network)
    network.to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    steps = settings.epochs * -(-len(images) // settings.batch_size)
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=settings.lr, betas=BETAS, weight_decay=settings.weight_decay, fused=True
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _rate(step, steps))
    half = compute.precision(settings.precision, device) is torch.bfloat16
    history = []
    for epoch in track(range(1, settings.epochs + 1), "epochs"):
        losses, right = 0.0, 0
        for chosen in _batches(rng.permutation(len(images)), settings.batch_size):
            shown = _view(images[chosen], settings.view_size, colours, rng).to(device)
            wanted = torch.from_numpy(labels[chosen]).to(device)
            optimiser.zero_grad(set_to_none=True)
            with torch.autocast(device.type, torch.bfloat16, enabled=half):
                scores = network(shown)
            loss = functional.cross_entropy(scores.float(), wanted, label_smoothing=settings.label_smoothing)
            loss.backward()
            optimiser.step()
            schedule.step()
            losses += float(loss.detach()) * len(chosen)
            right += int((scores.argmax(1) == wanted).sum())
        history.append(Epoch(epoch, losses / len(images), 100 * right / len(images)))
    network.eval()
    return history


def accuracy(images: Pixels, labels: Labels, network: nn.Module, size: int, device: torch.device) -> float:
    """The share of images that a network in evaluation mode classifies correctly, %.

    Args:
        images: uint8 (N, S, S, 3), shown at `size` px.
        labels: (N,).
        network: as `train`.
        size: px.
        device: where to compute.
    """
    network.to(device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    colours, right = zoo.colours(network), 0
    with torch.inference_mode():
        for chosen in _batches(np.arange(len(images)), JUDGED):
            scores = network(_resized(images[chosen], size, colours).to(device))
            right += int((scores.argmax(1).cpu().numpy() == labels[chosen]).sum())
    return 100 * right / len(images)


def _rate(step: float, steps: int) -> float:
    """The learning rate of a step (0, 1, ...) as a share of the greatest: half a wave up, half a wave down.

    It is read in the middle of the step, so that it is above 0 for any number of steps, even for one.
    torch's OneCycleLR divides by zero where a phase has a single step.
    """
    place = (step + 0.5) / steps
    if place < WARM_UP:
        return LOWEST + (1 - LOWEST) * (1 - math.cos(math.pi * place / WARM_UP)) / 2
    return (1 + math.cos(math.pi * (place - WARM_UP) / (1 - WARM_UP))) / 2


def _some(labels: Labels, most: int | None) -> NDArray[np.int64]:
    """At most so many positions, in ascending order, each class with its share; None: all."""
    place = np.empty(len(labels))
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        place[members] = np.arange(len(members)) / len(members)
    return np.sort(np.argsort(place, kind="stable")[:most])


def _batches(order: NDArray[np.int64], size: int) -> Iterator[NDArray[np.int64]]:
    """Parts of an order, of at most `size` and nearly equal size, so that none has a single image."""
    yield from np.array_split(order, -(-len(order) // size))


def _resized(images: Pixels, size: int, colours: zoo.Colours) -> Tensor:
    """Images (B, 3, size, size) normalised by mean and deviation, channels last."""
    pixels = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float().div(255)
    if pixels.shape[-1] != size:
        pixels = functional.interpolate(pixels, (size, size), mode="bilinear", antialias=True)
    return resnet.normalise(pixels, *colours).contiguous(memory_format=torch.channels_last)


def _view(images: Pixels, size: int, colours: zoo.Colours, rng: np.random.Generator) -> Tensor:
    """Images as a step of training sees them: each mirrored or not, all moved alike, mirrored at the edge."""
    shown = _resized(images, size, colours)
    mirrored = torch.from_numpy(rng.random(len(images)) < 0.5)
    shown[mirrored] = shown[mirrored].flip(3)
    most = size // SHIFT
    down, right = rng.integers(0, 2 * most + 1, 2).tolist()
    padded = functional.pad(shown, [most] * 4, mode="reflect")
    moved = padded[:, :, down : down + size, right : right + size]
    return moved.contiguous(memory_format=torch.channels_last)
