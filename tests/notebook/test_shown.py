"""What a session shows and writes: pictures, the page, stores that are checked like those of a study."""

import base64
import json

import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr
from matplotlib import pyplot
from matplotlib.figure import Figure
from PIL import Image

import protoviz
from protoviz.errors import StudyError
from protoviz.store import kinds, schema, validation
from tests.notebook.conftest import EPOCHS, SIZE


@pytest.fixture(autouse=True)
def _no_window():
    with mpl.rc_context():
        pyplot.switch_backend("agg")
        yield
        pyplot.close("all")


def shown(ax):
    (image,) = ax.images
    return np.asarray(image.get_array())


def test_a_sheet_shows_every_unit_of_a_layer(made):
    ax = protoviz.plot.sheet(made.cube, "block", epoch=1, condition="red", repeat=1, columns=2)
    cube = made.cube.sel(condition="red", run=1, repeat=1, epoch=1).sel(layer="block")
    picture = shown(ax)
    assert picture.shape == (2 * SIZE + 1, 2 * SIZE + 1, 3)
    for k, (image, status) in enumerate(zip(cube.image.values, cube.status.values, strict=True)):
        top, left = (k // 2) * (SIZE + 1), (k % 2) * (SIZE + 1)
        same = np.array_equal(picture[top : top + SIZE, left : left + SIZE], image)
        assert same == (status == schema.Status.CONVERGED), "hatched where there is none"


def test_masks_are_laid_over(made):
    given = Figure().subplots()
    ax = protoviz.plot.sheet(made.cube, "stem", receptive_fields=made.field, columns=1, ax=given)
    assert ax is given
    cube = made.cube.sel(condition="blue", run=1, repeat=0, epoch=3).sel(layer="stem")
    mask = made.field.mask.sel(condition="blue", run=1, epoch=3, layer="stem").values
    live = np.flatnonzero(cube.status == schema.Status.CONVERGED)[0]
    expected = np.rint(128 + (cube.image.values[live] - 128.0) * mask[..., None])  # it fades to grey
    np.testing.assert_allclose(shown(ax)[live * (SIZE + 1) :][:SIZE], expected, atol=1)


def test_development_has_a_row_for_each_unit_and_a_column_for_each_epoch(made):
    ax = protoviz.plot.development(made.cube, "block", [5, 1], condition="red")
    picture = shown(ax)
    assert picture.shape == (2 * SIZE + 1, 3 * SIZE + 2, 3)
    assert [tick.get_text() for tick in ax.get_xticklabels()] == [str(epoch) for epoch in EPOCHS]
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["5", "1"]
    one = made.cube.sel(condition="red", run=1, repeat=0, epoch=3)
    for row, channel in enumerate((5, 1)):
        unit = one.sel(layer="block", channel=channel)
        part = picture[row * (SIZE + 1) :][:SIZE, 2 * (SIZE + 1) :]
        assert np.array_equal(part, unit.image) == (unit.status == schema.Status.CONVERGED).item()


@pytest.mark.parametrize(("measure", "points"), [("diversity", 3), ("rate_of_change", 2), ("saturation", 3)])
def test_curves_are_the_measures(made, measure, points):
    ax = protoviz.plot.curves(made.measures, measure, "stem")
    values = made.measures[measure].sel(layer="stem", run=1)
    if "masking" in values.dims:
        values = values.sel(embedder="pixels", distance="mse", masking="masked")
    lines = [line.get_ydata() for line in ax.lines]
    for condition in ("blue", "red"):
        for repeat in (0, 1):
            one = values.sel(condition=condition, repeat=repeat).values
            assert one.shape == (points,)
            assert any(np.array_equal(one, line, equal_nan=True) for line in lines)
        assert any(
            np.allclose(values.sel(condition=condition).mean("repeat"), line, equal_nan=True)
            for line in lines
        )
    assert {text.get_text() for text in ax.texts} == {"blue", "red"}


def test_one_point_is_drawn(made):
    one = made.cubes[0].isel(repeat=[0], epoch=[1])
    ax = protoviz.plot.curves(protoviz.measures(one))
    assert len(ax.lines) == 1
    assert protoviz.plot.development(one).images


WRONG = {
    "layer": (lambda made: protoviz.plot.sheet(made.cube, "blok"), "layer: expected one of block, stem"),
    "epoch": (
        lambda made: protoviz.plot.sheet(made.cube, epoch=2),
        "epoch: expected one of 0, 1, 3, found 2",
    ),
    "condition": (
        lambda made: protoviz.plot.sheet(made.cube, condition="x"),
        "condition: expected one of blue",
    ),
    "channel": (
        lambda made: protoviz.plot.development(made.cube, "block", [3]),
        "channel of block: expected",
    ),
    "channels": (
        lambda made: protoviz.plot.development(made.cube, "block", []),
        "channels: expected at least",
    ),
    "measure": (lambda made: protoviz.plot.curves(made.measures, "beauty"), "measure: expected one of diver"),
    "masking": (
        lambda made: protoviz.plot.curves(made.measures, masking="no"),
        "masking: expected one of mask",
    ),
    "absent": (
        lambda made: protoviz.plot.curves(protoviz.measures(made.cube.isel(repeat=[0])), "consistency"),
        "found consistency: each prototype was made once",
    ),
}


@pytest.mark.parametrize(("draw", "message"), WRONG.values(), ids=WRONG)
def test_what_is_not_there_is_not_drawn(made, draw, message):
    with pytest.raises(StudyError, match=message):
        draw(made)


STORES = {
    "cube": schema.CUBE,
    "field": schema.RECEPTIVE_FIELDS,
    "distances": schema.DISTANCES,
    "measures": None,
}


@pytest.mark.parametrize(("name", "kind"), STORES.items())
def test_what_is_saved_is_whole(made, tmp_path, name, kind):
    path = tmp_path / "made.zarr"
    dataset = getattr(made, name)
    protoviz.save(dataset, path)
    assert kinds.kind_of(path) is kind
    assert validation.problems(path, kind) == []
    again = xr.open_zarr(path, chunks=None).load()
    for variable in dataset.data_vars:
        np.testing.assert_array_equal(again[variable], dataset[variable])
    protoviz.save(dataset.isel(epoch=[0, 1, 2]), path)
    (path / "zarr.json").unlink()
    with pytest.raises(StudyError, match="expected a store or nothing, found something else"):
        protoviz.save(dataset, path)


@pytest.mark.parametrize("which", [{}, {"repeat": [0], "epoch": [1]}])
@pytest.mark.filterwarnings("ignore:Consolidated metadata")
def test_what_xarray_writes_has_the_schema(made, tmp_path, which):
    """All that is missing is the manifest, which is ours. Chunks of zeros have to be asked for."""
    cube = made.cubes[0].isel(which)
    distances = protoviz.distances(cube)
    for dataset, kind in ((cube.reset_index("unit"), schema.CUBE), (distances, schema.DISTANCES)):
        path = tmp_path / f"{kind.title}.zarr"
        dataset.to_zarr(path, write_empty_chunks=True)
        assert kinds.kind_of(path) is kind
        assert validation.problems(path, kind, fast=True) == []
        assert [problem.where for problem in validation.problems(path, kind)] == ["the manifest"]


def data(folder, name):
    text = (folder / "data" / f"{name}.js").read_text()
    return json.loads(text[text.index(",") + 1 : text.rindex(")")])


def test_the_page_shows_what_there_is(made, tmp_path):
    page = protoviz.atlas(
        made.cube, tmp_path / "atlas", receptive_fields=made.field, distances=made.distances, title="Two"
    )
    assert page == tmp_path / "atlas" / "index.html"
    study = data(page.parent, "study")
    (cube,) = study["cubes"]
    assert cube["condition"] == ["blue", "red"]
    assert cube["layers"] == [["block", 4, [0, 1, 2, 5]], ["stem", 4]]
    there = ("masks", "change", "saturation", "settling")
    assert {name: cube["computed"][name] for name in there} == dict.fromkeys(there, True)
    assert {group["name"] for group in data(page.parent, "curves")} >= {"diversity", "rate of change"}


def test_the_page_of_one_of_everything(made, tmp_path):
    one = made.cubes[0].isel(repeat=[0], epoch=[1])
    page = protoviz.atlas(one, tmp_path / "atlas")
    assert not any(data(page.parent, "study")["cubes"][0]["computed"].values())
    assert data(page.parent, "curves") == []
    again = protoviz.atlas(one, tmp_path / "atlas", distances=protoviz.distances(one), quality="lossless")
    assert again == page
    assert not data(page.parent, "study")["cubes"][0]["computed"]["settling"]


def natural(cube, images):
    """For each unit two rows of images, of which the first tells its layer and channel; at the last epoch."""
    rows = np.full((2, 1, len(EPOCHS), cube.sizes["unit"], 2), -1, np.int32)
    for unit, (layer, channel) in enumerate(zip(cube.layer.values, cube.channel.values, strict=True)):
        rows[:, :, -1, unit] = [(10 * (layer == "stem") + channel) % images, images - 1]
        rows[:, :, 0, unit] = 0
    labels = {name: cube[name].values for name in ("condition", "run", "epoch")}
    units = {"unit_layer": ("unit", cube.layer.values), "channel": ("unit", cube.channel.values)}
    return xr.Dataset(
        {"top_image": (("condition", "run", "epoch", "unit", "rank"), rows)}, {**labels, **units}
    )


def backwards(dataset):
    """The same with its units in another order."""
    return dataset.isel(unit=slice(None, None, -1))


@pytest.mark.parametrize("turned", [lambda dataset: dataset, backwards])
def test_the_page_shows_natural_images(made, tmp_path, turned):
    images = np.random.default_rng(0).integers(0, 256, (15, 6, 9, 3), dtype=np.uint8)
    found = turned(natural(made.cube, len(images)))
    page = protoviz.atlas(made.cube, tmp_path / "atlas", natural=found, images=images, quality="lossless")
    assert data(page.parent, "study")["cubes"][0]["computed"]["photographs"]
    for layer, channels in (("block", [0, 1, 2, 5]), ("stem", [0, 1, 2, 3])):
        shown_of = data(page.parent, f"units/red-1/{layer}")["photographs"]
        assert shown_of == [[10 * (layer == "stem") + channel, 14] for channel in channels]
    files = {int(path.stem): path for path in (page.parent / "photographs" / "study").iterdir()}
    assert set(files) == {0, 1, 2, 5, 10, 11, 12, 13, 14}
    for row, path in files.items():
        picture = np.asarray(Image.open(path))
        assert picture.shape == (9, 9, 3), "square, with black around"
        np.testing.assert_array_equal(picture[1:7], images[row])
        assert not picture[[0, 7, 8]].any()


@pytest.mark.parametrize("turned", [lambda dataset: dataset, backwards])
def test_the_page_shows_a_map(made, tmp_path, turned):
    """As in the docstring; one network has no places, and one prototype has none."""
    cube = made.cube
    dims = ("condition", "run", "repeat", "epoch", "unit", "axis")
    draw = np.random.default_rng(1)
    places = draw.normal(size=(*cube.status.shape, 2))
    places[0] = np.nan
    places[1, 0, 0, 0, 3] = np.nan
    made_map = turned(xr.Dataset({"position": (dims, places)}, cube.coords, {"said": "of mine"}))
    page = protoviz.atlas(made.cube, tmp_path / "atlas", projection=made_map)
    assert data(page.parent, "study")["cubes"][0]["computed"]["map"]
    found = data(page.parent, "map/study")
    whole = np.stack([np.frombuffer(base64.b64decode(found[axis]), "<u2") for axis in "xy"], -1)
    whole = whole.reshape(places.shape)
    there = np.isfinite(places)
    assert (whole[~there] == 65535).all()
    assert found["count"] == there[..., 0].sum()
    low, high = np.nanmin(places, (0, 1, 2, 3, 4)), np.nanmax(places, (0, 1, 2, 3, 4))
    np.testing.assert_allclose((whole / 65534 * (high - low) + low)[there], places[there], atol=1e-3)
    assert found["said"] == {"said": "of mine"}
    assert {path.name for path in (page.parent / "map").iterdir()} == {"red-1"}


def test_the_page_shows_a_part_of_what_was_found(made, tmp_path):
    """Of a cube of some units and epochs."""
    images = np.zeros((15, 4, 4, 3), np.uint8)
    part = made.cube.isel(epoch=[0, 2], unit=[5, 1])
    page = protoviz.atlas(part, tmp_path / "atlas", natural=natural(made.cube, 15), images=images)
    (layer, *more) = [entry[0] for entry in data(page.parent, "study")["cubes"][0]["layers"]]
    assert (layer, more) == ("stem", ["block"])
    assert data(page.parent, "units/blue-1/stem")["photographs"] == [[11, 14]]


IMAGES = np.zeros((15, 4, 4, 3), np.uint8)
UNFIT = {
    "images alone": ({"images": IMAGES}, "expected both or neither, found images alone"),
    "natural alone": ({"natural": natural}, "expected both or neither, found natural alone"),
    "no images": (
        {"natural": natural, "images": IMAGES[0]},
        r"uint8 \(N, H, W, C\), found uint8 \(4, 4, 3\)",
    ),
    "floats": ({"natural": natural, "images": IMAGES / 255}, "found float64"),
    "too few": ({"natural": natural, "images": IMAGES[:14]}, "expected rows of 14 images, found row 14"),
    "no ranks": (
        {"natural": lambda cube, n: natural(cube, n).isel(rank=0), "images": IMAGES},
        "natural: expected top_image",
    ),
    "too few units": (
        {"natural": lambda cube, n: natural(cube, n).isel(unit=[0, 1]), "images": IMAGES},
        "natural: units: expected some of",
    ),
    "too few epochs": (
        {"natural": lambda cube, n: natural(cube, n).isel(epoch=[0, 1]), "images": IMAGES},
        r"natural: epoch: expected some of \[0, 1\], found 3",
    ),
    "another network": (
        {"natural": lambda cube, n: natural(cube, n).isel(condition=[1]), "images": IMAGES},
        "natural: expected those of blue run 1",
    ),
    "no map": ({"projection": lambda cube, n: natural(cube, n)}, "projection: expected position"),
    "an epoch too many": (
        {"projection": lambda cube, _: placed(cube).assign_coords(epoch=[0, 1, 4])},
        r"projection: epoch: expected some of \[0, 1, 3\], found 4",
    ),
    "no units": (
        {"projection": lambda cube, _: placed(cube).drop_vars("channel")},
        "projection: expected units with their layer and channel",
    ),
    "three axes": (
        {"projection": lambda cube, _: xr.concat([placed(cube)] * 2, "axis").isel(axis=[0, 1, 2])},
        "projection: axis: expected two",
    ),
}


def placed(cube):
    dims = ("condition", "run", "repeat", "epoch", "unit", "axis")
    return xr.Dataset({"position": (dims, np.zeros((*cube.status.shape, 2)))}, cube.coords)


@pytest.mark.parametrize(("given", "message"), UNFIT.values(), ids=UNFIT)
def test_what_is_not_of_the_cube_is_not_shown(made, tmp_path, given, message):
    cube = made.cube.reset_index("unit")
    filled = {name: one(cube, 15) if callable(one) else one for name, one in given.items()}
    with pytest.raises(StudyError, match=message):
        protoviz.atlas(made.cube, tmp_path / "atlas", **filled)
    assert not (tmp_path / "atlas").exists()


def test_the_page_opens_in_a_browser(made, tmp_path, chromium):
    """The tabs of what was not computed say so."""
    page = protoviz.atlas(made.cube, tmp_path / "atlas", receptive_fields=made.field)
    visit = chromium.new_page()
    wrong = []
    visit.on("pageerror", lambda error: wrong.append(error))
    for view, text in (
        ("grid", "Each tile is the image that drives one unit most"),
        ("curves", "they come from the distances between its prototypes"),
        ("findings", "Not computed in this study: verdicts on claims"),
    ):
        visit.goto(f"{page.as_uri()}#/{view}")
        visit.get_by_text(text).wait_for()
    visit.close()
    assert wrong == []


def test_no_other_folder_is_replaced(made, tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(StudyError, match="expected a new or an empty folder, or an atlas"):
        protoviz.atlas(made.cube, tmp_path)
    assert (tmp_path / "thesis.tex").exists()
    with pytest.raises(StudyError, match="quality: expected 1 to 100, or 'lossless', found 0"):
        protoviz.atlas(made.cube, tmp_path / "atlas", quality=0)
