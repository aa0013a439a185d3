"""Checkpoints by a pattern: which there are, and what is wrong with them."""

import pytest

from protoviz.errors import StudyError
from protoviz.models import series


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def touch(*names):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()

    return touch


def test_conditions_runs_and_epochs(folder):
    folder(*(f"runs/{c}/seed{r}/checkpoint-{e}.pt" for c in ("a", "b") for r in (1, 2) for e in (0, 5, 10)))
    folder("runs/a/seed1/last.pt", "runs/a/seed1/checkpoint-best.pt", "runs/a/notes/checkpoint-3.pt")
    found = series.files("runs/{condition}/seed{run}/checkpoint-{epoch}.pt")
    assert list(found) == [("a", 1), ("a", 2), ("b", 1), ("b", 2)]
    assert all(list(epochs) == [0, 5, 10] for epochs in found.values())
    assert str(found["b", 2][5]) == "runs/b/seed2/checkpoint-5.pt"


def test_epochs_are_numbers_whatever_their_width(folder):
    folder("epoch=02-step=30.ckpt", "epoch=10-step=150.ckpt")
    found = series.files("epoch={epoch}-step=*.ckpt")
    assert list(found["", 0]) == [2, 10]


def test_an_absolute_pattern(folder, tmp_path):
    folder("a/0.pt")
    assert series.files(f"{tmp_path}/{{condition}}/{{epoch}}.pt") == {("a", 0): {0: tmp_path / "a/0.pt"}}


def test_brackets_are_no_pattern(folder):
    folder("c[0]/e5.pt", "c0/e6.pt")
    assert list(series.files("c[0]/e{epoch}.pt")["", 0]) == [5]


def test_a_name_that_stands_twice_is_the_same(folder):
    folder("a/a_0.pt", "a/b_0.pt")
    assert list(series.files("{condition}/{condition}_{epoch}.pt")["a", 0]) == [0]


def test_two_files_of_one_epoch_are_named(folder):
    folder("epoch=2-step=30.ckpt", "epoch=2-step=31.ckpt")
    with pytest.raises(StudyError, match=r"epoch 2 of run 0: .*step=30\.ckpt and .*step=31\.ckpt"):
        series.files("epoch={epoch}-step=*.ckpt")


def test_no_file_at_all(folder):
    folder("a.pt")
    with pytest.raises(StudyError, match="no file of such a name"):
        series.files("runs/{epoch}.pt")


@pytest.mark.parametrize("named", ["{condition}-{run}-{epoch}.pt", {0: "{condition}-{run}-0.pt", 2: "x.pt"}])
def test_a_missing_epoch_is_named(folder, named):
    folder("a-1-0.pt", "a-2-0.pt", "a-2-2.pt", "b-1-2.pt")
    assert str(series.chosen(named, "a", 1, [0])[0]) == "a-1-0.pt"
    with pytest.raises(StudyError, match=r"checkpoints of a run 1: .*none of epoch 2;"):
        series.chosen(named, "a", 1, [0, 2])
