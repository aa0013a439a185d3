"""The parallel driver on a small pipeline of real DVC stages.

All but one are started as the study's are, so that the driver runs them in processes that have loaded the
libraries, and `dvc repro` in others.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from dvc.utils.serialize import dumps_yaml, loads_yaml
from ruamel.yaml import YAML

from tests.reference.forked import Zygote

ROOT = Path(__file__).parents[2]

# first -> middle@a, middle@b, middle@c -> last; `alone` needs nothing.
PIPELINE = """
stages:
  first:
    cmd: python -m stages.work first
    deps: [stages/work.py, input.txt]
    outs: [first.txt]
  middle:
    matrix: {item: [a, b, c]}
    cmd: python -m stages.work middle-${item.item} first
    deps: [stages/work.py, first.txt]
    outs: ["middle-${item.item}.txt"]
  last:
    cmd: python -m stages.work last middle-a middle-b middle-c
    deps: [stages/work.py, middle-a.txt, middle-b.txt, middle-c.txt]
    outs: [last.txt]
  alone:
    cmd: python stages/work.py alone
    deps: [stages/work.py]
    outs: [alone.txt]
"""

# Notes when it starts and ends, and writes its name and what it has read.
WORK = """
import os, pathlib, sys, time
name, *needs = sys.argv[1:]
def note(what):
    with open("../log.txt", "a") as log:
        log.write(f"{time.monotonic()} {what} {name} {os.getpid()}\\n")
note("start")
text = pathlib.Path("input.txt").read_text() if name == "first" else ""
print("hello from", name)
if pathlib.Path("../broken.txt").exists() and name in pathlib.Path("../broken.txt").read_text():
    sys.exit(f"{name} cannot work")
time.sleep(float(os.environ.get("WORK_SECONDS", "0")))
deadline = time.monotonic() + 600  # these two only end together, where they are told to meet
while name in ("middle-a", "middle-b") and "MEET" in os.environ:
    if all(f"start {other} " in open("../log.txt").read() for other in ("middle-a", "middle-b")):
        break
    if time.monotonic() > deadline:
        sys.exit(f"{name} is alone")
    time.sleep(0.05)
text = name + text + "".join(pathlib.Path(f"{need}.txt").read_text() for need in needs)
pathlib.Path(f"{name}.txt").write_text(text)
note("end")
"""

ALL = {"first", "middle-a", "middle-b", "middle-c", "last", "alone"}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A repository with the pipeline and valid parameters."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "dvc.yaml").write_text(PIPELINE)
    (folder / "stages").mkdir()
    (folder / "stages" / "__init__.py").touch()
    (folder / "stages" / "work.py").write_text(WORK)
    (folder / "input.txt").write_text("1")
    shutil.copy(ROOT / "params.yaml", folder)
    shutil.copytree(ROOT / ".dvc", folder / ".dvc", ignore=shutil.ignore_patterns("tmp", "cache"))
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    return folder


def environment(folder: Path) -> dict[str, str]:
    own = {
        "PYTHONPATH": str(ROOT),
        "DVC_SITE_CACHE_DIR": str(folder.parent / "site"),
        "DVC_NO_ANALYTICS": "1",
    }
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, **own, "PATH": path}


Repro = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def repro(zygote: Zygote) -> Repro:
    def run(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "protoviz", "repro", *arguments]
        own = zygote.serving({**environment(folder), **variables})
        return subprocess.run(command, cwd=folder, env=own, capture_output=True, text=True, timeout=1200)

    return run


def log(folder: Path) -> list[tuple[float, str, str]]:
    path = folder.parent / "log.txt"
    lines = path.read_text().splitlines() if path.exists() else []
    return [(float(seconds), what, name) for seconds, what, name, _ in map(str.split, lines)]


def ran(folder: Path) -> list[str]:
    """The stages that ran since the last call, in the order in which they started."""
    names = [name for _, what, name in log(folder) if what == "start"]
    (folder.parent / "log.txt").unlink(missing_ok=True)
    return names


def locked(folder: Path) -> dict[str, object]:
    return dict(YAML(typ="safe").load(folder / "dvc.lock")["stages"])


def test_it_runs_all_in_order_and_side_by_side_and_then_nothing(project: Path, repro: Repro) -> None:
    result = repro(project, "-j", "2", MEET="yes")
    assert result.returncode == 0, result.stdout + result.stderr
    at = {(what, name): seconds for seconds, what, name in log(project)}
    assert {name for _, name in at} == ALL
    for middle in ("middle-a", "middle-b", "middle-c"):
        assert at["end", "first"] < at["start", middle]
        assert at["end", middle] < at["start", "last"]
    together = [sum(at["start", a] <= at["start", b] < at["end", a] for a in ALL) for b in ALL]
    assert max(together) == 2  # never three
    assert "first | hello from first" in result.stdout
    assert "[stage 6 of 6 done]" in result.stdout
    assert "[stage 3 of 6 done, about " in result.stdout
    assert "Running stage" not in result.stdout
    assert list(locked(project)) == ["first", "middle@a", "middle@b", "middle@c", "last", "alone"]

    ran(project)
    again = repro(project)
    assert again.returncode == 0, again.stderr
    assert "Nothing to run" in again.stdout
    assert ran(project) == []


def test_it_runs_only_what_is_stale(project: Path, repro: Repro) -> None:
    assert repro(project, "-j", "3").returncode == 0
    ran(project)
    (project / "middle-b.txt").unlink()
    (project / ".dvc" / "cache").rename(project.parent / "lost")
    assert repro(project).returncode == 0
    assert "middle-b" in ran(project)

    (project / "input.txt").write_text("2")
    assert repro(project).returncode == 0
    names = ran(project)
    assert names[0] == "first"
    assert names[-1] == "last"
    assert set(names) == ALL - {"alone"}


def test_the_result_is_that_of_serial_dvc(project: Path, repro: Repro, zygote: Zygote) -> None:
    serial = project.parent / "serial"
    shutil.copytree(project, serial)
    assert repro(project, "-j", "3").returncode == 0
    own = zygote.serving(environment(serial))
    subprocess.run(["dvc", "repro"], cwd=serial, env=own, check=True, capture_output=True)
    assert (project / "dvc.lock").read_text() == (serial / "dvc.lock").read_text()


def test_dvc_lock_is_what_dvc_makes_of_its_content() -> None:
    """It has no comments and no form of its own, which `dvc_lock.change_quickly` would drop."""
    text = (ROOT / "dvc.lock").read_text()
    assert text == dumps_yaml(loads_yaml(text))


def test_dvc_changes_its_lock_file_quickly_and_other_files_with_their_comments(tmp_path: Path) -> None:
    changing = """
from dvc import dvcfile
from dvc.fs import localfs
from protoviz.pipeline import dvc_lock
dvc_lock.change_quickly()
for name in ("dvc.lock", "dvc.yaml", "other/dvc.lock"):
    with dvcfile.modify_yaml(name, fs=localfs) as content:
        content["stages"] = {**content.get("stages", {}), "new": {"cmd": name}}
"""
    (tmp_path / "other").mkdir()
    for name in ("dvc.lock", "dvc.yaml"):
        (tmp_path / name).write_text("stages:\n  old:  # of which more\n    cmd: nothing\n")
    own = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", changing], cwd=tmp_path, env=own, check=True)
    plain = "stages:\n  old:\n    cmd: nothing\n  new:\n    cmd: dvc.lock\n"
    assert (tmp_path / "dvc.lock").read_text() == plain
    kept = "stages:\n  old:  # of which more\n    cmd: nothing\n  new:\n    cmd: dvc.yaml\n"
    assert (tmp_path / "dvc.yaml").read_text() == kept
    assert (tmp_path / "other" / "dvc.lock").read_text() == "stages:\n  new:\n    cmd: other/dvc.lock\n"


def test_a_failed_stage_is_named_and_what_is_done_is_kept(project: Path, repro: Repro) -> None:
    broken = project.parent / "broken.txt"
    broken.write_text("middle-a")
    result = repro(project, "-j", "2")
    assert result.returncode == 1
    assert "middle@a | middle-a cannot work" in result.stdout
    assert result.stderr.splitlines()[-1].startswith(
        "stage middle@a: expected success, found the error printed above"
    )
    assert "last" not in ran(project)
    assert "first" in locked(project)

    broken.unlink()
    assert repro(project).returncode == 0
    assert "first" not in ran(project)


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_it_stops_cleanly(project: Path, zygote: Zygote, end: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "protoviz", "repro", "-j", "2"],
        cwd=project,
        env=zygote.serving({**environment(project), "WORK_SECONDS": "3600"}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while len(log(project)) < 2 and process.poll() is None:
        time.sleep(0.1)
    process.send_signal(end)
    _, errors = process.communicate(timeout=1200)
    assert process.returncode == 130
    assert errors.splitlines()[-1] == "stopped; what is done is kept"
    assert "Traceback" not in errors
    workers = [int(line.split()[-1]) for line in (project.parent / "log.txt").read_text().splitlines()]
    assert len(workers) == 2
    deadline = time.monotonic() + 300  # the system buries the dead when it has time
    while any(map(is_alive, workers)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(map(is_alive, workers))
    assert not (project / "first.txt").exists()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("  momentum: 0.9", "  momentun: 0.9", "params.yaml: train.momentun"),
        ("keepclr:", "keep.clr:", "params.yaml: conditions.keep.clr: expected a condition name"),
        ("runs: [1, 2, 3]", "runs: [1, 1, 2]", "params.yaml: runs"),
    ],
)
def test_wrong_parameters_end_in_one_line_before_anything_runs(
    project: Path, repro: Repro, old: str, new: str, message: str
) -> None:
    params = project / "params.yaml"
    assert old in params.read_text()
    params.write_text(params.read_text().replace(old, new, 1))
    result = repro(project)
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith(message)
    assert ran(project) == []


def test_a_wrong_pipeline_ends_in_one_line(project: Path, repro: Repro) -> None:
    (project / "dvc.yaml").write_text(
        PIPELINE.replace("deps: [stages/work.py, input.txt]", "needs: [input.txt]")
    )
    result = repro(project)
    assert result.returncode == 1
    assert result.stderr.startswith("dvc.yaml: expected a pipeline that DVC can run")


def test_it_runs_only_at_the_top_of_the_repository(project: Path, repro: Repro, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.copy(project / "params.yaml", elsewhere)
    result = repro(elsewhere)
    assert result.returncode == 1
    assert "expected the top of the repository, with dvc.yaml" in result.stderr
