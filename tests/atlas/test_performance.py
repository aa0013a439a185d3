"""How fast and how large the page is, on an atlas of the size of the full study: 1,152,000 prototypes."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.atlas.conftest import CHROMIUM, QUIET, Served, Visit, watched
from tests.reference import atlas_large as large

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("pipeline")]

# Turn the slider to each of these places in turn, a frame each; seconds that it took, and frames that were late.
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
def fresh() -> Iterator[Any]:
    """A browser of its own, whose processes hold nothing else."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


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


def test_first_view_is_fast_and_small(fresh: Any, big: str) -> None:
    page = fresh.new_page(viewport={"width": 1280, "height": 800})
    sizes: dict[str, int] = {}
    page.on(
        "response", lambda response: sizes.setdefault(response.url, int(response.headers["content-length"]))
    )
    page.goto(big)
    page.wait_for_function("window.atlas || document.documentElement.dataset.ready")
    page.wait_for_function("atlas.views.grid.shown()")
    seconds = page.evaluate("performance.now() / 1000")
    first = [size for url, size in sizes.items() if "/sheets/" not in url or "/0/99/" in url]
    print(f"first view: {seconds:.2f} s, {sum(first) / 1e6:.2f} MB")
    assert seconds < 2
    assert sum(first) < 1e6


@pytest.mark.parametrize("layer", ["layer1", "layer3"])
def test_scrubbing_shows_twenty_epochs_a_second(fresh: Any, big: str, layer: str) -> None:
    page = fresh.new_page(viewport={"width": 1280, "height": 800})
    visited: Visit = watched(page, big)
    visited.open(f"#/grid/clrjit/1/0/40/{layer}")
    page.wait_for_function(
        "epoch => [39, 41].every((one) => atlas.sheets.peek(atlas.study.sheet({condition: 'clrjit', run: 1, repeat: 0, epoch: one, layer: epoch})))",
        arg=layer,
    )
    asked, shown, seconds = page.evaluate(SCRUB, [41, 40, 39, 40] * 10)
    print(f"{layer}: {asked / seconds:.0f} epochs a second, {shown} of {asked} shown")
    assert asked / seconds >= 20
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
            assert held <= 56e6
    print(f"at most {most / 1e6:.0f} MB")
    assert most < 300e6
    assert visited.problems == []
