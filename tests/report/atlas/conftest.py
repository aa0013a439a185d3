"""Two atlases of a made-up study, a server, pages of a browser."""

import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from protoviz import layout
from protoviz.report.atlas import serving
from stages import atlas as stage
from tests.reference import atlas as made_up

PATIENCE = 120_000  # ms; where a machine is busy, a test takes long and does not fail

# The address that the page has heard of. A changed one is told it in an event of its own, some time later.
NOTED = """window.noted = location.hash;
addEventListener("hashchange", () => { window.noted = location.hash; });
{
  const { replaceState } = history;
  history.replaceState = (...change) => { // of this, it is told nothing
    replaceState.apply(history, change);
    window.noted = location.hash;
  };
}"""


@dataclass
class Study:
    """Where the made-up study and its atlases lie."""

    folder: Path  # of the stores
    rich: Path  # an atlas with everything, lossless, with a sheet for each unit
    bare: Path  # one that the stage has built, of what it cannot do without, with the repository's parameters


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    folder = tmp_path_factory.mktemp("atlas")
    before = Path.cwd()
    os.chdir(folder)
    try:
        made_up.write_stores()
        made_up.build_rich(folder / "rich")
        stage.main(made_up.study())
    finally:
        os.chdir(before)
    return Study(folder, folder / "rich", folder / layout.ATLAS)


class Served:
    """A folder on a loopback address, while the test runs."""

    def __init__(self, folder: Path) -> None:
        self.server = serving.server(folder, 0)
        self.thread = threading.Thread(
            target=self.server.serve_forever, args=(0.05,)
        )  # s until it sees its end
        self.thread.start()
        self.address = f"http://{serving.LOOPBACK}:{self.server.server_port}/"

    def stop(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture(scope="session")
def rich(study: Study) -> Iterator[str]:
    served = Served(study.rich)
    yield served.address
    served.stop()


@pytest.fixture(scope="session")
def bare(study: Study) -> Iterator[str]:
    served = Served(study.bare)
    yield served.address
    served.stop()


@dataclass
class Visit:
    """A page in the browser, and what went wrong on it."""

    page: Any
    address: str
    problems: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)

    def open(self, hash_: str = "") -> Any:
        """Go to a view and wait until it is there."""
        self.page.goto("about:blank")
        self.page.goto(self.address + hash_)
        self.page.wait_for_function("document.documentElement.dataset.ready")
        self.settle()
        return self.page

    def settle(self) -> None:
        """Wait until the view and its pictures are those that were asked for, and drawn."""
        self.page.evaluate("window.calm = 0")
        self.page.wait_for_function(  # once in a frame; what returned a promise would pass for true
            """() => {
              const { turn, ready } = document.documentElement.dataset;
              const shown = turn === ready && !document.querySelector(".pane.waiting");
              window.calm = shown && window.noted === location.hash ? window.calm + 1 : 0;
              // What has a new size is drawn in the next frame, or asks there to be drawn in the one after.
              return window.calm > 3;
            }"""
        )

    def reach(self, hash_: str) -> None:
        """Wait until the address after # is this one, and settle: the address follows the sliders later."""
        self.page.wait_for_function("hash => location.hash === hash", arg=hash_)
        self.settle()

    def go(self, hash_: str) -> None:
        """Follow a link within the page."""
        turn = self.page.evaluate("document.documentElement.dataset.ready")
        self.page.evaluate("hash => { location.hash = hash; }", hash_)
        self.page.wait_for_function("turn => document.documentElement.dataset.ready !== turn", arg=turn)
        self.settle()


@pytest.fixture
def visit(chromium: Any, rich: str) -> Iterator[Visit]:
    """A page of the rich atlas, on which nothing may go wrong and which asks nobody else for anything."""
    page = chromium.new_page(viewport={"width": 1280, "height": 800})
    visited = watched(page, rich)
    yield visited
    page.close()
    assert visited.problems == []
    assert visited.hosts <= {serving.LOOPBACK, ""}


def failures(request: Any) -> list[str]:
    """What is wrong about a request that has failed: nothing where the page has left what it was for."""
    return [] if request.failure == "net::ERR_ABORTED" else [f"failed: {request.url}: {request.failure}"]


def watched(page: Any, address: str) -> Visit:
    page.set_default_timeout(PATIENCE)
    page.add_init_script(NOTED)
    visited = Visit(page, address)
    page.on("console", lambda message: visited.problems.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: visited.problems.append(str(error)))
    page.on("requestfailed", lambda request: visited.problems.extend(failures(request)))
    page.on("request", lambda request: visited.hosts.add(urlsplit(request.url).hostname or ""))
    return visited
