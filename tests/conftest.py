"""The order of the tests, their random numbers, one thread, a browser, and a process that forks programs.

There is one browser for all tests of a process: Playwright runs once in one or not at all.
"""

import contextlib
import os
import shutil
import signal
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from protoviz import machine
from protoviz.pipeline import executor
from tests.reference import forked

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    # A shell starts what runs in its background so that Ctrl-C is ignored, by all that this starts, too.
    # Tests that press it would wait for ever.
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Tests run side by side: with more threads, those that wait for each other would keep others from the cores.
torch.set_num_threads(1)

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
]


# A stage's tasks run in the stage itself, as under `make repro`, where a test does not ask for workers: these
# take seconds to start.
os.environ.setdefault(executor.WORKERS, "1")

_open = contextlib.ExitStack()


def pytest_configure() -> None:
    """One zygote for all tests side by side: those who started us may have it already."""
    if forked.ADDRESS not in os.environ:
        _open.enter_context(forked.process())


def pytest_unconfigure() -> None:
    _open.close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow tests first: side by side, no process is left alone with them at the end."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: some tests wait for what they have started."""
    return machine.cores() + 1


def pytest_runtest_setup() -> None:
    """Random numbers that a test draws without a seed of its own are the same in every run."""
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """A test leaves torch its one thread: those after it would be slow with more, and round differently."""
    assert torch.get_num_threads() == 1
    yield
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    assert threads == 1


@pytest.fixture(scope="session")
def zygote() -> forked.Zygote:
    """What Python programs are forked from; it imports their libraries when the first one is."""
    return forked.Zygote()


@pytest.fixture
def forked_workers(zygote: forked.Zygote, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Python programs that a test starts, workers as well, are forked without being told."""
    for name, value in zygote.serving(os.environ).items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="session")
def playwright() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as running:
        yield running


@pytest.fixture(scope="session")
def chromium(playwright: Any) -> Iterator[Any]:
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
    yield browser
    browser.close()
