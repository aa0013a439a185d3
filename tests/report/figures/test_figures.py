"""The figures: what they show, where, in which colour, and that they repeat byte for byte."""
# ruff: noqa: RUF001 (the figures say such letters)

import functools
import subprocess
import sys
import warnings
from pathlib import Path

import matplotlib.colors
import matplotlib.image
import numpy as np
import pytest
import xarray as xr
from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from protoviz.analysis import settling
from protoviz.analysis.findings import collect
from protoviz.errors import StudyError
from protoviz.report import figures
from protoviz.report.figures import panels, pictures, style
from protoviz.store import schema
from tests.reference import planted_study
from tests.reference.compared import compared

SIZES = {"layer1": 4, "layer2": 8}
EPOCHS = (0, 1, 2, 4)
SPACE = figures.Space("reference")
TITLE = "made-up textures"
DPI = 100


def text_array(names: list[str] | tuple[str, ...]) -> np.ndarray:
    return np.array(names, dtype=schema.TEXT)


def make_cube(conditions=("clrjit", "keepclr"), runs=(1, 2), repeats=2, epochs=EPOCHS, sizes=None, size=12):
    layers, channels = schema.unit_labels(sizes or SIZES)
    shape = (len(conditions), len(runs), repeats, len(epochs), len(channels))
    dims = ("condition", "run", "repeat", "epoch", "unit")
    rng = np.random.default_rng(0)
    return xr.Dataset(
        {
            "image": (
                (*dims, "y", "x", "rgb"),
                rng.integers(0, 256, (*shape, size, size, 3), dtype=np.uint8),
            ),
            "activation": (dims, rng.gamma(2, 1, shape).astype(np.float32)),
            "status": (dims, np.full(shape, schema.Status.CONVERGED, np.uint8)),
        },
        {
            "condition": text_array(conditions),
            "run": list(runs),
            "repeat": np.arange(repeats),
            "epoch": list(epochs),
            "layer": ("unit", layers),
            "channel": ("unit", channels),
        },
    ).set_xindex(["layer", "channel"])


def make_masks(cube: xr.Dataset, value: float = 0.5) -> dict[str, xr.Dataset]:
    layers = list(dict.fromkeys(cube["layer"].values.tolist()))
    shape = (1, 1, cube.sizes["epoch"], len(layers), cube.sizes["y"], cube.sizes["x"])
    return {
        name: xr.Dataset(
            {"mask": (("condition", "run", "epoch", "layer", "y", "x"), np.full(shape, value, np.float32))},
            {
                "condition": text_array([name]),
                "run": cube["run"].values[:1],
                "epoch": cube["epoch"].values,
                "layer": text_array(layers),
            },
        )
        for name in cube["condition"].values.tolist()
    }


def make_distances(cube: xr.Dataset, live: float = 1.0) -> list[xr.Dataset]:
    """One store for each condition and run; every distance is 10 layer + epoch place, times `live`."""
    layers = cube["layer"].values.tolist()
    height = 10.0 * np.array([list(SIZES).index(layer) if layer in SIZES else 0 for layer in layers])
    repeats, epochs, units = (cube.sizes[name] for name in ("repeat", "epoch", "unit"))
    space = (2, 2, 2)

    def spread(values: np.ndarray) -> np.ndarray:
        wide = np.broadcast_to(values[None, None, ..., None, None, None], (1, 1, *values.shape, *space))
        return wide.astype(np.float32)

    values = (height + 1 + np.arange(epochs)[:, None]) * live
    dims, tail = ("condition", "run"), ("embedder", "distance", "masking")
    return [
        xr.Dataset(
            {
                "between_units": (
                    (*dims, "repeat", "epoch", "unit", *tail),
                    spread(np.broadcast_to(values, (repeats, *values.shape))),
                ),
                "between_epochs": (
                    (*dims, "repeat", "step", "unit", *tail),
                    spread(np.broadcast_to(values[1:], (repeats, epochs - 1, units))),
                ),
                "between_repeats": ((*dims, "epoch", "unit", *tail), spread(values)),
            },
            {
                "condition": text_array([condition]),
                "run": [run],
                "repeat": np.arange(repeats),
                "epoch": cube["epoch"].values,
                "step": np.arange(epochs - 1),
                "epoch_from": ("step", cube["epoch"].values[:-1]),
                "epoch_to": ("step", cube["epoch"].values[1:]),
                "layer": ("unit", text_array(layers)),
                "embedder": text_array(["reference", "pixels"]),
                "distance": text_array(["mse", "cosine"]),
                "masking": text_array(["masked", "unmasked"]),
            },
        ).assign(live_units=((*dims, "repeat", "epoch"), np.full((1, 1, repeats, epochs), units, np.int32)))
        for condition in cube["condition"].values.tolist()
        for run in cube["run"].values.tolist()
    ]


def make_rows(conditions=("clrjit", "keepclr"), runs=(1, 2), epochs=EPOCHS) -> list[dict[str, str]]:
    return [
        {
            "condition": condition,
            "run": str(run),
            "epoch": str(epoch),
            "readout": readout,
            "accuracy": str(30 + 10 * epoch * (condition == "clrjit") + run),
        }
        for condition in conditions
        for run in runs
        for epoch in epochs
        for readout in ("logistic", "svm", "adam")
    ]


CUBE = make_cube()
MASKS = make_masks(CUBE)
DISTANCES = make_distances(CUBE)


@functools.cache
def study():
    return planted_study.study(
        runs=(1, 2),
        epochs=EPOCHS,
        layers=tuple(SIZES.items()),
        embedders=("reference",),
        learnt=lambda _condition, _layer, t: 1.0 if t < 0.3 else 0.01,
        modes=planted_study.modes,
        draws=20,
    )


def stores_of(networks) -> list[xr.Dataset]:
    return [store for runs in networks for store in runs]


def settled_stores(distances) -> list[xr.Dataset]:
    space = {"embedder": "reference", "distance": "mse", "masking": "masked"}
    return [settling.units(store, space) for store in distances]


def natural_stores(networks) -> list[xr.Dataset]:
    layers = np.repeat(text_array(list(SIZES)), list(SIZES.values()))
    return [store.assign_coords(unit_layer=("unit", layers)) for store in stores_of(networks)]


def mode_stores(networks) -> list[xr.Dataset]:
    said = {"modes": '{"share": 0.8, "confidence": 0.95}'}
    return [store.assign_coords(start=np.arange(8)).assign_attrs(said) for store in stores_of(networks)]


def compared_stores() -> list[xr.Dataset]:
    return [
        compared(store, SIZES, (0, 1), seed=k, spread=0.2)
        for k, store in enumerate(stores_of(study().responses))
    ]


def measured() -> list[xr.Dataset]:
    return stores_of(study().distances)


@functools.cache
def found():
    return collect(study(), {"runs": [1, 2], "repeats": 2})


BUILD = {
    "findings": lambda: figures.forest(found(), TITLE),
    "g5": lambda: figures.diversity(DISTANCES, figures.Space("reference", "cosine"), TITLE),
    "learning": lambda: figures.learning(measured(), SPACE, TITLE),
    "settled": lambda: figures.settled(settled_stores(measured()), EPOCHS, TITLE),
    "saturation": lambda: figures.appearance(stores_of(study().appearance), "saturation", TITLE),
    "dimension": lambda: figures.dimension(natural_stores(study().responses), TITLE),
    "modes": lambda: figures.modes(mode_stores(study().modes), TITLE),
    "faithfulness": lambda: figures.faithfulness(compared_stores(), TITLE),
    "faithfulness along": lambda: figures.faithfulness_along(compared_stores(), TITLE),
    "g9": lambda: figures.animation(CUBE, MASKS, "layer2", 6, TITLE)[-1],
    "g1": lambda: figures.prototype_grids(CUBE, MASKS, 64, TITLE, DPI),
    "g1 unmasked": lambda: figures.prototype_grids(CUBE, MASKS, 64, TITLE, DPI, masked=False),
    "g2": lambda: figures.diversity(DISTANCES, SPACE, TITLE),
    "g3": lambda: figures.development(CUBE, MASKS, "layer2", [1, 7], TITLE, DPI),
    "g4": lambda: figures.probe(make_rows(), 10, TITLE),
    "g6": lambda: figures.rate_of_change(DISTANCES, SPACE, TITLE),
    "g7": lambda: figures.between_repeats(DISTANCES, SPACE, TITLE),
}
PROMISED = {
    "findings": [
        *(f"F{k}" for k in range(1, 13)),
        "diversity, epoch 1 / untrained",
        "undecided",
        "p = 0.5 (\u2265 0.5)",
        "times as large",
        "n = 2 runs \u00d7 2 repeats",
        "space: reference mse masked",
    ],
    "g5": ["(cosine distance)", "cosine distance of reference features", "n = 2 runs \u00d7 2 repeats"],
    "learning": [
        "0\u20131",
        "learnt between epochs",
        "n = 2 runs \u00d7 2 repeats",
        "no more than another start",
    ],
    "settled": ["settled units (%)", "4 units", "change point", "n = 2 runs \u00d7 2 repeats"],
    "saturation": ["saturation (%)", "masked prototypes", "n = 2 runs \u00d7 2 repeats"],
    "dimension": ["participation ratio (dimensions)", "8 units", "n = 2 runs for each condition"],
    "modes": [
        "modes (images)",
        "4 units",
        "from 8 starts",
        "a lower bound",
        "a mode of 1 in 10 starts is missed in 43 % of units",
        "confidence 0.95",
        "n = 2 runs for each condition",
    ],
    "faithfulness": ["faithfulness (1: as the unit's, 0: as others')", "n = 2 runs \u00d7 2 repeats"],
    "faithfulness along": ["clrjit", "keepclr", "middle", "8 units", "thin to thick: epoch 0, 1, 2, 4"],
    "g9": ["layer2 during training: epoch 4", "6 of 8 units", "n = 1 run, 1 repeat, 6 units", "clrjit"],
    "g1": [
        "clrjit",
        "keepclr",
        "layer1",
        "layer2",
        "4 units",
        "Epoch 4, run 1",
        "n = 1 run, 1 repeat, 12 units",
    ],
    "g1 unmasked": ["in full", "clrjit", "keepclr", "n = 1 run, 1 repeat"],
    "g2": [
        "layer1",
        "8 units",
        "epoch (log spacing)",
        "(MSE)",
        "n = 2 runs × 2 repeats",
        "each run and repeat",
    ],
    "g3": ["unit 1", "unit 7", "untrained", "epoch 4", "n = 1 run, 1 repeat, 2 units", "clrjit", "keepclr"],
    "g4": [
        "Logistic regression",
        "Linear SVM",
        "Adam",
        "chance 10 %",
        "untrained",
        "71.5",
        "31.5",
        "n = 2 runs",
        "(%)",
    ],
    "g6": ["0–1", "1–2", "2–4", "between epochs", "not divided", "n = 2 runs × 2 repeats"],
    "g7": ["layer2", "epoch", "different random starts", "n = 2 runs × 2 repeats", "thin: each run,"],
}


@functools.cache
def drawn(name: str) -> Figure:
    """A figure that is only read."""
    return BUILD[name]()


def texts(figure: Figure) -> list[Text]:
    """What can be read on a figure: not the labels of ticks beyond the ends of an axis."""
    figure.draw_without_rendering()
    beyond = set()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            beyond |= {tick.label1 for tick in axis.get_major_ticks() if not low <= tick.get_loc() <= high}
    found = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
    return [text for text in found if text not in beyond]


def words(figure: Figure) -> str:
    return " | ".join(text.get_text() for text in texts(figure))


def pixels(figure: Figure, path: Path) -> np.ndarray:
    figures.save(figure, path, DPI)
    return np.rint(matplotlib.image.imread(path)[..., :3] * 255).astype(np.uint8)


@pytest.mark.parametrize("name", BUILD)
def test_figure_says_what_it_shows(name: str) -> None:
    said = words(drawn(name))
    for promised in [TITLE, *PROMISED[name]]:
        assert promised in said


@pytest.mark.parametrize("name", BUILD)
def test_no_text_leaves_the_page_or_covers_another(name: str) -> None:
    figure = drawn(name)
    shown = texts(figure)
    boxes = [text.get_window_extent() for text in shown]
    for text, box in zip(shown, boxes, strict=True):
        inside = (
            figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 and box.y0 >= 0 and box.y1 <= figure.bbox.y1
        )
        assert inside, text.get_text()
    for i, one in enumerate(boxes):
        for j in range(i):
            assert not one.overlaps(boxes[j]), (shown[i].get_text(), shown[j].get_text())


@pytest.mark.parametrize("name", BUILD)
def test_same_data_same_bytes(name: str, tmp_path: Path) -> None:
    for file in ("one.png", "two.png"):
        figures.save(BUILD[name](), tmp_path / file, DPI)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    assert b"Matplotlib" not in (tmp_path / "one.png").read_bytes()


def test_the_users_settings_of_matplotlib_do_not_matter_and_stay(tmp_path: Path) -> None:
    figures.save(BUILD["g2"](), tmp_path / "plain.png", DPI)
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red", "savefig.facecolor": "black"}):
        figures.save(BUILD["g2"](), tmp_path / "odd.png", DPI)
        assert matplotlib.rcParams["font.size"] == 30
    assert (tmp_path / "plain.png").read_bytes() == (tmp_path / "odd.png").read_bytes()


def test_other_versions_of_the_typeface_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as that of a browser, whose boxes of glyphs differ by one unit: a PDF had other bytes."""
    manager = font_manager.fontManager
    other = font_manager.FontEntry(fname="/usr/share/fonts/other.ttf", name=style.TYPEFACE, weight=700)
    unrelated = font_manager.FontEntry(fname="/usr/share/fonts/serif.ttf", name="Some Serif")
    monkeypatch.setattr(manager, "ttflist", [other, unrelated, *manager.ttflist])
    style.keep_own_typeface()
    assert other not in manager.ttflist
    assert unrelated in manager.ttflist
    found = manager.findfont(font_manager.FontProperties(family=style.TYPEFACE, weight="bold"))
    assert Path(matplotlib.get_data_path()) in Path(found).parents


def test_conditions_have_their_colours() -> None:
    assert figures.colours(["keepclr", "clrjit"]) == {"keepclr": "#D55E00", "clrjit": "#0072B2"}
    assert figures.colours(["cj05", "keepclr", "clrjit"])["cj05"] == "#009E73"
    assert len(set(figures.colours(list("abcdefg")).values())) == 7
    figure = BUILD["g2"]()
    drawn = {matplotlib.colors.to_hex(line.get_color()).upper() for line in figure.axes[0].lines}
    assert drawn == {"#0072B2", "#D55E00"}


def test_diversity_draws_the_mean_over_live_units() -> None:
    stores = [store.copy(deep=True) for store in DISTANCES]
    stores[0]["between_units"][:, :, 0, 1, :2] = np.nan  # two of the four units of layer1
    stores[0]["between_units"][:, :, 0, 1, 2] = 8.0
    line = figures.diversity(stores, SPACE, TITLE).axes[0].lines[0]
    assert line.get_ydata() == pytest.approx([1, (8 + 2) / 2, 3, 4])


def test_units_of_large_and_small_distances_are_named() -> None:
    figure = figures.diversity(make_distances(CUBE, live=1e-4), SPACE, TITLE)
    assert "distance between units (10⁻³ MSE)" in words(figure)
    assert figure.axes[0].lines[0].get_ydata() == pytest.approx([0.1, 0.2, 0.3, 0.4])


@pytest.mark.parametrize(
    ("epochs", "places"),
    [([0, 1, 2, 4, 8], [0, 1, 2, 3, 4]), ([0, 2, 4], [0, 2, 4]), ([0, 1, 4], [0, 1, 3]), ([5], [5])],
)
def test_epochs_stand_where_the_axis_says(epochs: list[int], places: list[float]) -> None:
    assert panels.epoch_axis(epochs).x == pytest.approx(places)


def test_labels_leave_room_for_each_other() -> None:
    x = panels.epoch_axis([0, 1, 2, 5, 10, 20, 50, 90, 95, 100]).x
    shown = panels.spread(x)
    assert shown[0] == 0
    assert shown[-1] == 9
    assert np.diff(x[shown]).min() > (x[-1] - x[0]) / panels.LABELS


def test_mosaic_puts_unit_k_at_its_cell() -> None:
    images = np.random.default_rng(0).integers(0, 255, (7, 3, 4, 3), dtype=np.uint8)
    sheet = figures.mosaic(images, columns=3, gap=(2, 1))
    assert sheet.shape == (3 * 3 + 2 * 2, 3 * 4 + 2 * 1, 3)
    for k, image in enumerate(images):
        top, left = (k // 3) * 5, (k % 3) * 5
        assert (sheet[top : top + 3, left : left + 4] == image).all()
    assert (sheet[3:5] == 255).all()
    assert (sheet[:, 4] == 255).all()
    assert (sheet[10:, 5:] == 255).all()


def test_images_fade_to_grey_where_a_mask_is_low() -> None:
    images = np.full((2, 2, 2, 3), 200, np.uint8)
    masked = pictures.apply_mask(images, np.array([[0, 0.5], [1, 0.2525]], np.float32))
    assert masked.dtype == np.uint8
    assert masked[1, :, :, 0].tolist() == [[128, 164], [200, 146]]
    assert (images == 200).all()


def test_grid_on_the_page_is_the_mosaic_pixel_for_pixel(tmp_path: Path) -> None:
    figure = BUILD["g1"]()
    page = pixels(figure, tmp_path / "grid.png")
    part = CUBE.sel(condition="keepclr", run=1, repeat=0, epoch=4).isel(unit=slice(4, 12))
    faded = np.rint(128 + (part.image.values - np.float32(128)) * np.float32(0.5)).astype(np.uint8)
    expected = figures.mosaic(faded, 8, (2, 2))
    shown = crop(page, figure, 3, expected.shape)
    assert (shown == expected[:, None, :, None]).all()


def test_development_has_units_in_rows_and_epochs_in_columns(tmp_path: Path) -> None:
    figure = BUILD["g3"]()
    page = pixels(figure, tmp_path / "rows.png")
    part = (
        CUBE.sel(condition="keepclr", run=1, repeat=0)
        .isel(unit=[4 + 1, 4 + 7])
        .transpose("unit", "epoch", ...)
    )
    rows = np.rint(128 + (part.image.values - np.float32(128)) * np.float32(0.5))
    rows = rows.astype(np.uint8).reshape(8, 12, 12, 3)
    expected = figures.mosaic(rows, 4, (3, 2))
    shown = crop(page, figure, 1, expected.shape)
    for row in (slice(0, 12), slice(15, 27)):  # between them stand the responses
        assert (shown[row] == expected[row, None, :, None]).all()


def crop(page: np.ndarray, figure: Figure, axes: int, shape: tuple[int, ...]) -> np.ndarray:
    """(rows, zoom, columns, zoom, rgb): what stands on the page where some axes are."""
    box = figure.axes[axes].get_window_extent()
    top, left = round(figure.bbox.height - box.y1), round(box.x0)
    zoom = round(box.height) // shape[0]
    assert zoom >= 1
    area = page[top : top + zoom * shape[0], left : left + zoom * shape[1]]
    return area.reshape(shape[0], zoom, shape[1], zoom, 3)


def test_small_masks_are_shown_enlarged_about_their_middle() -> None:
    mask = np.zeros((12, 12), np.float32)
    mask[2:5, 3:6] = 1
    mask[3, 4] = 1.5
    assert pictures.enlargement([mask]) == 4
    assert pictures.enlargement([mask, np.ones((12, 12))]) == 1
    images = np.arange(144, dtype=np.uint8).reshape(1, 12, 12, 1)
    shown = pictures.enlarged(images, mask, 4)
    assert shown.shape == images.shape
    assert (shown[0, ::4, ::4, 0] == images[0, 2:5, 3:6, 0]).all()


def test_what_stands_beside_pictures_ends_before_them() -> None:
    """Also where some of many units are shown, and these enlarged."""
    cube = make_cube(sizes={"layer1": 48}, size=24)
    masks = make_masks(cube, 0.0)
    for mask in masks.values():
        mask["mask"][..., 8:14, 8:14] = 1.0
    figure = figures.prototype_grids(cube, masks, 32, TITLE, DPI)
    pictures_begin = min(axes.get_window_extent().x0 for axes in figure.axes)
    beside = [text for text in texts(figure) if text.get_text().startswith(("layer1", "32 of 48"))]
    assert [text.get_text() for text in beside] == ["layer1", "32 of 48, 2\u00d7"]
    assert all(text.get_window_extent().x1 < pictures_begin for text in beside)


def test_dead_units_are_hatched_and_counted(tmp_path: Path) -> None:
    cube = CUBE.copy(deep=True)
    cube["status"][0, 0, 0, -1, 1] = schema.Status.DEAD
    figure = figures.prototype_grids(cube, MASKS, 64, TITLE, DPI)
    assert "hatched: 1 without a prototype" in words(figure)
    sheet = crop(pixels(figure, tmp_path / "dead.png"), figure, 0, (12, 8 * 14 - 2, 3))
    assert (sheet[:, :, 14:26] == pictures.hatched(12)[:, None, :, None]).all()
    development = figures.development(cube, MASKS, "layer1", [1], TITLE, DPI)
    assert "none" in words(development)


def test_missing_masks_are_named() -> None:
    figure = figures.prototype_grids(CUBE, {"clrjit": MASKS["clrjit"], "keepclr": None}, 64, TITLE, DPI)
    assert "without a mask, shown in full: keepclr layer1, keepclr layer2" in words(figure)
    figure = figures.development(CUBE, {}, "layer1", [0], TITLE, DPI)
    assert "without a mask, shown in full: clrjit untrained" in words(figure)
    assert "and 4 more" in words(figure)


def test_one_of_everything_is_drawn_or_explained(tmp_path: Path) -> None:
    cube = make_cube(("keepclr",), (1,), 1, (0,), {"layer1": 1})
    stores = make_distances(cube)
    drawn = {
        "grid": figures.prototype_grids(cube, {"keepclr": None}, 64, TITLE, DPI),
        "rows": figures.development(cube, {}, "layer1", [0], TITLE, DPI),
        "diversity": figures.diversity(stores, SPACE, TITLE),
        "change": figures.rate_of_change(stores, SPACE, TITLE),
        "repeats": figures.between_repeats(stores, SPACE, TITLE),
        "probe": figures.probe(make_rows(("keepclr",), (1,), (0,)), 10, TITLE),
        "no probe": figures.probe([], 10, TITLE),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name, figure in drawn.items():
            figures.save(figure, tmp_path / f"{name}.png", DPI)
    assert "n = 1 run × 1 repeat" in words(drawn["diversity"])
    assert "Only one epoch was kept" in words(drawn["change"])
    assert "Each prototype was made once" in words(drawn["repeats"])
    assert "No accuracy was measured" in words(drawn["no probe"])
    assert not drawn["change"].axes
    assert not drawn["repeats"].axes


def test_a_layer_without_live_units_says_so() -> None:
    stores = make_distances(CUBE)
    for store in stores:
        store["between_units"][..., :4, :, :, :] = np.nan
        store["live_units"][:] = 8
    figure = figures.diversity(stores, SPACE, TITLE)
    assert "no live units" in words(figure)
    assert "33.3 % of prototypes left out" in words(figure)
    assert not figure.axes[0].lines
    assert len(figure.axes[0].get_xticks()) == 0


@pytest.mark.parametrize(
    ("layer", "units", "message"),
    [
        ("layer9", [0], r"development_layer: expected one of layer1, layer2, found layer9"),
        ("layer1", [0, 4, 9], r"development_units: expected units of layer1, 0 to 3, found 4, 9"),
    ],
)
def test_unknown_layers_and_units_are_refused(layer: str, units: list[int], message: str) -> None:
    with pytest.raises(StudyError, match=message):
        figures.development(CUBE, MASKS, layer, units, TITLE, DPI)


def test_unknown_space_is_refused() -> None:
    with pytest.raises(
        StudyError, match="clrjit run 1: expected embedder among reference, pixels, found vgg16"
    ):
        figures.diversity(DISTANCES, figures.Space("vgg16"), TITLE)


def test_end_labels_do_not_overlap() -> None:
    page = style.Page(5, 4)
    axes = page.axes(1, 1, 2, 2)
    ends = {"one": 0.0, "two": 0.01, "three": 0.02}
    style.end_labels(axes, ends, dict.fromkeys(ends, "black"))
    heights = [text.get_position()[1] for text in axes.texts]
    assert np.diff(heights).min() >= 0.0749
    assert heights[0] >= 0


@pytest.mark.parametrize("name", ["findings", "g2", "g4", "settled"])
def test_vector_files_repeat_and_hold_no_date(name: str, tmp_path: Path) -> None:
    for file in ("one.pdf", "two.pdf"):
        figures.save(BUILD[name](), tmp_path / file, DPI)
    written = (tmp_path / "one.pdf").read_bytes()
    assert written == (tmp_path / "two.pdf").read_bytes()
    assert written.startswith(b"%PDF")
    assert len(written) < 100_000
    for said in (b"CreationDate", b"Matplotlib", b"matplotlib"):
        assert said not in written


def test_a_palette_changes_no_colour_that_can_be_seen(tmp_path: Path) -> None:
    figure = BUILD["g2"]()
    shown = pixels(figure, tmp_path / "palette.png").astype(int)
    exact = np.asarray(style.raster(figure, DPI)).astype(int)
    assert np.abs(shown - exact).mean() < 1
    assert np.abs(shown - exact).max() < 64
    assert not figures.has_pictures(figure)
    assert figures.has_pictures(BUILD["g3"]())


def test_animation_has_a_frame_for_each_epoch_and_repeats(tmp_path: Path) -> None:
    frames = figures.animation(CUBE, MASKS, "layer2", 8, TITLE)
    assert ["untrained" in words(frame) for frame in frames] == [True, False, False, False]
    for name in ("one.webp", "two.webp"):
        figures.save_animation(frames, tmp_path / name)
    assert (tmp_path / "one.webp").read_bytes() == (tmp_path / "two.webp").read_bytes()
    with Image.open(tmp_path / "one.webp") as read:
        assert read.n_frames == len(EPOCHS)
        shown = []
        for k in range(read.n_frames):
            read.seek(k)
            shown.append(np.asarray(read.convert("RGB")).astype(int))
    for frame, found in zip(frames, shown, strict=True):
        assert np.abs(found - np.asarray(style.raster(frame, 100))).mean() < 12  # noise is the worst for WebP
    assert (
        np.abs(shown[0] - shown[-1]).mean()
        > np.abs(shown[0] - np.asarray(style.raster(frames[0], 100))).mean()
    )


def test_animation_refuses_a_layer_that_there_is_not() -> None:
    with pytest.raises(StudyError, match="expected one of layer1, layer2, found layer7"):
        figures.animation(CUBE, MASKS, "layer7", 8, TITLE)


def test_forest_puts_estimates_where_they_belong_and_cuts_what_is_beyond() -> None:
    effect = {
        "quantity": "this / that",
        "claim": "below",
        "times": 0.5,
        "interval": [0.001, 2.0],
        "p": 0.5,
        "p_floor": 0.5,
        "per_run": {"1": 0.25, "2": 1.0},
        "verdict": "not supported",
    }
    nothing = {
        "id": "F2",
        "claim": "Some",
        "verdict": "not computed",
        "effects": [],
        "missing": ["no such layer"],
    }
    found = {
        "study": {"runs": [1, 2], "repeats": 1},
        "findings": [
            {"id": "F1", "claim": "Other", "verdict": "undecided", "effects": [effect], "space": "x"},
            nothing,
        ],
    }
    figure = figures.forest(found, TITLE)
    drawn = [line.get_xdata() for line in figure.axes[0].lines]
    assert any(np.array_equal(x, [1 / 32, 2.0]) for x in drawn)  # the interval, cut
    assert any(np.array_equal(x, [1 / 32]) for x in drawn)  # its arrow
    assert any(np.array_equal(x, [0.25, 1.0]) for x in drawn)
    assert any(np.array_equal(x, [0.5]) for x in drawn)
    assert "no such layer" in words(figure)


def test_explanations_draw_means_over_live_units() -> None:
    stores = [store.copy(deep=True) for store in stores_of(study().appearance)]
    stores[0]["saturation"].values[0, 0, 0, 1, :3] = np.nan
    stores[0]["saturation"].values[0, 0, 0, 1, 3] = 0.75
    line = figures.appearance(stores, "saturation", TITLE).axes[0].lines[0]
    assert line.get_ydata()[1] == pytest.approx(75, rel=1e-6)
    share = figures.settled(settled_stores(measured()), EPOCHS, TITLE).axes[0].lines[0].get_ydata()
    assert share.tolist() == [0, 100, 100, 100]
    least = stores_of(planted_study.study(runs=(1,), repeats=(0,), epochs=(0, 1, 2)).distances)
    assert "its noise is not known" in words(figures.learning(least, SPACE, TITLE))
    assert "needs three kept epochs" in words(figures.settled(settled_stores(least), (0, 1), TITLE))
    one = stores_of(planted_study.study(runs=(1,), epochs=(0,)).distances)
    assert "Only one epoch was kept" in words(figures.learning(one, SPACE, TITLE))


def test_importing_draws_in_no_pyplot() -> None:
    code = (
        "import sys, protoviz.report.figures as f; print({'torch', 'matplotlib.pyplot'} & set(sys.modules))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "set()\n"
