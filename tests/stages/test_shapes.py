"""The stages right of the cube on studies that lack what the default has."""

import json
from pathlib import Path

import matplotlib.image
import pytest

from protoviz import files, layout
from protoviz.errors import StudyError
from protoviz.report import findings_table
from protoviz.report.figures.explanations import APPEARANCE
from stages import findings, metrics
from tests.reference import planted_shapes as planted

pytestmark = pytest.mark.slow

ALWAYS = {
    *("g1_prototypes", "g1_prototypes_unmasked", "g2_diversity", "g3_development", "g5_diversity_cosine"),
    *("findings", "g6_learning", "g6_rate_of_change", "g7_between_repeats", "settled_units", *APPEARANCE),
}
FAITHFUL = {"faithfulness", "faithfulness_along"}
OF_IMAGES = {"dimension", "matched_units", "matched_units_beyond"}
OF_BOTH = {"g4_probe", "prediction", *OF_IMAGES}
SHAPES = {
    "least": (set(), {*OF_BOTH, *FAITHFUL, "g8_development"}),
    "two": ({"g8_development"}, {*OF_BOTH, *FAITHFUL}),
    "images": ({*OF_BOTH, "g8_development"}, FAITHFUL),
    "many layers": (set(), {*OF_BOTH, *FAITHFUL, "g8_development"}),
    "a dead layer": ({"g8_development"}, {*OF_BOTH, *FAITHFUL}),
}


@pytest.mark.parametrize("name", SHAPES)
def test_all_stages_go_through_and_say_what_is_left_out(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    drawn, absent = SHAPES[name]
    shape = planted.SHAPES[name]
    planted.show(planted.analyse(shape))

    assert {path.stem for path in layout.FIGURES.glob("*.png")} == ALWAYS | drawn
    for path in layout.FIGURES.glob("*.png"):
        assert matplotlib.image.imread(path).std() > 0.01, path
    note = layout.FIGURES / "left_out.txt"
    told = note.read_text().splitlines() if absent else []
    assert note.exists() == bool(absent)
    assert {line.partition(" is not drawn: ")[0] for line in told} == absent
    assert set(told) <= set(capsys.readouterr().out.splitlines())

    found = json.loads(layout.FINDINGS.read_text(), parse_constant=pytest.fail)
    assert found["kind"] == "general"
    layers = {layer["layer"] for one in found["measures"] for layer in one["layers"]} - {None}
    assert layers == {layer for layer, _ in shape.layers}
    assert max(map(len, findings_table.table(found).splitlines())) <= 100
    for condition in shape.conditions:
        numbers = json.loads(layout.metrics(condition).read_text(), parse_constant=pytest.fail)
        assert ("probe" in numbers) == shape.probe
        assert set(numbers) - {"probe"} == {layer for layer, _ in shape.layers}
    card = layout.CARD.read_text()
    assert "trained elsewhere" in card
    assert str(layout.STAGES_CUBE) not in card
    sheets = {path.stem for path in (layout.ATLAS / "sheets").rglob("*.webp")}
    assert sheets == {layer for layer, _ in shape.layers}


def test_a_difference_that_was_planted_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    planted.analyse(planted.SHAPES["two"])
    diversity = files.read_json(layout.FINDINGS)["measures"][0]
    for layer in diversity["layers"]:
        (pair,) = layer["comparisons"]
        assert pair["verdict"] == "higher"  # "plain" has twice the contrast of "blur"
        assert 1.7 < pair["effect"] < 2.6


def test_what_is_there_of_some_networks_only_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = planted.analyse(planted.Shape(runs=(1, 2), repeats=(0,), epochs=(0,), images=True, probe=True))
    natural = layout.natural("blur", 2)
    natural.rename(tmp_path / "elsewhere")
    for stage in (lambda: findings.main(made), lambda: metrics.main(made, "blur")):
        with pytest.raises(StudyError, match=r"natural/blur-2\.zarr: expected a file made by an earlier"):
            stage()
    (tmp_path / "elsewhere").rename(natural)
    layout.probe_metrics("plain", 1).unlink()
    with pytest.raises(StudyError, match=r"probe/plain-1\.json: expected a file made by an earlier"):
        findings.main(made)
