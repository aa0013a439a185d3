"""Images of any channels and sides in the cube: what it says of them, and how they are shown."""

import numpy as np
import pytest
import xarray as xr
from numpy.testing import assert_array_equal
from PIL import Image

from protoviz.errors import StudyError
from protoviz.store import channels, cube, cube_linking, export, schema, validation
from tests.reference import shapes


@pytest.fixture(scope="module", params=shapes.SHAPES.values(), ids=shapes.SHAPES)
def made(request, tmp_path_factory):
    count, size = request.param
    store, _ = shapes.write(tmp_path_factory.mktemp("shapes"), count, size)
    return count, size, store


def test_the_cube_says_what_its_channels_are(made):
    count, size, store = made
    height, width = (size, size) if isinstance(size, int) else size
    with xr.open_zarr(store, chunks=None) as read:
        assert read.image.dims[-3:] == ("y", "x", "rgb")
        assert read.image.shape[-3:] == (height, width, count)
        named = None if "rgb" not in read.coords else read.rgb.to_numpy().tolist()
    assert named == {1: ["grey"], 2: ["0", "1"], 3: None, 5: ["0", "1", "2", "3", "4"]}[count]
    assert not validation.problems(store, schema.CUBE)


def test_a_linked_cube_keeps_channels_and_sides(made, tmp_path):
    count, size, store = made
    cube_linking.link_cube(tmp_path / "whole.zarr", [store])
    with cube.open_cube(tmp_path / "whole.zarr") as whole, cube.open_cube(store) as part:
        xr.testing.assert_identical(whole.load(), part.load())
        extent = cube_linking.read_template(whole)
    assert (extent.channels, extent.size) == (count, size)
    assert extent.nbytes == sum(part[variable.name].nbytes for variable in extent.variables)


def test_prototypes_of_other_channels_are_not_linked(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one, _ = shapes.write(tmp_path / "a", 1, 16)
    other, _ = shapes.write(tmp_path / "b", 2, 16)
    with cube.open_cube(other) as read:
        extent = cube_linking.read_template(read)
    moved = cube.Template(**{**vars(extent), "conditions": ("other",), "components": 256})
    cube.create(tmp_path / "c.zarr", moved, {})
    for address in [cube.Address("other", 1, repeat, epoch) for repeat in (0, 1) for epoch in (0, 2)]:
        units = sum(moved.layers.values())
        shard = cube.Shard(
            np.zeros((units, 16, 16, 2), np.uint8),
            np.zeros((units, 256), np.float16),
            np.zeros(units, np.float32),
            np.zeros((units, extent.trace), np.float32),
            np.full(units, schema.Status.DEAD, np.uint8),
        )
        cube.write_shard(tmp_path / "c.zarr", address, shard)
    cube.finish(tmp_path / "c.zarr")
    with pytest.raises(StudyError, match="channels: expected 1, found 2"):
        cube_linking.link_cube(tmp_path / "whole.zarr", [one, tmp_path / "c.zarr"])


def test_prototypes_are_exported_as_pictures(made, tmp_path, monkeypatch):
    count, _, store = made
    monkeypatch.chdir(tmp_path)
    assert export.export(store, tmp_path / "out", {"epoch": [2], "repeat": [1], "layer": ["3"]}) == 6
    with cube.open_cube(store) as read:
        stored = read.image.isel(condition=0, run=0, repeat=1, epoch=1).sel(layer="3", channel=5).to_numpy()
    (path,) = (tmp_path / "out").rglob("0005.png")
    with Image.open(path) as picture:
        shown = np.asarray(picture)
        assert picture.mode == ("L" if count == 1 else "RGB")
    if count == 1:
        assert_array_equal(shown, stored[..., 0])
    else:
        assert_array_equal(shown[..., : min(count, 3)], stored[..., :3])


def test_images_are_shown_by_one_rule():
    rng = np.random.default_rng(0)
    for count in (1, 2, 3, 5):
        images = rng.integers(0, 256, (4, 3, 2, count), dtype=np.uint8)
        shown = channels.as_rgb(images)
        assert shown.shape == (4, 3, 2, 3)
        for colour in range(3):
            source = 0 if count == 1 else colour
            assert_array_equal(shown[..., colour], images[..., source] if source < count else 0)
    assert channels.how_shown(3) == ""
    assert channels.how_shown(1) == "Images have one channel, shown as grey."
    assert "channel 0 as red, 1 as green, and no blue" in channels.how_shown(2)
    assert "1 as green and 2 as blue, the others not at all" in channels.how_shown(7)


@pytest.mark.parametrize("shape", [(4, 4), (4, 7), (7, 4), (3, 6)])
def test_pictures_are_made_square_by_black_around_them(shape):
    images = np.random.default_rng(0).integers(1, 256, (2, *shape, 3), dtype=np.uint8)
    found = channels.squared(images, -3)
    side = max(shape)
    assert found.shape == (2, side, side, 3)
    top, left = ((side - extent) // 2 for extent in shape)
    assert_array_equal(found[:, top : top + shape[0], left : left + shape[1]], images)
    assert (found > 0).sum() == images.size
    assert_array_equal(channels.squared(images[0, ..., 0], 0), found[0, ..., 0])
