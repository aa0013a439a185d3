"""An atlas of images of any channels and sides: RGB squares by the rule that its page states."""

import re

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image

from protoviz.config.analysis import Atlas
from protoviz.report.atlas import build, neighbours, sheets, units
from protoviz.report.atlas.sources import Network, Source
from protoviz.store import channels, cube, schema, zarr_io
from tests.reference import shapes


@pytest.fixture(scope="module", params=shapes.SHAPES.values(), ids=shapes.SHAPES)
def made(request, tmp_path_factory):
    count, size = request.param
    folder = tmp_path_factory.mktemp("shapes")
    store, fields = shapes.write(folder, count, size)
    network = Network("grown", 1, fields=zarr_io.open_dataset(fields))
    source = Source("study", "shapes", cube.open_cube(store), (network,))
    build.build(
        folder / "atlas",
        "shapes",
        [source],
        build.Findings([], {}),
        Atlas(runs=None, quality="lossless", strips_above=0),
    )
    return count, (size, size) if isinstance(size, int) else size, source, folder / "atlas"


def test_sheets_show_the_images_by_the_rule(made):
    _, sides, source, folder = made
    side = max(sides)
    (path,) = (folder / "sheets").rglob("1/2/3.webp")
    with Image.open(path) as picture:
        shown = sheets.tiles(np.asarray(picture.convert("RGB")), 6, side)
    top, left = ((side - extent) // 2 for extent in sides)
    stored = source.cube.image.isel(condition=0, run=0, repeat=1, epoch=1).sel(layer="3").to_numpy()
    inside = shown[:, top : top + sides[0], left : left + sides[1]]
    assert_array_equal(inside, channels.as_rgb(stored))
    assert shown.sum(dtype=int) == inside.sum(dtype=int), "black around them"
    for network_mask, layer in ((source.masks(source.networks[0], "3"), "3"), (source.fixed_mask("0"), "0")):
        assert network_mask.shape[1:] == (side, side), layer


def test_the_page_states_the_rule(made):
    count, sides, _, folder = made
    found = [
        text
        for path in folder.rglob("study*.js")
        for text in re.findall(r'"shown": ?"([^"]*)"', path.read_text())
    ]
    (text,) = found
    assert ("one channel, shown as grey" in text) == (count == 1)
    assert ("channel 0 as red" in text) == (count in (2, 5))
    assert (f"{sides[0]} x {sides[1]} px and are shown with black around them" in text) == (
        sides[0] != sides[1]
    )
    assert "cube.shown" in (folder / "findings.js").read_text()


def test_neighbours_are_those_of_all_channels(made):
    _, sides, source, _ = made
    found = units.neighbourhood(source, "3")
    stored = source.cube.image.isel(condition=0, run=0, repeat=0, epoch=1).sel(layer="3").to_numpy()
    live = (
        source.cube.status.isel(condition=0, run=0, repeat=0, epoch=1).sel(layer="3").to_numpy()
        == schema.Status.CONVERGED
    )
    mask = source.networks[0].fields[schema.MASK].sel(layer="3").isel(condition=0, run=0, epoch=1).to_numpy()
    assert mask.shape == sides
    expected = neighbours.nearest(stored, np.repeat(mask[None], 6, 0), live, units.NEIGHBOURS)
    assert_array_equal(found.places, expected[0])
    assert_array_equal(found.distances, expected[1])
    values = stored / 255 * mask[..., None]
    unit = np.flatnonzero(live)[0]
    near = found.places[unit, 0]
    assert found.distances[unit, 0] == pytest.approx(np.square(values[unit] - values[near]).mean(), rel=1e-3)
