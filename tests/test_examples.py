"""The examples in docstrings are run."""

import doctest
import importlib
from collections import OrderedDict
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
import torch
import xarray
from safetensors.torch import save_file
from torch import nn

import protoviz

ROOT = Path(__file__).parents[1]
WITH_EXAMPLES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in (ROOT / "protoviz").rglob("*.py")
    if ">>> " in path.read_text()
)


SIZE, EPOCHS = 16, (0, 1, 3)


def checkpoints(folder: Path, seed: int) -> nn.Module:
    """A network of two layers, and its files at three epochs of what passes for a training."""
    torch.manual_seed(seed)
    network = nn.Sequential(
        OrderedDict(stem=nn.Conv2d(3, 4, 3, padding=1), act=nn.ReLU(), block=nn.Conv2d(4, 6, 3, padding=1))
    )
    folder.mkdir(parents=True)
    for epoch in EPOCHS:
        save_file(network.state_dict(), folder / f"epoch_{epoch}.safetensors")
        with torch.no_grad():
            for weights in network.parameters():
                weights += 0.1 * torch.randn_like(weights)
    return network


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """What the examples of the notebook's functions begin with, and the folder that they run in."""
    folder = tmp_path_factory.mktemp("session")
    networks = [checkpoints(folder / "runs" / name, seed) for seed, name in enumerate("ab")]
    few = {"size": SIZE, "ascent": {"steps": 3}}
    cubes = [
        protoviz.develop(
            one, f"{folder}/runs/{name}/epoch_{{epoch}}.safetensors", "block:0-3", run=run, **few
        )
        for run, (one, name) in enumerate(zip(networks, "ab", strict=True))
    ]
    pattern = f"{folder}/runs/a/epoch_{{epoch}}.safetensors"
    images = np.random.default_rng(0).integers(0, 256, (40, SIZE, SIZE, 3), dtype=np.uint8)
    return folder, {
        "protoviz": protoviz,
        "torch": torch,
        "xarray": xarray,
        "network": networks[0],
        "cube": cubes[0],
        "other": cubes[1],
        "fields": protoviz.receptive_fields(networks[0], cubes[0], pattern, noise=4, probes=2),
        "images": images,
    }


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_give_what_they_say(
    name: str, session: tuple[Path, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, known = session
    monkeypatch.chdir(folder)
    matplotlib.use("agg")
    module = importlib.import_module(name)
    found = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE, extraglobs=dict(known))
    assert found.attempted
    assert not found.failed


def test_every_export_has_one() -> None:
    without = []
    for name in sorted({*protoviz.__all__} - {"PRESETS", "callbacks", "open_published", "plot"}):
        if ">>> " not in (getattr(protoviz, name).__doc__ or ""):
            without.append(name)
    assert not without


def test_every_room_has_some() -> None:
    rooms = {name.split(".")[1] for name in WITH_EXAMPLES}
    assert rooms >= {"config", "store", "data", "models", "synthesis", "learning", "analysis", "report"}
