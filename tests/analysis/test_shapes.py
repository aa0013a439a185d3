"""Prototypes of one or many channels, higher or wider than square: masks, distances and appearance."""

import numpy as np
import pytest

from protoviz.analysis import appearance, embedders
from protoviz.analysis.embedding import Fresh, Place
from protoviz.analysis.masks import Masks
from protoviz.errors import StudyError
from protoviz.store import cube, schema, zarr_io
from protoviz.store.schema_appearance import APPEARANCE
from tests.reference import shapes


@pytest.fixture(scope="module", params=shapes.SHAPES.values(), ids=shapes.SHAPES)
def made(request, tmp_path_factory):
    count, size = request.param
    store, fields = shapes.write(tmp_path_factory.mktemp("shapes"), count, size)
    return count, (size, size) if isinstance(size, int) else size, store, zarr_io.open_dataset(fields)


def test_masks_are_those_of_the_images(made):
    _, sides, store, fields = made
    prototypes = cube.open_cube(store)
    masks = Masks(prototypes, fields)
    for masking in (schema.MASKED, schema.FIXED):
        mask = masks(masking, 1, "3")
        assert mask.shape == sides
        peak = np.unravel_index(mask.argmax(), sides)
        # The unit at ((H - 4 - 1) // 2, ...) of the map sees two pixels around the one that it stands for.
        assert np.abs(np.subtract(peak, [(side - 5) // 2 + 2 for side in sides])).max() <= 1
    boxes = fields[schema.BOX].sel(layer="3").to_numpy().tolist()
    rows, columns = ((side - 5) // 2 for side in sides)
    assert boxes == [rows, rows + 5, columns, columns + 5]


def test_pixels_are_compared_whatever_they_are(made):
    count, sides, store, fields = made
    prototypes = cube.open_cube(store)
    spaces = {"pixels": embedders.pixels(None)}
    rows = Fresh(prototypes, Masks(prototypes, fields), spaces)(
        "pixels", schema.FIXED, Place(1, 0, "3", slice(4, 10))
    )
    image = prototypes[schema.IMAGE].isel(condition=0, run=0, repeat=1, epoch=0, unit=6).to_numpy()
    mask = fields[schema.FIXED_MASK].sel(layer="3").to_numpy()
    expected = (image / np.float32(255) * mask[..., None]).ravel()
    assert len(expected) == count * sides[0] * sides[1]
    np.testing.assert_allclose(rows[2:3][0], expected, atol=1e-6)


def test_colours_are_measured_of_rgb_alone(made):
    count, sides, store, fields = made
    prototypes = cube.open_cube(store)
    alive = prototypes[schema.STATUS] == schema.Status.CONVERGED
    assert alive.any()
    found = appearance.appearance(prototypes, fields)
    for variable in APPEARANCE.variables:
        is_colour = variable.name.split("_")[0] in ("saturation", "hue", "warmth")
        there = np.isfinite(found[variable.name].to_numpy()[alive.to_numpy()])
        assert there.all() if count == 3 or not is_colour else not there.any(), variable.name
    assert found.sizes["band"] == len(appearance.band_edges(min(sides)))


@pytest.mark.parametrize("sides", [(16, 24), (24, 16), (18, 33)])
@pytest.mark.parametrize("axis", [0, 1])
def test_a_wave_lies_in_its_band_whatever_the_sides(sides, axis):
    """A wave of 3/16 to 1/5 cycles per px lies between 1/8 and 1/4, along rows and along columns."""
    periods = {16: 3, 24: 5, 18: 3, 33: 6}[sides[axis]]
    wave = np.cos(2 * np.pi * periods * np.arange(sides[axis]) / sides[axis])
    image = (
        np.broadcast_to((wave[:, None] if axis == 0 else wave[None])[None, ..., None], (1, *sides, 1)) / 2
        + 0.5
    )
    bands = appearance.spectrum(image, [np.ones(sides)])[0, 0]
    edges = appearance.band_edges(min(sides))
    assert bands[np.flatnonzero(edges <= periods / sides[axis])[-1]] == pytest.approx(1)
    assert bands.sum() == pytest.approx(1)


def test_a_grey_image_is_repeated_for_a_network():
    grey = np.random.default_rng(0).integers(0, 256, (3, 32, 40, 1), dtype=np.uint8)
    embed = embedders.load(["mobilenet_v2:untrained"], embedders.Setting(None, "cpu", 1, 2))[
        "mobilenet_v2:untrained"
    ]
    mask = np.linspace(0, 1, 32 * 40, dtype=np.float32).reshape(32, 40)
    np.testing.assert_array_equal(embed(grey, mask), embed(np.repeat(grey, 3, -1), mask))
    with pytest.raises(
        StudyError, match=r"images of 5 channels: expected one or three.*the embedder 'pixels' alone"
    ):
        embed(np.zeros((1, 8, 8, 5), np.uint8))


@pytest.mark.parametrize("sides", [(16, 24), (24, 16)])
def test_the_shortest_wave_counts_as_any_other(sides):
    """It stands alone in the half of the spectrum that is computed; other waves have a mirror image."""
    x = np.arange(sides[1])
    row = np.cos(np.pi * x) + np.sqrt(2) * np.cos(2 * np.pi * x / sides[1])  # of equal variance
    image = np.broadcast_to(row[None, None, :, None], (1, *sides, 1)) / 8 + 0.5
    bands = appearance.spectrum(image, [np.ones(sides)])[0, 0]
    assert bands[-1] == pytest.approx(0.5)
