"""Outputs are whole or absent; errors are one line."""

import errno
import pickle
import shutil
from pathlib import Path

import pytest

from protoviz import files
from protoviz.errors import StudyError


def test_file_appears_when_it_is_complete(tmp_path):
    with files.complete(tmp_path / "new" / "a.txt") as partial:
        partial.write_text("whole")
        assert not (tmp_path / "new" / "a.txt").exists()
    assert (tmp_path / "new" / "a.txt").read_text() == "whole"
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["a.txt"]


def test_directory_replaces_what_stood_there(tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "old").write_text("")
    with files.complete(tmp_path / "d") as partial:
        partial.mkdir()
        (partial / "new").write_text("")
    assert [p.name for p in (tmp_path / "d").iterdir()] == ["new"]


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt()])
def test_failure_leaves_the_old_output_and_nothing_else(tmp_path, error):
    (tmp_path / "a").write_text("old")

    def write_half() -> None:
        with files.complete(tmp_path / "a") as partial:
            partial.write_text("half")
            raise error

    with pytest.raises(type(error)):
        write_half()
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_text() == "old"


def test_full_disk_is_one_clear_line(tmp_path):
    with (
        pytest.raises(StudyError, match="expected a disk with room") as caught,
        files.complete(tmp_path / "a"),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_space_is_checked_before_the_work(tmp_path):
    files.require_space(tmp_path / "not" / "yet", 1)
    free = shutil.disk_usage(tmp_path).free
    with pytest.raises(StudyError, match=r"expected [\d,]+ MB of free disk, found [\d,]+ MB"):
        files.require_space(tmp_path, 10 * free)


def test_json_and_csv_round_trip(tmp_path):
    files.write_json(tmp_path / "a.json", {"x": [1, 2.5, None]})
    assert files.read_json(tmp_path / "a.json") == {"x": [1, 2.5, None]}
    files.write_csv(tmp_path / "a.csv", [{"run": 1, "loss": 0.5}])
    assert (tmp_path / "a.csv").read_text() == "run,loss\n1,0.5\n"
    assert files.read_csv(tmp_path / "a.csv") == [{"run": "1", "loss": "0.5"}]


def test_json_refuses_nan_and_leaves_nothing(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(tmp_path / "a.json", float("nan"))
    assert not list(tmp_path.iterdir())


def test_missing_and_damaged_json(tmp_path, monkeypatch):
    """A study that `protoviz init` has made has no Makefile."""
    for command, folder in (("make repro", Path(__file__).parents[1]), ("protoviz repro", tmp_path)):
        monkeypatch.chdir(folder)
        with pytest.raises(StudyError, match=f"found nothing; run `{command}`"):
            files.read_json(tmp_path / "none")
    (tmp_path / "bad").write_text("{")
    with pytest.raises(StudyError, match="expected JSON"):
        files.read_json(tmp_path / "bad")


def test_error_has_four_parts_and_survives_another_process():
    error = StudyError("here", expected="this", found="that", remedy="do it")
    assert str(error) == "here: expected this, found that; do it"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_what_is_optional_is_there_as_a_whole_or_not_at_all(tmp_path):
    names = [tmp_path / name for name in ("a.json", "b.json")]
    assert files.all_or_none(names) == []
    assert files.all_or_none([]) == []
    names[1].touch()
    with pytest.raises(StudyError, match=r"a\.json: expected a file made by an earlier stage"):
        files.all_or_none(names)
    names[0].touch()
    assert files.all_or_none(map(str, names)) == names
