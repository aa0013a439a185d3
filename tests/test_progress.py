"""Progress: lines for logs, with the time left; bars on terminals and in notebooks."""

import itertools
import sys
from importlib.util import find_spec
from types import SimpleNamespace

import pytest

from protoviz import progress


def test_lines_tell_how_far_and_how_long(monkeypatch, capsys):
    clock = itertools.count(0, 8)  # every look at the clock is eight seconds later
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    assert list(progress.track(range(5), "prototypes")) == [0, 1, 2, 3, 4]
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "prototypes: 2 of 5, 24 s left"
    assert lines[-1].startswith("prototypes: done in")


def test_total_is_taken_when_items_cannot_tell(capsys):
    assert sum(progress.track(iter([1, 2]), "steps", 2)) == 3
    assert "steps: done" in capsys.readouterr().err


def test_a_bar_on_a_terminal(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert list(progress.track(range(2), "steps")) == [0, 1]
    assert "steps: 100%" in capsys.readouterr().err


@pytest.mark.skipif(find_spec("ipywidgets") is not None, reason="the bar is then a widget")
def test_a_bar_in_a_notebook(monkeypatch, capsys):
    """As IPython looks to what runs in the kernel of a notebook."""
    shell = SimpleNamespace(config={"IPKernelApp": {}})
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    assert list(progress.track(range(2), "steps")) == [0, 1]
    assert "steps: 100%" in capsys.readouterr().err
    shell.config = {"TerminalIPythonApp": {}}
    assert list(progress.track(range(2), "steps")) == [0, 1]
    assert capsys.readouterr().err == "steps: done in 0 s\n"
