"""How a stage ends: by an interrupt, whatever a library makes of it, or by an error."""

import contextlib
import os
import shutil
import signal
from pathlib import Path

import pytest

import stages
from protoviz.config import params
from protoviz.errors import StudyError
from protoviz.pipeline import study_files
from stages import domain

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def handlers():
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Run a function as a stage, with the default parameters; its exit status."""
    shutil.copy(ROOT / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["stage"])

    def run(main):
        with pytest.raises(SystemExit) as end:
            stages.run_stage(main)
        return end.value.code

    return run


def interrupted(number):
    os.kill(os.getpid(), number)


def swallowed(number):
    """As torch's C++ does: the interrupt is gone, and an error of another kind is there."""
    with contextlib.suppress(KeyboardInterrupt):
        os.kill(os.getpid(), number)
    raise ValueError("could not determine the shape of object type 'torch.storage.UntypedStorage'")


def explained(number):
    try:
        os.kill(os.getpid(), number)
    except KeyboardInterrupt as error:
        raise StudyError("file", expected="all", found="half", remedy="make it again") from error


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("way", [interrupted, swallowed, explained])
def test_an_interrupt_ends_with_130_and_without_a_word(run, capsys, way, number):
    assert run(lambda _: way(number)) == 130
    assert capsys.readouterr().err == ""


def test_bad_input_is_told_in_one_line(run, capsys):
    def main(_):
        raise StudyError("file", expected="all", found="half", remedy="make it again")

    assert run(main) == 1
    assert capsys.readouterr().err.startswith("file: expected all, found half")


def test_a_study_may_be_without_study_b(run, capsys):
    values = params.read(ROOT / "params.yaml")
    study_files.write(Path("params.yaml"), study_files.yaml({**values, "training_stages": None}))
    assert run(domain.main) == 1
    said = capsys.readouterr().err
    assert "expected a study with `training_stages`, found none in params.yaml; leave this stage out" in said
    assert params.load("params.yaml").training_stages is None


def test_an_error_of_ours_is_shown_whole(run):
    def main(_):
        raise ValueError("ours")

    with pytest.raises(ValueError, match="ours"):
        run(main)


def test_what_the_caller_ignores_stays_ignored(run):
    """As in the background of a script, where Ctrl-C is for the script."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def main(_):
        os.kill(os.getpid(), signal.SIGINT)
        raise StudyError("it", expected="to go on", found="that", remedy="nothing")

    assert run(main) == 1
