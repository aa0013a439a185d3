"""The rehearsal of a great study goes through, and its straight line is one."""

import sys

import pytest

from benchmarks import rehearsal
from benchmarks.rehearsal import Cost


@pytest.mark.slow
@pytest.mark.usefixtures("forked_workers")
def test_a_small_one_goes_through(tmp_path, capsys):
    few = ("--epochs", "2", "--runs", "1", "--size", "16", "--units", "3")
    rehearsal.main([*few, "--folder", str(tmp_path)])
    printed = capsys.readouterr().out
    for step in (
        *rehearsal.EACH,
        *rehearsal.WHOLE,
        "verify the cube",
        "dvc add",
        "dvc push",
        "GB, and files",
    ):
        assert f"| {step} | " in printed
    assert not list(tmp_path.iterdir())


def test_all_epochs_lie_on_the_line_of_the_last_two():
    found = {
        count: {"even": Cost(5 + 2 * count, 100), "steep": Cost(count**2, 10 * count)} for count in (1, 2, 4)
    }
    even, steep = rehearsal.table(found).splitlines()[2:]
    assert even.endswith("| 207 (100) |")
    assert steep.endswith("| 598 (1,010); grows faster than the epochs |")


def test_the_memory_is_that_of_the_command(tmp_path):
    """Whatever this process holds itself: torch, for one."""
    held = bytearray(400_000_000)
    held[::4096] = b"1" * len(held[::4096])
    small, large = (
        rehearsal.run(tmp_path, sys.executable, "-S", "-c", f"held = b'1' * {count}")
        for count in (1, 300_000_000)
    )
    assert small < 100
    assert 280 < large < 400


def test_what_fails_is_told(tmp_path):
    with pytest.raises(SystemExit, match=r"No module named"):
        rehearsal.run(tmp_path, *rehearsal.stage_of("nothing"))
