"""A stage in a process that has the libraries loaded is the stage that `python -m` runs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from protoviz.pipeline import stage_process
from tests.reference.forked import Zygote

# Runs a command as DVC does, in a process that has imported protoviz from elsewhere, and says how it ended.
DRIVER = """
import os, sys
import protoviz.errors
from dvc.stage import run
from protoviz.pipeline import stage_process
stage_process.Waiting().take_over_from_dvc()
for command in sys.argv[2:]:
    try:
        run._run("/bin/sh", command, cwd=sys.argv[1], env={**os.environ, "DVC_STAGE": "tell"}, close_fds=True)
        print("ended")
    except run.StageCmdFailedError as error:
        print(error)
"""
TELL = """
import json, os, signal, sys
import multiprocessing
import protoviz
told = {
    "argv": sys.argv[1:], "file": sys.argv[0], "name": __name__, "spec": __spec__.name, "folder": os.getcwd(),
    "path": sys.path[0], "stage": os.environ["DVC_STAGE"], "protoviz": protoviz.__file__,
    "main": sys.modules["__main__"].__file__, "interrupt": str(signal.getsignal(signal.SIGINT)),
}
print(json.dumps({"told": told, "process": multiprocessing.current_process().name}), flush=True)
"""
ENDS = """
import os, signal, sys
print("said", flush=True)
if sys.argv[1] == "exit":
    sys.exit(3)
if sys.argv[1] == "message":
    sys.exit("a message")
if sys.argv[1] == "error":
    raise ValueError("an error")
if sys.argv[1] == "interrupt":
    raise KeyboardInterrupt
if sys.argv[1] == "kill":
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A folder with stages, and a protoviz of its own."""
    for package in ("stages", "protoviz"):
        (tmp_path / "study" / package).mkdir(parents=True)
        (tmp_path / "study" / package / "__init__.py").touch()
    (tmp_path / "study" / "stages" / "tell.py").write_text(TELL)
    (tmp_path / "study" / "stages" / "ends.py").write_text(ENDS)
    (tmp_path / "driver.py").write_text(DRIVER)
    return tmp_path / "study"


def drive(study: Path, zygote: Zygote, *commands: str) -> subprocess.CompletedProcess[str]:
    root = str(Path(__file__).parents[2])
    own = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": root}
    program = [sys.executable, str(study.parent / "driver.py"), str(study), *commands]
    return subprocess.run(
        program, cwd="/", env=zygote.serving(own), capture_output=True, text=True, timeout=600
    )


def test_a_stage_finds_what_it_finds_under_python(study: Path, zygote: Zygote) -> None:
    command = "python -m stages.tell clrjit 1"
    made = drive(study, zygote, command, command)
    assert made.returncode == 0, made.stderr
    forked, end, ordinary, _ = made.stdout.splitlines()
    assert end == "ended"
    first, second = json.loads(forked), json.loads(ordinary)
    assert first["told"] == second["told"]
    assert first["told"]["protoviz"] == str(study / "protoviz" / "__init__.py")
    assert first["told"]["argv"] == ["clrjit", "1"]


@pytest.mark.parametrize(
    ("how", "status", "said"),
    [
        ("well", None, ""),
        ("exit", "3", ""),
        ("message", "1", "a message"),
        ("error", "1", "ValueError: an error"),
        ("kill", "137", "Killed"),  # the shell says so
    ],
)
def test_a_stage_ends_as_it_ends_under_python(
    study: Path, zygote: Zygote, how: str, status: str | None, said: str
) -> None:
    command = f"python -m stages.ends {how}"
    made = drive(study, zygote, command, command)
    assert made.returncode == 0, made.stderr
    end = f"failed to run: {command}, exited with {status}" if status else "ended"
    assert made.stdout.splitlines() == ["said", end] * 2
    assert made.stderr.splitlines().count(said) == {"well": 0, "exit": 0, "kill": 1}.get(how, 2)
    assert made.stderr.count("Traceback") == (2 if how == "error" else 0)
    assert "stage_process.py" not in made.stderr


def test_an_interrupted_stage_says_nothing(study: Path, zygote: Zygote) -> None:
    made = drive(study, zygote, "python -m stages.ends interrupt")
    assert "exited with 130" in made.stdout
    assert made.stderr == ""


def test_a_library_that_is_broken_or_missing_keeps_no_stage_from_running(tmp_path: Path) -> None:
    """Only one that needs it, which says so."""
    for broken, why in (
        ("lightly", "RuntimeError('built for another torch')"),
        ("timm", "ImportError('no')"),
    ):
        (tmp_path / f"{broken}.py").write_text(f"raise {why}")
    loading = "import protoviz.pipeline.preloaded, sys; print('pytorch_lightning' in sys.modules)"
    own = {**os.environ, "PYTHONPATH": str(tmp_path)}
    made = subprocess.run([sys.executable, "-c", loading], env=own, capture_output=True, text=True)
    assert (made.stdout, made.stderr) == ("True\n", "")


def test_what_waits_ends_with_the_process_that_it_waits_for(study: Path, zygote: Zygote) -> None:
    assert drive(study, zygote).returncode == 0  # and its output is closed, or this would wait for ever


@pytest.mark.parametrize(
    "command",
    [
        "python work.py",
        "python -m json.tool",
        "python -m stages.train clrjit 1 | tee log",
        "python -m stages.train $RUN",
        "python -m stages.train 'a b'",
        "SEED=1 python -m stages.train",
        "python -m stages.train a\npython -m stages.train b",
    ],
)
def test_any_other_command_is_left_to_dvc(command: str) -> None:
    assert stage_process.module_and_arguments(command) is None
