"""The atlas of a study that is not of the paper's form, in a browser."""

from pathlib import Path
from typing import Any

import pytest

from protoviz import files, layout
from stages import atlas as atlas_stage
from tests.reference import planted_shapes
from tests.report.atlas.conftest import Served, watched


def test_findings_of_any_study_list_measures_and_pairs(
    chromium: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a study without a probe, natural images and study B, whose layers have names of all kinds."""
    monkeypatch.chdir(tmp_path)
    layers = (("blocks.0", (3, 17, 40, 121, 190)), ("act#2", (0, 1, 2)))
    parameters = planted_shapes.analyse(planted_shapes.Shape(runs=(1, 2), epochs=(0, 9), layers=layers))
    planted_shapes.whole.main(parameters)
    atlas_stage.main(parameters)
    served = Served(tmp_path / layout.ATLAS)
    page = chromium.new_page(viewport={"width": 1280, "height": 800})
    try:
        visited = watched(page, served.address)
        found = files.read_json(layout.FINDINGS)
        visited.open("#/findings")
        for measure in found["measures"]:
            item = page.locator(f"li#{measure['name']}")
            assert measure["text"] in item.inner_text()
            for gap in measure["missing"]:
                assert f"Not computed: {gap}." in item.inner_text()
        diversity = page.locator("li#diversity")
        assert diversity.locator("table").count() == 0
        diversity.locator("summary").click()
        rows = diversity.locator("tbody tr")
        rows.first.wait_for()  # the browser tells the page later that the summary is open
        assert rows.count() == 2 * 3
        (pair,) = found["measures"][0]["layers"][0]["comparisons"]
        said = rows.nth(2).inner_text().split("\t")
        assert said[:2] == ["blocks.0", "plain / blur"]
        assert said[5] == pair["verdict"]
        assert "fixed: higher" in said[6]
        for hash_ in ("#/grid", "#/unit/blur/2/act%232/1", "#/unit/plain/1/blocks.0/121", "#/map", "#/about"):
            visited.open(hash_)
        assert "natural images" in page.locator("body").inner_text()
        assert visited.problems == []
    finally:
        page.close()
        served.stop()
