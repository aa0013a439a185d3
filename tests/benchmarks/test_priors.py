"""The benchmark of image priors: its distances against closed forms, and once on next to nothing."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks import nearness, priors, resnet20

ROOT = Path(__file__).parents[2]


def points(mean, count=4000, seed=0):
    return np.random.default_rng(seed).standard_normal((count, 3)) * np.array([3, 2, 1]) + mean


def test_the_frechet_distance_of_normal_points_is_the_closed_form():
    """Of N(m, S^2) and N(n, T^2) with diagonal deviations: |m - n|^2 + sum of (s - t)^2."""
    near = nearness.Nearness(points(0))
    assert near.frechet(points(0, seed=1)) == pytest.approx(0, abs=0.05)
    assert near.frechet(points(np.array([1, 0, 2]), seed=1)) == pytest.approx(5, rel=0.05)
    twice = 2 * points(0, seed=1)
    assert near.frechet(twice) == pytest.approx(9 + 4 + 1, rel=0.05)


def test_components_of_photographs_alone_count():
    rng = np.random.default_rng(0)
    wide = np.column_stack(
        [rng.standard_normal((500, nearness.DIMENSIONS)) * 5, 0.01 * rng.standard_normal(500)]
    )
    near = nearness.Nearness(wide)
    assert len(near.axes) == nearness.DIMENSIONS
    moved = wide.copy()
    moved[:, -1] += 3
    assert near.frechet(moved) < 0.1, "as photographs hardly differ there"


def test_nearest_neighbours_literally():
    rng = np.random.default_rng(0)
    some, others = rng.standard_normal((7, 4)), rng.standard_normal((9, 4))
    expected = [min(np.linalg.norm(a - b) for b in others) for a in some]
    np.testing.assert_allclose(nearness.nearest(some, others), expected)
    expected = [min(np.linalg.norm(a - b) for k, b in enumerate(some) if k != i) for i, a in enumerate(some)]
    np.testing.assert_allclose(nearness.nearest(some, some, apart=True), expected)
    near = nearness.Nearness(points(0, 200))
    assert near.neighbour(points(0, 200)) == pytest.approx(0, abs=1e-6)
    frechet, neighbour = near.floor(100)
    assert neighbour == pytest.approx(1, abs=0.25)
    assert 0 < frechet < near.frechet(points(5, 100))


def test_the_network_of_others_has_their_names_and_size():
    network = resnet20.cifar10()
    assert sum(weight.numel() for weight in network.parameters()) == 269_722  # He et al. 2015: 0.27 million
    assert {
        "layer2.0.conv1.weight",
        "layer3.2.bn2.running_mean",
        "linear.bias",
    } <= network.state_dict().keys()
    images = torch.randn(2, 3, 32, 32)
    first = network.layer2[0]
    shapes = first(torch.randn(2, 16, 32, 32)).shape, network(images).shape
    assert shapes == ((2, 32, 16, 16), (2, 10))
    with torch.no_grad():
        for norm in (first.bn1, first.bn2):
            norm.weight.zero_()
        x = torch.rand(1, 16, 4, 4)
        expected = torch.zeros(1, 32, 2, 2)
        expected[:, 8:24] = x[:, :, ::2, ::2]
        assert torch.equal(first(x), expected), "every second pixel, zeros on both sides"


def test_the_table_and_the_sheets(tmp_path, capsys):
    folder = tmp_path / "photographs"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(20):
        small = Image.fromarray(rng.integers(0, 256, (4, 4, 3), np.uint8))
        small.resize((48, 48), Image.Resampling.BICUBIC).save(folder / f"{number}.png")
    judge = ("--judge", f"{ROOT / 'benchmarks/resnet20.py'}:cifar10")
    how = ("--units", "2", "--layers", "blocks.0", "--size", "32", "--priors", "maco", "--out", str(tmp_path))
    priors.main([str(folder), *how, *judge])
    printed = capsys.readouterr().out
    for said in (
        "- judge: ",
        "- processor: ",
        "| prior | blocks.0 | Frechet distance |",
        "| `maco` | ",
        "| faithfulness | s each |",
        "| photographs |",
    ):
        assert said in printed
    with Image.open(tmp_path / "maco.jpg") as sheet:
        assert sheet.width >= 2 * 96
