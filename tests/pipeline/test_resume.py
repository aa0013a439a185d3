"""Pieces of interrupted stages: kept for the same stage in the same state, and for nothing else."""

import contextlib
import errno
import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import numpy
import pytest

from protoviz import files
from protoviz.config import params
from protoviz.errors import StudyError
from protoviz.pipeline import fingerprint, resume

ROOT = Path(__file__).parents[2]
PIPELINE = """
stages:
  prepare:
    cmd: python work.py prepare
    deps: [work.py]
    outs: [data/images]
  train:
    matrix:
      condition: ${conditions}
      run: ${runs}
    cmd: python work.py train ${item.condition} ${item.run}
    deps: [work.py, data/images]
    params: [train, "conditions.${item.condition}", images.size]
    outs:
      - data/weights/${item.condition}-${item.run}:
          push: false
    metrics:
      - metrics/${item.condition}-${item.run}.json:
          cache: false
"""
PARAMS = """
conditions:
  clrjit: {prob: 0.8, sigmas: [0.1, 2.0]}
  keepclr: {prob: 0.0, sigmas: [0.1, 2.0]}
runs: [1, 2]
train: {lr: 5e-4, keep: [0, 1]}
images: {size: 68, seed: 0}
"""
WORK = """
import pathlib, sys
if sys.argv[1] == "prepare":
    folder = pathlib.Path("data/images/deep")
    folder.mkdir(parents=True)
    (folder / "b.bin").write_bytes(bytes(1000))
    (folder / ".hidden").write_text("x")
    (folder.parent / "a-\\u00e9.json").write_text("[]")
else:
    item = "-".join(sys.argv[2:])
    for name in (f"data/weights/{item}/w", f"metrics/{item}.json"):
        pathlib.Path(name).parent.mkdir(parents=True, exist_ok=True)
        pathlib.Path(name).write_text("{}")
"""
OUT = "data/weights/clrjit-1"
STAGE = ("train", {"condition": "clrjit", "run": 1})
SAME = ("train", {"condition": "clrjit", "run": 2})


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    """A pipeline with a matrix, and the images that its stages read."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    Path("dvc.yaml").write_text(PIPELINE)
    Path("params.yaml").write_text(PARAMS)
    Path("work.py").write_text(WORK)
    Path("requirements.lock").write_text("torch==1\n")
    Path(".dvcignore").write_text("*.partial\n__pycache__\n/data/images/*.npy\n")
    subprocess.run([sys.executable, "work.py", "prepare"], check=True)
    return folder


def find(name, item):
    return fingerprint.find(name, item, params.read("params.yaml"))


@contextlib.contextmanager
def pieces(stage=STAGE, also=None):
    """What a stage has when it runs."""
    with resume.running(find(*stage)), resume.pieces(OUT, also or {}) as folder:
        yield folder


def leave(*names, stage=STAGE, also=None):
    """A run that is interrupted after these pieces."""
    with contextlib.suppress(KeyboardInterrupt), pieces(stage, also) as folder:
        for name in names:
            with files.complete(folder / name) as partial:
                partial.write_text(name)
        raise KeyboardInterrupt


def found(stage=STAGE, also=None):
    """What the next run finds; it is interrupted, too."""
    with contextlib.suppress(KeyboardInterrupt), pieces(stage, also) as folder:
        names = sorted(path.name for path in folder.iterdir())
        raise KeyboardInterrupt
    return names


def edit(path, old, new):
    text = Path(path).read_text()
    assert old in text
    Path(path).write_text(text.replace(old, new, 1))


def test_the_record_is_what_dvc_writes(project):
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "DVC_SITE_CACHE_DIR": str(project.parent / "site"),
        "DVC_NO_ANALYTICS": "1",
    }
    for command in (("git", "init"), ("dvc", "init"), ("dvc", "repro")):
        subprocess.run([*command, "--quiet"], env=environment, check=True, capture_output=True)
    items = [{"condition": c, "run": r} for c in ("clrjit", "keepclr") for r in (1, 2)]
    stages = [find("prepare", {}), *(find("train", item) for item in items)]
    listed = subprocess.run(
        ["dvc", "stage", "list", "--name-only"], env=environment, check=True, capture_output=True, text=True
    )
    assert [stage.address for stage in stages] == listed.stdout.split()
    for stage in stages:
        assert fingerprint.record(stage) == fingerprint.recorded(stage), stage.address
    assert find("other", {}) is None


def test_a_stage_of_the_study_is_found_by_its_name(monkeypatch):
    monkeypatch.chdir(ROOT)
    stage = find("synthesize", {"condition": "clrjit", "run": 1})
    assert (stage.address, stage.command) == ("synthesize@clrjit-1", "python -m stages.synthesize clrjit 1")
    assert "data/checkpoints/clrjit-1" in stage.dependencies
    assert "synthesis" in stage.parameters


def test_pieces_are_kept_for_the_same_stage():
    leave("a", "b")
    assert found() == ["a", "b"]
    assert found(SAME) == []


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("dvc.yaml", "work.py train ${item.condition}", "work.py train --fast ${item.condition}"),
        ("params.yaml", "5e-4", "6e-4"),
        ("params.yaml", "prob: 0.8", "prob: 0.5"),
        ("params.yaml", "size: 68", "size: 96"),
        ("work.py", "import", "import  "),
        ("data/images/a-\u00e9.json", "[]", "[1]"),
        ("requirements.lock", "torch==1", "torch==2"),
    ],
)
def test_no_piece_survives_a_change_of_what_it_depends_on(path, old, new):
    leave("a")
    edit(path, old, new)
    assert found() == []
    edit(path, new, old)  # nor does it come back
    assert found() == []


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("params.yaml", "prob: 0.0", "prob: 0.1"),
        ("params.yaml", "seed: 0", "seed: 1"),
        ("params.yaml", "runs: [1, 2]", "runs: [3, 1]"),
        ("params.yaml", "5e-4", "0.0005"),
    ],
)
def test_pieces_survive_what_does_not_concern_them(path, old, new):
    leave("a")
    edit(path, old, new)
    assert found() == ["a"]


def test_files_that_come_go_or_change_their_names_are_a_change():
    names = [scratch_name()]
    Path("data/images/new").write_text("")
    names.append(scratch_name())
    Path("data/images/new").rename("data/images/newer")
    names.append(scratch_name())
    Path("data/images/.newer.partial").write_text("half")  # what is unfinished does not count
    assert names[0] != names[1] != names[2] != names[0]
    assert scratch_name() == names[2]


def scratch_name():
    return fingerprint.fingerprint(fingerprint.record(find(*STAGE)), {})


def test_what_a_stage_knows_beyond_dvc_counts():
    leave("a", also={"precision": "float32"})
    assert found(also={"precision": "float32"}) == ["a"]
    assert found(also={"precision": "bfloat16"}) == []


def test_the_versions_of_what_is_installed_count():
    versions = fingerprint.environment()
    assert versions["numpy"] == numpy.__version__
    assert versions["python"] == ".".join(map(str, sys.version_info[:3]))
    assert {"torch", "zarr", "lock file"} <= versions.keys()


def test_a_dependency_that_is_not_there_is_named():
    Path("work.py").unlink()
    with pytest.raises(StudyError, match=r"work\.py: expected a file"), pieces():
        pass


def test_unfinished_files_are_removed():
    leave("a")
    (folder,) = (path for path in Path(".scratch/train@clrjit-1").iterdir() if path.is_dir())
    deep = folder / "store" / "image" / "c"
    deep.mkdir(parents=True)
    (deep / "0.2f6c.partial").write_text("half")
    (folder / ".b.partial").mkdir()
    assert found() == ["a", "store"]
    assert list(folder.rglob("*.partial")) == []


def test_publishing_links_what_is_finished():
    with pieces() as folder:
        store = folder / "store"
        (store / "c").mkdir(parents=True)
        (store / "c" / "0").write_text("shard")
        (store / "c" / "1.x.partial").write_text("half")
        Path(OUT).mkdir(parents=True)
        (Path(OUT) / "old").write_text("old")
        resume.publish(store, OUT)
        resume.publish(store / "c" / "0", "metrics/one")
        assert [path.name for path in Path(OUT).rglob("*") if path.is_file()] == ["0"]
        assert (Path(OUT) / "c" / "0").samefile(store / "c" / "0")
        assert Path("metrics/one").samefile(store / "c" / "0")
    assert [path.name for path in Path(OUT).parent.iterdir()] == ["clrjit-1"]


def test_another_file_system_gets_copies(project, monkeypatch):
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK) or memory.stat().st_dev == project.stat().st_dev:
        pytest.skip("no second file system at /dev/shm")
    import tempfile

    with tempfile.TemporaryDirectory(dir=memory) as elsewhere:
        monkeypatch.setenv("PROTOVIZ_SCRATCH", elsewhere)
        with pieces() as folder:
            assert folder.is_relative_to(elsewhere)
            (folder / "a").write_text("whole")
            resume.publish(folder / "a", "metrics/one")
        assert Path("metrics/one").read_text() == "whole"
        assert not Path(".scratch").exists()


HOLD = """
import sys
from protoviz.config import params
from protoviz.pipeline import fingerprint, resume
stage = fingerprint.find("train", {"condition": "clrjit", "run": 1}, params.read("params.yaml"))
with resume.running(stage), resume.pieces(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder():
    """Another process that works on the stage."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", HOLD, OUT]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_second_writer_is_told_who_is_at_work(holder):
    with pytest.raises(StudyError) as caught, pieces():
        pass
    assert re.match(
        r"stage train@clrjit-1: expected no other process at work on it, "
        rf"found process {holder.pid} on \S+, stage train@clrjit-1, since \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d; "
        "wait until that has ended, or end it",
        str(caught.value),
    )
    with pieces(SAME):  # another stage is free
        pass
    resume.forget("train@clrjit-1")  # does not disturb it either
    holder.kill()
    holder.wait()
    assert found() == []


def test_one_of_two_writers_at_the_same_moment_wins():
    """A lock belongs to an opened file, so that threads exclude each other as processes do."""
    start, ended, outcome = threading.Barrier(2), threading.Barrier(2), []

    def work():
        start.wait()
        try:
            with resume.pieces(OUT):
                outcome.append("worked")
                ended.wait()
        except StudyError:
            outcome.append("refused")
            ended.wait()

    threads = [threading.Thread(target=work) for _ in range(2)]
    with resume.running(find(*STAGE)):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(outcome) == ["refused", "worked"]


def lock_file(stage):
    """What DVC would write to dvc.lock when it has recorded the stage as it stands."""
    entry = fingerprint.record(stage)
    deps = [{"path": path, "hash": "md5", "md5": digest} for path, digest in entry["deps"].items()]
    recorded = {"cmd": entry["cmd"], "deps": deps, "params": {"params.yaml": entry["params"]}}
    Path("dvc.lock").write_text(json.dumps({"schema": "2.0", "stages": {stage.address: recorded}}))


def finish():
    with pieces() as folder:
        (folder / "a").write_text("")


def test_pieces_outlast_the_stage_until_dvc_has_recorded_it():
    finish()
    assert found() == ["a"]  # killed before dvc.lock was written
    finish()
    lock_file(find(*STAGE))
    assert found() == []  # recorded: run again, it computes again
    leave("b")
    assert found() == ["b"]  # interrupted then, it resumes


def test_what_dvc_ignores_does_not_hide_that_it_has_recorded_the_stage():
    """A forced run must compute again, whatever lies beside the files that DVC looks at."""
    finish()
    lock_file(find(*STAGE))
    for name in ("data/images/pixels.npy", "data/images/deep/__pycache__/b.pyc", "data/images/.b.partial"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text("ignored")
    assert found() == []


def test_what_dvc_has_recorded_of_other_parameters_is_no_reason():
    lock_file(find(*STAGE))
    edit("params.yaml", "5e-4", "6e-4")
    finish()
    assert found() == ["a"]


def test_forgotten_when_the_driver_knows_that_it_is_recorded():
    finish()
    resume.forget("train@clrjit-1")
    assert found() == []
    resume.forget("no-such-stage")
    assert not Path(".scratch/no-such-stage").exists()


def test_outside_a_pipeline_nothing_is_kept(tmp_path, monkeypatch):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert fingerprint.find(*STAGE, {}) is None
    for _ in range(2):
        with contextlib.suppress(KeyboardInterrupt), resume.pieces(OUT) as folder:
            assert list(folder.iterdir()) == []
            (folder / "a").write_text("half")
            raise KeyboardInterrupt
    with resume.pieces(OUT) as folder:
        (folder / "a").write_text("whole")
        resume.publish(folder / "a", "one")
    assert Path("one").read_text() == "whole"
    assert [path.name for path in elsewhere.rglob("*") if path.is_file()] == ["one"]


def test_a_full_disk_is_the_error_that_users_see():
    leave("a")
    with pytest.raises(StudyError, match=f"{OUT}: expected a disk with room"), pieces():
        raise OSError(errno.ENOSPC, "No space left on device")
    assert found() == ["a"]
