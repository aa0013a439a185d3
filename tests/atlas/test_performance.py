"""How fast and how large the page is, on an atlas of the size of the full study: 1,152,000 prototypes."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.atlas.conftest import Served, Visit, watched
from tests.conftest import CHROMIUM, QUIET
from tests.reference import atlas_large as large

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("pipeline")]

# Turn the slider to each of these places, a frame each: how many places, how many were shown, seconds.
SCRUB = """async (places) => {
  const slider = document.querySelector("input[type=range]");
  const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
  await frame();
  const start = performance.now();
  let shown = 0;
  for (const place of places) {
    slider.value = place;
    slider.dispatchEvent(new Event("input"));
    await frame();
    if (atlas.views.grid.shown()) shown++;
  }
  return [places.length, shown, (performance.now() - start) / 1000];
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


def in_time(limit: float, seconds: float) -> bool:
    """Whether it took so long at most, where the machine has a core to spare; a busy one tells nothing."""
    return seconds < limit or os.getloadavg()[0] > (os.cpu_count() or 1) - 1


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


def first_view(browser: Any, address: str) -> tuple[float, float]:
    """Seconds until the grid is drawn, and the bytes that this took."""
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    sizes: list[int] = []
    page.on("response", lambda response: sizes.append(int(response.headers.get("content-length", 0))))
    page.goto(address)
    page.wait_for_function(
        "typeof atlas !== 'undefined' && atlas.views?.grid?.shown() && document.querySelector('.pane canvas')"
    )
    seconds = page.evaluate("performance.now() / 1000")
    fetched = sum(sizes)
    page.close()
    print(f"first view: {seconds:.2f} s, {fetched / 1e6:.2f} MB")
    return seconds, fetched


def test_first_view_is_fast_and_small(fresh: Any, rich: str) -> None:
    seconds, fetched = first_view(fresh, rich)
    assert in_time(2, seconds)
    assert fetched < 1e6


def test_first_view_of_the_full_study(fresh: Any, big: str) -> None:
    """64 units of 96 px of noisier images than real ones: beyond 1 MB, within some seconds all the same."""
    seconds, fetched = first_view(fresh, big)
    assert in_time(4, seconds)
    assert fetched < 5e6  # epochs that are loaded ahead included


@pytest.mark.parametrize("layer", ["layer1", "layer3"])
def test_scrubbing_shows_twenty_epochs_a_second(fresh: Any, big: str, layer: str) -> None:
    page = fresh.new_page(viewport={"width": 1280, "height": 800})
    visited: Visit = watched(page, big)
    visited.open(f"#/grid/clrjit/1/0/40/{layer}")
    ahead = """layer => [39, 41].every((epoch) => atlas.sheets.peek(atlas.study.sheet(
      { condition: "clrjit", run: 1, repeat: 0, epoch, layer })))"""
    page.wait_for_function(ahead, arg=layer)
    asked, shown, seconds = page.evaluate(SCRUB, [41, 40, 39, 40] * 10)
    print(f"{layer}: {asked / seconds:.0f} epochs a second, {shown} of {asked} shown")
    assert in_time(asked / 20, seconds)
    assert shown == asked  # neighbours were loaded ahead
    assert visited.problems == []


def test_memory_is_bounded_whatever_is_looked_at(fresh: Any, big: str) -> None:
    page = fresh.new_page(viewport={"width": 1280, "height": 800})
    visited = watched(page, big)
    visited.open("#/grid")
    most = 0
    for layer in large.LAYERS:
        for condition, run in (("clrjit", 1), ("keepclr", 2), ("clrjit", 3)):
            visited.go(f"#/grid/{condition}/{run}/0/50/{layer}?with=keepclr/{run}/1/50")
            page.evaluate(SCRUB, list(range(0, 100, 4)))
            page.wait_for_function("atlas.views.grid.shown()")
            most = max(most, page_bytes(fresh))
            visited.go(f"#/unit/{condition}/{run}/{layer}/16")
            most = max(most, page_bytes(fresh))
            held = page.evaluate("atlas.sheets.held()")
            assert held <= 48e6
    print(f"at most {most / 1e6:.0f} MB")
    assert most < 300e6
    assert visited.problems == []
