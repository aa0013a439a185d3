"""The stage `figures` on a toy study, in stores written by the stages that own them."""

from pathlib import Path

import matplotlib.image
import pytest
from ruamel.yaml import YAML

from protoviz import files, layout
from protoviz.report import figures as drawn
from stages import cube, figures
from tests.reference import analysed

ROOT = Path(__file__).parents[2]
CURVES = [
    *("faithfulness", "faithfulness_along", "findings_conditions"),
    *("dimension", "findings", "g2_diversity", "g4_probe", "g5_diversity_cosine", "g6_learning"),
    *("g6_rate_of_change", "g7_between_repeats", "high_frequency", "saturation", "settled_units", "warmth"),
    *("matched_units", "matched_units_beyond", "prediction"),
]
PICTURES = ["g1_prototypes", "g1_prototypes_unmasked", "g3_development", "g8_development"]


@pytest.mark.filterwarnings("error")
def test_stage_writes_every_figure_and_repeats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    study = analysed.study()
    analysed.analyse(study)
    cube.main(study)
    figures.main(study)
    written = sorted(layout.FIGURES.iterdir())
    expected = [f"{name}.{kind}" for name in CURVES for kind in ("pdf", "png")]
    expected += [*(f"{name}.png" for name in PICTURES), "g9_animation.webp"]
    assert [path.name for path in written] == sorted(expected)
    for path in written:
        if path.suffix == ".png":
            assert matplotlib.image.imread(path).std() > 0.01
    first = [files.sha256(path) for path in written]
    figures.main(study)
    assert [files.sha256(path) for path in written] == first


def test_dvc_shows_every_figure_that_it_can() -> None:
    """DVC knows PNG; `dvc plots` would stumble over the other files of a folder."""
    entries = YAML(typ="safe").load(ROOT / "dvc.yaml")["plots"]
    shown = {entry for entry in entries if isinstance(entry, str)}
    unmasked = {"g1_prototypes_unmasked"}  # large, and all detail
    some = {
        "findings_conditions",
        "matched_units",
        "matched_units_beyond",
        "prediction",
    }  # not of all studies
    assert shown == {f"{layout.FIGURES}/{name}.png" for name in {*CURVES, *PICTURES} - unmasked - some}
    assert set(CURVES) >= set(drawn.explanations.APPEARANCE)
