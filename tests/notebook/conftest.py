"""Real short trainings of a small network, and what a notebook makes of their checkpoints, made once."""

from collections import OrderedDict
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

import protoviz
from protoviz.callbacks import Checkpoints

SIZE, EPOCHS, UNITS = 12, (0, 1, 3), ["block:5,0-2", "stem"]
RECIPE = {"size": SIZE, "prior": "pixels", "precision": "float32", "repeats": 2, "ascent": {"steps": 4}}


def network():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layers = OrderedDict(
            stem=nn.Conv2d(3, 4, 3, padding=1),
            bend=nn.ReLU(),
            block=nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(4, 6, 3, padding=1), nn.ReLU()),
            pool=nn.AdaptiveAvgPool2d(1),
            flat=nn.Flatten(),
            head=nn.Linear(6, 3),
        )
        return nn.Sequential(layers)


def train(keep: Checkpoints, channel: int) -> None:
    """Three epochs of telling by brightness of one channel."""
    model = network()
    keep(model, 0)
    optimiser = torch.optim.SGD(model.parameters(), 0.2, momentum=0.9)
    labels = torch.arange(24) % 3
    images = torch.rand(24, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(channel))
    images[:, channel] += labels[:, None, None]
    for epoch in range(1, max(EPOCHS) + 1):
        for some in torch.arange(24).split(8):
            optimiser.zero_grad()
            nn.functional.cross_entropy(model(images[some]), labels[some]).backward()
            optimiser.step()
        keep(model, epoch)


@pytest.fixture(scope="session")
def trained(tmp_path_factory) -> Path:
    """The folder of the checkpoints of two conditions."""
    folder = tmp_path_factory.mktemp("trained")
    for channel, condition in enumerate(("blue", "red")):
        train(Checkpoints(folder, condition, 1, epochs=EPOCHS), channel)
    return folder


@pytest.fixture(scope="session")
def made(trained):
    """Cubes and receptive fields of both, joined; distances and measures of these."""
    patterns = [str(trained / name / "run1" / "epoch_{epoch}.safetensors") for name in ("blue", "red")]
    cubes = [
        protoviz.develop(network(), pattern, UNITS, name=name, run=1, **RECIPE)
        for name, pattern in zip(("blue", "red"), patterns, strict=True)
    ]
    fields = [
        protoviz.receptive_fields(network(), cube, pattern, noise=4, probes=2)
        for cube, pattern in zip(cubes, patterns, strict=True)
    ]
    cube, field = protoviz.join(*cubes), protoviz.join(*fields)
    distances = protoviz.distances(cube, field)
    return SimpleNamespace(
        patterns=patterns,
        cubes=cubes,
        fields=fields,
        cube=cube,
        field=field,
        distances=distances,
        measures=protoviz.measures(cube, distances, field),
    )
