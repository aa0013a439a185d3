"""How much the page fetches, draws and holds, on an atlas of the size of the full study: 1,152,000 images.

Times are printed and not judged: they tell of the machine and of what else runs there.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import CHROMIUM, QUIET
from tests.reference import atlas_large as large
from tests.report.atlas.conftest import Served, Visit, watched

pytestmark = pytest.mark.slow

# Turn the slider to each of these places, a frame each: how many places, how many were shown, how many tiles
# were drawn for them, seconds.
SCRUB = """async (places) => {
  const slider = document.querySelector("input[type=range]");
  const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
  await frame();
  const start = performance.now();
  const { drawTile } = atlas;
  let [shown, drawn] = [0, 0];
  atlas.drawTile = (...tile) => {
    drawn++;
    drawTile(...tile);
  };
  for (const place of places) {
    slider.value = place;
    slider.dispatchEvent(new Event("input"));
    await frame();
    if (atlas.views.grid.shown()) shown++;
  }
  atlas.drawTile = drawTile;
  return [places.length, shown, drawn, (performance.now() - start) / 1000];
}"""


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("large") / "atlas"
    large.make(folder)
    served = Served(folder)
    yield served.address
    served.stop()
    shutil.rmtree(folder)


@pytest.fixture
def fresh(playwright: Any) -> Iterator[Any]:
    """A browser of its own, whose processes hold nothing else."""
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
    yield browser
    browser.close()


def processor_seconds(browser: Any) -> float:
    """What all processes of the browser have computed so far.

    On a machine with a core to spare, work takes no longer than this; on a busy one it takes as long as the
    others leave it, which tells nothing about the page.
    """
    session = browser.new_browser_cdp_session()
    processes = session.send("SystemInfo.getProcessInfo")["processInfo"]
    session.detach()
    return float(sum(process["cpuTime"] for process in processes))


def page_bytes(browser: Any) -> int:
    """Memory of the process that runs the page, without the program itself, which is mapped from its file."""
    session = browser.new_browser_cdp_session()
    processes = session.send("SystemInfo.getProcessInfo")["processInfo"]
    session.detach()
    sizes = []
    for process in processes:
        if process["type"] == "renderer":
            lines = Path(f"/proc/{process['id']}/status").read_text().splitlines()
            held = {line.split(":")[0]: int(line.split()[1]) for line in lines if line.startswith("Rss")}
            sizes.append(1024 * (held["RssAnon"] + held["RssShmem"]))
    return max(sizes)


def first_view(browser: Any, address: str) -> list[tuple[str, int]]:
    """The files that were fetched until the grid is drawn, with their bytes."""
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto("about:blank")
    fetched: list[tuple[str, int]] = []
    page.on("response", lambda one: fetched.append((one.url, int(one.headers.get("content-length", 0)))))
    before = processor_seconds(browser)
    page.goto(address)
    page.wait_for_function(
        "typeof atlas !== 'undefined' && atlas.views?.grid?.shown() && document.querySelector('.pane canvas')"
    )
    seconds, needed = page.evaluate("performance.now() / 1000"), list(fetched)
    computed = processor_seconds(browser) - before
    page.close()
    size = sum(one for _, one in needed)
    print(f"first view: {seconds:.2f} s, {computed:.2f} computed; {len(needed)} files, {size / 1e6:.2f} MB")
    return needed


@pytest.mark.parametrize("which", ["rich", "bare", "big"])
def test_first_view_is_small(fresh: Any, request: pytest.FixtureRequest, which: str) -> None:
    """Also of an atlas as large as that of the full study, below 1 MB."""
    address = request.getfixturevalue(which)
    for fetched in [first_view(fresh, address) for _ in range(3)]:
        assert fetched[0][0] == address
        sheets = [one for one in fetched if "/sheets/" in one[0]]
        assert sheets[0][0].endswith("layer1.webp")
        needed = [
            one for one in fetched if one not in sheets[1:]
        ]  # the others are epochs that are loaded ahead
        print(f"needed: {len(needed)} files, {sum(size for _, size in needed) / 1e6:.2f} MB")
        assert len(needed) < 25
        assert 100_000 < sum(size for _, size in needed) < 1e6


@pytest.mark.parametrize("layer", ["layer1", "layer3"])
def test_scrubbing_shows_an_epoch_in_every_frame_and_draws_it_once(fresh: Any, big: str, layer: str) -> None:
    page = fresh.new_page(viewport={"width": 1280, "height": 800})
    visited: Visit = watched(page, big)
    visited.open(f"#/grid/clrjit/1/0/40/{layer}")
    ahead = """layer => [39, 41].every((epoch) => atlas.sheets.peek(atlas.study.sheet(
      { condition: "clrjit", run: 1, repeat: 0, epoch, layer })))"""
    page.wait_for_function(ahead, arg=layer)
    for _ in range(3):
        before = processor_seconds(fresh)
        asked, shown, drawn, seconds = page.evaluate(SCRUB, [41, 40, 39, 40] * 10)
        computed = processor_seconds(fresh) - before
        print(f"{layer}: {asked / seconds:.0f} epochs a second, {asked / computed:.0f} of a processor")
        assert shown == asked  # neighbours were loaded ahead
        assert asked <= drawn <= asked * large.LAYERS[layer]
    assert visited.problems == []


def test_memory_is_bounded_whatever_is_looked_at(fresh: Any, big: str) -> None:
    page = fresh.new_page(viewport={"width": 1280, "height": 800})
    visited = watched(page, big)
    visited.open("#/grid")
    most = 0
    for layer, condition, run in (("layer1", "clrjit", 1), ("layer4", "keepclr", 2), ("layer4", "clrjit", 3)):
        visited.go(f"#/grid/{condition}/{run}/0/50/{layer}?with=keepclr/{run}/1/50")
        page.evaluate(SCRUB, list(range(0, 100, 8)))
        page.wait_for_function("atlas.views.grid.shown()")
        most = max(most, page_bytes(fresh))
        visited.go(f"#/unit/{condition}/{run}/{layer}/0")
        most = max(most, page_bytes(fresh))
        assert page.evaluate("atlas.sheets.held()") <= 64e6
    print(f"at most {most / 1e6:.0f} MB")
    assert 64e6 < most < 300e6
    assert visited.problems == []


# Of four sheets three can be kept: the first comes first, yet is expected again before the fourth comes.
KEPT = """async () => {
  const sheets = [0, 1, 2, 3].map((epoch) =>
    atlas.study.sheet({ condition: "clrjit", run: 1, repeat: 0, epoch, layer: "layer4" }));
  for (const sheet of sheets.slice(0, 3)) await atlas.sheets.get(sheet);
  atlas.sheets.expect([sheets[0]], []);
  await atlas.sheets.get(sheets[3]);
  return sheets.map((sheet) => Boolean(atlas.sheets.peek(sheet)));
}"""


def test_what_is_expected_is_let_go_last(fresh: Any, big: str) -> None:
    visited = watched(fresh.new_page(), big)
    page = visited.open("#/about")
    assert page.evaluate(KEPT) == [True, False, True, True]
    assert visited.problems == []
