"""Which file is of which epoch."""

import re
from pathlib import Path

import pytest

from protoviz.errors import StudyError
from protoviz.notebook.series import files_by_epoch


@pytest.fixture
def folder(tmp_path):
    names = ("a/epoch_0000.pt", "a/epoch_0010.pt", "a/epoch_0002.pt", "a/epoch_best.pt", "a/epoch_1.pt.bak")
    for name in (*names, "b1/at-1.pt", "b2/at-2.pt", "b2/at-3.pt", "two/e1.pt", "two/e01.pt", "c[0]/e5.pt"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    return tmp_path


def test_a_pattern(folder):
    found = files_by_epoch(folder / "a" / "epoch_{epoch}.pt")
    assert found == {epoch: folder / "a" / f"epoch_{epoch:04d}.pt" for epoch in (0, 2, 10)}
    assert list(found) == [0, 2, 10]
    assert list(files_by_epoch(str(folder / "a/epoch_{epoch}.pt"), epochs=[10, 0])) == [0, 10]


def test_a_pattern_with_the_epoch_in_a_folder_and_twice(folder):
    assert list(files_by_epoch(folder / "b{epoch}" / "at-{epoch}.pt")) == [1, 2]
    assert list(files_by_epoch(folder / "c[0]" / "e{epoch}.pt")) == [5], "brackets are no pattern"


def test_a_relative_pattern(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert files_by_epoch("a/epoch_{epoch}.pt")[2] == Path("a/epoch_0002.pt")


def test_mappings_and_lists(folder):
    first, last = folder / "a" / "epoch_0000.pt", str(folder / "a" / "epoch_0010.pt")
    assert files_by_epoch({7: last, 0: first}) == {0: first, 7: Path(last)}
    assert files_by_epoch([last, first], epochs=range(8, 6, -1)) == {7: first, 8: Path(last)}
    assert files_by_epoch({7: last, 0: first}, epochs=[7]) == {7: Path(last)}


REFUSED = {
    "no pattern": (("a/epoch_1.pt",), "pattern: expected a mapping epoch -> file"),
    "no file": (("a/no_{epoch}.pt",), "a/no_{epoch}.pt: expected checkpoints, found no file of such a name"),
    "two of one": (
        ("two/e{epoch}.pt",),
        "epoch 1 of run 0: expected one file, found two/e01.pt and two/e1.pt",
    ),
    "two networks": (("b{run}/at-{epoch}.pt",), "expected one condition and one run, found run 1, run 2"),
    "no such epoch": (("a/epoch_{epoch}.pt", [0, 3]), "epoch 3: expected one of 0, 2, 10"),
    "none of a list": ((["a/epoch_0000.pt"],), "epochs: expected one for each of 1 files"),
    "too few": ((["x", "y"], [1]), "epochs: expected one for each of 2 files, no two alike, found [1]"),
    "alike": ((["x", "y"], [1, 1]), "no two alike"),
    "gone": (({3: "x.pt"},), "epoch 3: expected a file, found nothing at x.pt"),
    "empty": (({},), "epochs: expected at least one"),
    "half": (({0.5: "x"},), "epoch: expected a whole number of at least 0, found 0.5"),
    "words": (({"first": "x"},), "found 'first'"),
}


@pytest.mark.parametrize(("arguments", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_wrong_is_named(folder, monkeypatch, arguments, message):
    monkeypatch.chdir(folder)
    with pytest.raises(StudyError, match=re.escape(message)):
        files_by_epoch(*arguments)
