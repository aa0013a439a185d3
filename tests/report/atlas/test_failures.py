"""What the atlas says when something is missing, damaged or not there, and that the rest goes on working."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from protoviz.report.atlas import serving
from tests.report.atlas.conftest import Served, Visit, watched


@pytest.fixture
def copy(study: Any, tmp_path: Path) -> Path:
    """The rich atlas, to be damaged."""
    return Path(shutil.copytree(study.rich, tmp_path / "atlas"))


@pytest.fixture
def damaged(chromium: Any, copy: Path) -> Iterator[Visit]:
    """A page of the damaged atlas. Failed requests are expected, errors of the page are not."""
    served = Served(copy)
    page = chromium.new_page(viewport={"width": 1280, "height": 800})
    visited = watched(page, served.address)
    yield visited
    page.close()
    served.stop()
    allowed = ("error: Failed to load resource", "failed: ")
    assert [one for one in visited.problems if not one.startswith(allowed)] == []
    assert visited.hosts <= {serving.LOOPBACK, ""}


def remove(path: Path) -> None:
    path.unlink()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def scramble(path: Path) -> None:
    path.write_bytes(b"RIFF" + bytes(200))


def exchange(path: Path) -> None:
    shutil.copy(path.with_name("layer2.webp"), path)


def test_a_damaged_sheet_is_named_and_the_rest_works(damaged: Visit, copy: Path) -> None:
    for epoch, harm in ((0, remove), (1, cut), (2, scramble), (5, exchange)):
        harm(copy / f"sheets/clrjit-1/0/{epoch}/layer1.webp")
    page = damaged.open("#/grid/clrjit/1/0/5/layer1?mask=own")
    note = page.locator(".pane .note")
    for epoch in (5, 2, 1, 0):
        note.get_by_text(f"sheets/clrjit-1/0/{epoch}/layer1.webp").wait_for()
        assert "damaged" in note.inner_text()
        page.keyboard.press("ArrowLeft")
    page.get_by_label("repeat", exact=True).select_option("1")
    damaged.settle()
    page.wait_for_function("atlas.views.grid.shown()")
    assert not note.is_visible()
    assert page.locator(".epoch").inner_text() == "untrained"
    page.get_by_label("repeat", exact=True).select_option("0")
    note.wait_for()


def test_a_damaged_sheet_of_a_unit_leaves_its_curves(damaged: Visit, copy: Path) -> None:
    cut(copy / "units/clrjit-1/layer1/3.webp")
    page = damaged.open("#/unit/clrjit/1/layer1/3?mask=own")
    assert "units/clrjit-1/layer1/3.webp is missing or damaged" in page.locator(".note").first.inner_text()
    assert page.locator(".curve path").count() == 8
    damaged.go("#/unit/clrjit/1/layer1/4")
    assert page.locator(".stage").count() == 8


def test_damaged_numbers_are_named(damaged: Visit, copy: Path) -> None:
    (copy / "data/units/clrjit-1/layer1.js").unlink()
    page = damaged.open("#/grid/clrjit/1/0/5/layer1?mask=own")
    assert "data/units/clrjit-1/layer1.js is missing or damaged" in page.locator("#messages").inner_text()
    page.get_by_label("layer", exact=True).select_option("layer2")
    damaged.settle()
    page.wait_for_function("atlas.views.grid.shown()")
    assert page.locator("#messages").inner_text() == ""
    damaged.go("#/unit/clrjit/1/layer1/3")
    assert "data/units/clrjit-1/layer1.js is missing" in page.locator("main").inner_text()


def test_a_missing_sheet_leaves_the_other_pictures_of_a_unit(
    chromium: Any, study: Any, tmp_path: Path
) -> None:
    """Where units have no sheets of their own, a missing one costs a picture."""
    copy = Path(shutil.copytree(study.bare, tmp_path / "atlas"))
    (copy / "sheets/clrjit-1/0/2/layer1.webp").unlink()
    served = Served(copy)
    page = chromium.new_page()
    visited = watched(page, served.address)
    visited.open("#/unit/clrjit/1/layer1/3")
    assert "sheets/clrjit-1/0/2/layer1.webp is missing" in page.locator(".note").first.inner_text()
    named = page.locator(".stage canvas").evaluate_all("all => all.map((one) => one.ariaLabel)")
    missing = [one for one in named if one.endswith(": missing")]
    assert missing == ["Prototype of layer1 channel 3, epoch 2, repeat 0: missing"]
    assert len(named) == 8
    assert page.locator(".likenesses").first.locator("li").count() == 6
    page.close()
    served.stop()
    assert [one for one in visited.problems if "Failed to load" not in one and "failed:" not in one] == []


def test_missing_pictures_leave_the_points_of_the_map(damaged: Visit, copy: Path) -> None:
    shutil.rmtree(copy / "map/keepclr-2")
    page = damaged.open("#/map")
    page.wait_for_function("document.getElementById('messages').textContent.includes('map/keepclr-2')")
    assert page.evaluate("() => atlas.views.map.plane().there.reduce((sum, one) => sum + one, 0)") == 1023


def test_missing_curves_findings_and_map_are_named(damaged: Visit, copy: Path) -> None:
    for name in ("curves", "findings", "map/study"):
        (copy / f"data/{name}.js").unlink()
    page = damaged.open("#/curves")
    assert "data/curves.js is missing or damaged." in page.locator("main").inner_text()
    for view in ("findings", "map/study"):
        damaged.go(f"#/{view}")
        assert f"data/{view}.js is missing or damaged." in page.locator("main").inner_text()
    damaged.go("#/grid")
    page.wait_for_function("atlas.views.grid.shown()")


def test_without_the_study_it_says_what_to_do(damaged: Visit, copy: Path) -> None:
    (copy / "data/study.js").unlink()
    damaged.page.goto(damaged.address)
    damaged.page.wait_for_selector(".failed")
    assert "make atlas" in damaged.page.locator("main").inner_text()


EXPLAINED = {
    "#/unit/nosuch/1/layer1/3": "There is no condition nosuch here: it is one of clrjit, keepclr, seresnext.",
    "#/unit/clrjit/9/layer1/3": "There is no run 9 here: it is one of 1, 2.",
    "#/unit/clrjit/1/layer7/3": "There is no layer layer7 here: it is one of layer1, layer2.",
    "#/unit/clrjit/1/layer1/24": "layer1 has no unit 24 here: its channels are 0 to 23.",
    "#/unit/clrjit/1/layer1/x": "layer1 has no unit x here: its channels are 0 to 23.",
    "#/unit/seresnext/1/conv1/4": "conv1 has no unit 4 here: its channels are 4 from 2 to 8.",
    "#/unit/clrjit/1/layer1/3?epoch=3": "There is no epoch 3 here: it is one of 0, 1, 2, 5.",
    "#/grid/clrjit/1/7/5/layer1": "There is no repeat 7 here: it is one of 0, 1.",
    "#/grid/clrjit/1/0/5/layer1?with=nosuch/1/0/5": "There is no condition nosuch here",
    "#/map/nosuch": "There is no map of nosuch here: there is study, stages.",
    "#/curves/nosuch": "There is no curve nosuch here: there are diversity, probe accuracy.",
    "#/nosuch": "There is no view called nosuch here.",
    "#/unit/%E0%A4%A/1": "There is no condition %E0%A4%A here",
    "#/unit/<b>x<%2Fb>/1": "There is no condition <b>x</b> here",
}


def test_an_address_that_does_not_exist_is_explained(visit: Visit) -> None:
    page = visit.open("#/about")
    for hash_, words in EXPLAINED.items():
        visit.go(hash_)
        assert words in page.locator("main").inner_text(), hash_
    page.get_by_role("link", name="To the grid").click()
    page.wait_for_selector(".pane")
    page.wait_for_function("atlas.views.grid.shown()")


# Files with these words in their paths are asked for only when another one has been answered.
LATE = """const get = window.fetch;
let answered;
const other = new Promise((resolve) => { answered = resolve; });
window.fetch = (path) => {
  if (/LATE/.test(path)) return other.then(() => get(path));
  return get(path).finally(answered);
};"""


@pytest.mark.parametrize("late", ["sheets", "veils"])
def test_of_two_that_are_missing_the_sheet_is_named_first(damaged: Visit, copy: Path, late: str) -> None:
    """Whichever is found missing first."""
    missing = (
        "units/clrjit-1/layer1/3.webp",
        "sheets/clrjit-1/0/5/layer1.webp",
        "veils/clrjit-1/layer1.webp",
    )
    for name in missing:
        (copy / name).unlink()
    damaged.page.add_init_script(LATE.replace("LATE", late if late == "veils" else "sheets|units"))
    said = " is missing or damaged; the rest of the atlas goes on working."
    page = damaged.open("#/grid/clrjit/1/0/5/layer1?mask=own")
    assert page.locator(".pane .note").inner_text() == missing[1] + said
    page = damaged.open("#/unit/clrjit/1/layer1/3?mask=own")
    assert page.locator(".unit > .note").all_inner_texts() == [missing[0] + said, missing[2] + said]


def test_a_browser_without_webp_is_told(chromium: Any, rich: str) -> None:
    page = chromium.new_page()
    visited = watched(page, rich)
    page.add_init_script(
        """const source = Object.getOwnPropertyDescriptor(HTMLImageElement.prototype, "src");
        Object.defineProperty(HTMLImageElement.prototype, "src", {
          get: source.get,
          set(value) { source.set.call(this, /webp/.test(value) ? "data:image/webp;base64,AAAA" : value); },
        });
        window.createImageBitmap = () => Promise.reject(new Error("no such format"));"""
    )
    visited.open("#/grid/clrjit?mask=own")
    # The mask cannot be shown either; the sheet is named, whichever is refused first.
    assert "sheets/clrjit-1/0/5/layer1.webp is missing or damaged" in page.locator(".pane .note").inner_text()
    page.locator("#messages").get_by_text(
        "This browser does not show WebP"
    ).wait_for()  # tried beside the view
    visited.go("#/curves")
    assert page.locator(".curve path").count() > 0
    assert "This browser does not show WebP" in page.locator("#messages").inner_text()
    visited.go("#/findings")
    assert page.locator(".finding").count() == 3
    page.close()
    assert [one for one in visited.problems if "data:image/webp" not in one] == []


def test_from_a_folder_without_a_server(chromium: Any, study: Any) -> None:
    page = chromium.new_page(viewport={"width": 1280, "height": 800})
    visited = watched(page, (study.rich / "index.html").as_uri())
    visited.open("#/grid/clrjit/1/0/1/layer1")
    page.wait_for_function("atlas.views.grid.shown()")
    page.keyboard.press("ArrowRight")
    visited.reach("#/grid/clrjit/1/0/2/layer1")
    visited.go("#/unit/clrjit/1/layer1/3")
    assert page.locator(".stage").count() == 8
    for view in ("map", "curves", "findings", "about"):
        visited.go(f"#/{view}")
        assert page.locator("#messages").inner_text() == ""
    page.close()
    assert visited.problems == []


def test_what_was_not_computed_is_said(chromium: Any, study: Any) -> None:
    served = Served(study.bare)
    page = chromium.new_page(viewport={"width": 1280, "height": 800})
    visited = watched(page, served.address)
    visited.open("#/grid?mask=own")
    sorts = page.get_by_label("sorted by").locator("option").all_inner_texts()
    assert sorts == ["channel", "activation", "change"]
    assert page.get_by_label("sorted by").get_attribute("title") is None
    assert page.locator("label", has_text="sorted by").locator("select").evaluate(
        "one => one.title || one.parentNode.title"
    ) == ("Not computed in this study: saturation, settling epoch")
    visited.go("#/map")
    assert "Not computed in this study: the projection" in page.locator("main").inner_text()
    visited.go("#/unit/clrjit/1/layer1/3")
    assert "Not computed in this study: the natural images" in page.locator("main").inner_text()
    visited.go("#/about")
    lacking = "saturation of colours, settling epochs, top natural images, partners in other networks, "
    lacking += "modes of units, map"
    assert lacking in page.locator("main").inner_text()
    page.close()
    served.stop()
    assert visited.problems == []
