"""Outputs are whole or absent; errors are one line."""

import errno
import functools
import os
import pickle
import re
import shutil
from pathlib import Path

import pytest

from protoviz import files
from protoviz.errors import StudyError
from tests.reference.power import Cut, Recorder


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


def states(recorder):
    """What may be on the disk after a cut at each moment, in every way."""
    for number, moment in enumerate(recorder.moments):
        for state in (Cut.forgetful(moment), Cut.names_first(moment), Cut.mixed(moment, number)):
            yield {path: content for path, content in state.items() if ".partial" not in path}


def test_after_a_power_cut_a_file_is_the_old_or_the_new_one(tmp_path):
    (tmp_path / "a").write_text("old")
    with Recorder(tmp_path, (".",)) as recorder, files.complete(tmp_path / "a") as path:
        path.write_text("new")
    found = [state["a"] for state in states(recorder)]
    assert set(found) == {b"old", b"new"}
    assert found[-3:] == [b"new"] * 3  # once the block has ended


def test_after_a_power_cut_a_directory_is_old_new_or_absent(tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "one").write_text("old")
    (tmp_path / "d" / "two").write_text("old")
    with Recorder(tmp_path, (".",)) as recorder, files.complete(tmp_path / "d") as partial:
        (partial / "inner").mkdir(parents=True)
        (partial / "inner" / "three").write_text("new")
        (partial / "one").write_text("new")
        (partial / "link").symlink_to("nowhere")
    old = {"d": None, "d/one": b"old", "d/two": b"old"}
    new = {"d": None, "d/inner": None, "d/inner/three": b"new", "d/one": b"new", "d/link": b"nowhere"}
    found = list(states(recorder))
    assert all(state in (old, new, {}) for state in found)
    assert found[-3:] == [new] * 3
    assert old in found


def test_a_new_folder_is_on_the_disk_with_all_above_it(tmp_path):
    with Recorder(tmp_path, (".",)) as recorder:
        files.write_json(tmp_path / "a" / "b" / "c.json", 1)
        files.make_folder(tmp_path / "a" / "d" / "e")
    last = Cut.forgetful(recorder.moments[-1])
    assert last == {"a": None, "a/b": None, "a/b/c.json": b"1\n", "a/d": None, "a/d/e": None}


def test_claims_are_on_the_disk_and_off_it(tmp_path):
    with Recorder(tmp_path, (".",)) as recorder:
        files.claim(tmp_path / "done")
        recorder.note("claimed")
        files.revoke(tmp_path / "done")
        files.revoke(tmp_path / "done")
    claimed = next(moment for moment in recorder.moments if moment.said == "claimed")
    assert Cut.forgetful(claimed) == {"done": b""}
    assert Cut.forgetful(recorder.moments[-1]) == {}


def test_the_recorder_sees_what_is_not_synced(tmp_path):
    """What the tests of power cuts rest on."""
    with Recorder(tmp_path, (".",)) as recorder:
        (tmp_path / "b").write_text("new")
        (tmp_path / "b").rename(tmp_path / "a")
        recorder.note("renamed")
        with open(tmp_path / "a") as file:
            os.fsync(file.fileno())
    renamed = next(moment for moment in recorder.moments if moment.said == "renamed")
    assert Cut.forgetful(renamed) == {}
    assert Cut.names_first(renamed) == {"a": b""}
    mixed = [Cut.mixed(renamed, seed) for seed in range(50)]
    assert {state.get("a") for state in mixed} == {None, b"", b"n", b"new"}
    last = recorder.moments[-1]
    assert Cut.forgetful(last) == {}  # its folder has not been synced
    assert Cut.names_first(last) == {"a": b"new"}


def test_a_file_system_that_cannot_sync_folders_is_no_error(tmp_path, monkeypatch):
    def refuse(number, _descriptor):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", functools.partial(refuse, errno.EINVAL))
    files.write_json(tmp_path / "a.json", 1)
    monkeypatch.setattr(os, "fsync", functools.partial(refuse, errno.ENOSPC))
    with pytest.raises(StudyError, match="expected a disk with room"):
        files.write_json(tmp_path / "a.json", 2)
    assert files.read_json(tmp_path / "a.json") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_nobody_else_renames():
    """So that there is one place to look whether what has a name is on the disk."""
    top = Path(files.__file__).parent
    renaming = re.compile(r"os\.(replace|rename)|shutil\.move|Path\(.*\)\.rename")
    sources = [*top.rglob("*.py"), *(top.parent / "stages").glob("*.py")]
    assert [path.name for path in sources if renaming.search(path.read_text())] == ["files.py"]
