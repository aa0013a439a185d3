"""Neighbours, the map, curves and scripts of the atlas, each against the plain way."""

import base64
import json
import re
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from protoviz.report.atlas import curves, neighbours, projected, scripts


def slow_nearest(images: np.ndarray, masks: np.ndarray, live: np.ndarray, count: int) -> list[list[int]]:
    found = []
    for i in range(len(images)):
        others = [j for j in range(len(images)) if j != i and live[j]]
        masked = [images[j] / 255 * masks[j][..., None] for j in range(len(images))]
        others.sort(key=lambda j: float(((masked[i] - masked[j]) ** 2).mean()))
        found.append(others[:count] if live[i] else [-1] * min(count, int(live.sum()) - 1))
    return found


@pytest.mark.parametrize("seed", range(5))
def test_neighbours_are_those_of_the_plain_way(seed: int) -> None:
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (12, 10, 10, 3), dtype=np.uint8)
    masks = rng.random((12, 10, 10), dtype=np.float32)
    live = rng.random(12) < 0.7
    live[:2] = True
    places, distances = neighbours.nearest(images, masks, live, 4)
    assert places.tolist() == slow_nearest(images, masks, live, 4)
    i = int(np.flatnonzero(live)[0])
    masked = images / 255 * masks[..., None]
    expected = [((masked[i] - masked[j]) ** 2).mean() for j in places[i]]
    np.testing.assert_allclose(distances[i], expected, rtol=1e-4)
    assert np.isnan(distances[~live]).all()


def test_identical_images_are_at_distance_zero_and_nobody_is_its_own_neighbour() -> None:
    images = np.full((3, 4, 4, 3), 90, np.uint8)
    places, distances = neighbours.nearest(images, np.ones((3, 4, 4), np.float32), np.ones(3, bool), 8)
    assert places.tolist() == [[1, 2], [0, 2], [0, 1]]
    np.testing.assert_allclose(distances, 0, atol=1e-7)


def test_without_live_units_there_are_no_neighbours() -> None:
    images = np.zeros((3, 4, 4, 3), np.uint8)
    places, _ = neighbours.nearest(images, np.ones((3, 4, 4), np.float32), np.zeros(3, bool), 8)
    assert places.shape == (3, 0)


def position(values: np.ndarray) -> xr.DataArray:
    return xr.DataArray(
        values,
        dims=("condition", "run", "repeat", "epoch", "unit", "axis"),
        attrs={"n": 15, "umap": {"a": 1}, "units": "1"},
    )


def decoded(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), "<u2")


def test_points_keep_their_places() -> None:
    values = np.random.default_rng(0).normal(size=(2, 1, 2, 3, 5, 2)) * [3, 40] + [100, -7]
    values[1, 0, 0, 2, 3] = np.nan
    found = projected.points(position(values))
    flat = values.reshape(-1, 2)
    least, greatest = np.nanmin(flat, axis=0), np.nanmax(flat, axis=0)
    for axis, name in enumerate("xy"):
        whole = decoded(found[name])
        there = np.isfinite(flat[:, axis])
        assert (whole[~there] == projected.NOWHERE).all()
        back = least[axis] + whole[there] / projected.STEPS * (greatest - least)[axis]
        np.testing.assert_allclose(back, flat[there, axis], atol=(greatest - least)[axis] / 65000)
    assert found["count"] == 59
    assert found["said"] == {"n": 15, "umap": {"a": 1}}
    assert found["aspect"] == pytest.approx((greatest - least)[0] / (greatest - least)[1], rel=1e-5)


def test_points_in_any_order_of_dimensions() -> None:
    values = np.random.default_rng(1).normal(size=(2, 1, 2, 3, 5, 2))
    straight = projected.points(position(values))
    assert projected.points(position(values).transpose("axis", "unit", ...)) == straight


@pytest.mark.parametrize("value", [np.nan, 3.0])
def test_points_that_are_nowhere_or_all_at_one_place(value: float) -> None:
    found = projected.points(position(np.full((1, 1, 1, 1, 4, 2), value)))
    assert found["count"] == (0 if np.isnan(value) else 4)
    assert found["aspect"] == 1


def row(condition: str, run: int, epoch: int, value: float, repeat: int | None = None) -> dict[str, str]:
    found = {"condition": condition, "run": str(run), "epoch": str(epoch), "value": str(value)}
    return found if repeat is None else {**found, "repeat": str(repeat)}


def test_curves_are_grouped_by_measure_and_split_by_sequence() -> None:
    found = curves.groups(
        {
            "participation_ratio_layer2.0.conv1": [row("a", 1, 0, 3)],
            "training_loss": [row("a", 1, 1, 6.123456789)],
            "diversity_layer1": [row("a", 1, 0, 1, 0), row("a", 1, 0, 2, 1), row("a", 1, 4, 3, 0)],
            "odd": [row("a", 1, 0, 1)],
        },
        ["layer1", "layer2.0.conv1"],
    )
    assert [group["name"] for group in found] == ["diversity", "training loss", "odd", "participation ratio"]
    (panel,) = found[0]["panels"]
    assert (panel["name"], panel["layer"]) == ("layer1", "layer1")
    assert panel["series"] == [
        {"condition": "a", "run": 1, "repeat": 0, "points": [[0, 1.0], [4, 3.0]]},
        {"condition": "a", "run": 1, "repeat": 1, "points": [[0, 2.0]]},
    ]
    (loss,) = found[1]["panels"]
    assert (loss["name"], loss["layer"], loss["series"][0]["repeat"]) == ("loss", None, None)
    assert loss["series"][0]["points"] == [[1, 6.1235]]
    assert found[3]["panels"][0]["layer"] == "layer2.0.conv1"


def test_scripts_deliver_json(tmp_path: Path) -> None:
    size = scripts.write(tmp_path, "units/a-1/layer1", {"name": "Größe </script>", "one": [1, None]})
    path = tmp_path / "data/units/a-1/layer1.js"
    assert size == path.stat().st_size
    match = re.fullmatch(r'atlas\.deliver\("units/a-1/layer1",(.*)\);\n', path.read_text())
    assert match
    assert json.loads(match[1]) == {"name": "Größe </script>", "one": [1, None]}
    assert path.read_text().isascii()


def test_numbers_are_short_and_gaps_are_none(tmp_path: Path) -> None:
    values = np.array([[1.23456, np.nan], [np.inf, 1e-9]], np.float32)
    assert scripts.numbers(values) == [[1.235, None], [None, 1e-9]]
    with pytest.raises(ValueError, match="not JSON compliant"):
        scripts.write(tmp_path, "x", float("nan"))


def test_curves_of_layers_whose_names_end_alike_are_told_apart() -> None:
    row = {"condition": "plain", "run": "1", "epoch": "0", "value": "1"}
    names = ["diversity_1", "diversity_conv_1", "diversity_block.1"]
    (group,) = curves.groups({name: [row] for name in names}, ["1", "conv_1", "block.1"])
    assert group["name"] == "diversity"
    assert sorted(panel["layer"] for panel in group["panels"]) == ["1", "block.1", "conv_1"]
