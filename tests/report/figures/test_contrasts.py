"""Figures of studies of any form: the conditions compared, names that are long, what is chosen unasked."""

import itertools

import matplotlib.image
import numpy as np
import pytest
import xarray as xr

from protoviz.analysis import findings
from protoviz.report import figures
from protoviz.report.figures import choices, panels
from protoviz.report.figures.pictures import Blocks
from protoviz.report.text import broken, shortened, spread
from tests.reference import planted, planted_study


def described(conditions, layers, runs=(1, 2), probes=()):
    options = {"conditions": conditions, "layers": layers, "runs": runs, "embedders": ("pixels",)}
    made = planted_study.study(draws=25, **options)
    means = planted.means(
        conditions=conditions, runs=runs, epochs=made.first.epoch.values.tolist(), layers=dict(layers)
    )
    about = findings.about("made up", means, list(probes), 10.0 if probes else None)
    return findings.describe(made, about, matched=False)


def words(figure):
    return [text.get_text() for text in figure.findobj(match=lambda artist: hasattr(artist, "get_text"))]


def test_every_comparison_is_a_row(tmp_path):
    probes = [{"condition": c, "run": r, "logistic": 60.0 + r} for c in ("plain", "blurred") for r in (1, 2)]
    found = described(("plain", "blurred"), (("blocks.0", 6), ("blocks.3", 6)), probes=probes)
    figure = figures.contrasts(found, "made up")
    said = words(figure)
    measures = [one for one in found["measures"] if one["layers"]]
    assert said.count("blocks.3") == len([one for one in measures if one["layers"][0]["layer"]]) == 12
    for one in measures:
        assert any(text.endswith(f"; {one['when']}") for text in said)
    (axes,) = figure.axes
    diamonds = [line for line in axes.lines if line.get_marker() == "D"]
    ratios = [
        pair["effect"]
        for one in measures
        for layer in one["layers"]
        for pair in layer["comparisons"]
        if pair["scale"] == "ratio"
    ]
    assert [line.get_xdata()[0] for line in diamonds] == ratios
    figures.save(figure, tmp_path / "all.png", 40)
    assert matplotlib.image.imread(tmp_path / "all.png").std() > 0.01


@pytest.mark.parametrize("runs", [(1, 2), (1,)])
def test_of_one_condition_the_values_are_shown(tmp_path, runs):
    found = described(("plain",), (("blocks.0", 6), ("blocks.3", 6)), runs=runs)
    figure = figures.measured(found, "made up")
    said = words(figure)
    for one in found["measures"]:
        for layer in one["layers"]:
            of = layer["conditions"][0]
            shown = "not computed" if of["value"] is None else f"{of['value']:.3g}"
            assert any(text.startswith(shown) for text in said), one["name"]
            if of["interval"]:
                assert any("({:.3g} .. {:.3g})".format(*of["interval"]) in text for text in said), one["name"]
    assert ("one run: no intervals" in " ".join(said)) == (len(runs) == 1)
    figures.save(figure, tmp_path / "all.png", 60)
    assert matplotlib.image.imread(tmp_path / "all.png").std() > 0.01


def test_of_many_conditions_and_layers_a_page_is_left(tmp_path):
    layers = tuple((f"features.denseblock{k}.denselayer{k}.conv", 2) for k in range(30))
    found = described(("plain", "blurred", "cropped_at_random_places", "rot", "none"), layers, runs=(1,))
    figure = figures.contrasts(found, "made up")
    assert figure.get_size_inches()[1] < 45
    said = " ".join(words(figure))
    assert "1 of 30 layers" in said
    assert "6 of 10 pairs" in said
    assert "one run: no intervals" in said
    figures.save(figure, tmp_path / "all.png", 30)


def cube(layers):
    names = np.repeat(list(layers), [len(channels) for channels in layers.values()])
    return xr.Dataset(
        coords={"layer": ("unit", names), "channel": ("unit", np.concatenate(list(layers.values())))}
    )


def test_the_middle_layer_and_units_evenly_apart_are_chosen():
    default = cube({f"layer{k}": list(range(64)) for k in (1, 2, 3, 4)})
    assert choices.middle_layer(default) == "layer3"
    first, second = choices.spaced_units(default, "layer3")
    assert (first, second) == ([0, 21, 42, 63], [10, 32, 52])
    sampled = cube({"blocks.0": [3, 17, 40, 121, 190], "head": [5]})
    assert choices.middle_layer(sampled) == "head"
    assert choices.spaced_units(sampled, "blocks.0") == ([3, 40, 190], [17, 121])
    assert choices.spaced_units(sampled, "head") == ([5], [])
    assert choices.spaced_units(sampled, "no such layer") == ([], [])


def test_long_names_are_broken_or_shortened():
    name = "features.denseblock1.denselayer1.conv2"
    assert broken(name, 15) == ["features.", "denseblock1.", "denselayer1.", "conv2"]
    assert broken("blocks.3", 15) == ["blocks.3"]
    assert "".join(broken("a" * 40, 15)) == "a" * 40
    assert shortened("blocks.3", 8) == "blocks.3"
    assert shortened(name, 20) == "featur\u2026nselayer1.conv2"[:7] + name[-13:]
    assert len(shortened(name, 20)) == 20
    assert spread(range(10), 4) == [0, 3, 6, 9]
    assert spread(range(3), 4) == [0, 1, 2]
    assert spread(range(10), 1) == [9]


@pytest.mark.parametrize("epochs", [(0, 100, 1000, 5000), tuple(range(0, 200_000, 10_000))])
def test_labels_of_epochs_do_not_touch(epochs):
    axis = panels.epoch_axis(epochs)
    figure = panels.panels(
        [panels.Curve("plain", name, 4, np.arange(float(len(epochs)))) for name in "abcd"],
        axis,
        heading="",
        explanation="",
        y_label="y",
        measure="m",
        caption=[],
        lines="each run",
    )
    figure.canvas.draw()
    for axes in figure.axes:
        boxes = [label.get_window_extent() for label in axes.get_xticklabels()]
        assert all(a.x1 < b.x0 for a, b in itertools.pairwise(boxes))


def test_a_heading_is_no_wider_than_its_block():
    blocks = Blocks.fit(16, 2, 5, 100, gap=(2, 2), left=1.6)
    page = blocks.page(3)
    for name in ("plain", "a_longer_condition", "a_condition_with_a_very_long_name"):
        blocks.heading(page, 0, 1, name, "black")
    assert [text.get_text() for text in page.figure.texts][:2] == ["plain", "a_longer_condition"]
    page.figure.canvas.draw()
    for text in page.figure.texts:
        assert text.get_window_extent().width / 100 <= blocks.block_width
