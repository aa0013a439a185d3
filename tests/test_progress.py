"""Progress: lines for logs, with the time left."""

import itertools

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
