"""The benchmark of syncing counts every sync, and leaves os.fsync as it was."""

import os

import pytest

from benchmarks import syncing
from protoviz import files


def test_every_sync_is_counted(tmp_path):
    before = os.fsync

    def work():
        files.write_json(tmp_path / "a.json", 1)  # the file and its folder
        with files.complete(tmp_path / "d") as partial:  # a file, two folders, and the one above
            (partial / "inner").mkdir(parents=True)
            (partial / "inner" / "b").write_text("b")

    name, found = syncing.measured("both", work)
    assert (name, found.count) == ("both", 2 + 4)
    assert found.seconds > 0
    assert os.fsync is before


def test_a_failure_leaves_it_as_it_was():
    before = os.fsync
    with pytest.raises(ZeroDivisionError):
        syncing.measured("none", lambda: 1 / 0)
    assert os.fsync is before


def test_states_are_written_one_after_the_other(tmp_path):
    syncing.states(3, 1000, tmp_path)
    assert (tmp_path / "state.ckpt").read_bytes() == bytes([2]) * 1000
