"""Long stages survive kills, orphans, a full disk and lost workers, and end with the same hashes."""

import contextlib
import functools
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from protoviz import layout
from tests.reference import miniature, noted
from tests.reference.forked import Zygote
from tests.reference.held import GRADIENT, Hold

pytestmark = pytest.mark.slow

TASKS = 2 * len(miniature.EPOCHS)
STORE, CHECKPOINTS = layout.prototypes("clrjit", 1), layout.checkpoints("clrjit", 1)
CURVE = layout.training_curve("clrjit", 1)
SYNTHESIZE = ("-m", "stages.synthesize", "clrjit", "1")
TRAIN = ("-m", "stages.train", "clrjit", "1")
REPRO = ("-m", "dvc", "repro", "--no-run-cache", "--single-item", "synthesize@clrjit-1")
MOMENTS = {  # before the first piece, in the midst of it, and when the one after is half written: 12 kills
    "synthesize": (
        {"event": "os.rename", "place": "*/store"},
        {"event": GRADIENT, "count": 2},
        {"event": "os.rename", "place": "*/store/image/c/*", "count": 2},
    ),
    "train": (
        {"event": "os.rename", "place": "*/epoch_0000.safetensors"},
        {"event": GRADIENT, "count": 2},
        {"event": "os.rename", "place": "*/state.ckpt", "count": 2},
    ),
}
ENDS = {  # signals, and what they are sent to: the stage or its whole group
    "Ctrl-C": (os.killpg, signal.SIGINT),
    "SIGTERM": (os.kill, signal.SIGTERM),
    "kill -9": (os.kill, signal.SIGKILL),
    "kill -9 of the group": (os.killpg, signal.SIGKILL),
}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return miniature.make(tmp_path_factory.mktemp("resume") / "study")


@dataclass(frozen=True)
class Stages:
    """Starts stages of the study for clrjit, run 1."""

    study: Path
    zygote: Zygote

    def start(self, output, *arguments, **variables):
        """`python ARGUMENTS`; its output is added to a file."""
        own = miniature.environment(self.study, **variables)
        return self.zygote.start(*arguments, folder=self.study, environment=own, output=output)

    def train(self, output, **variables):
        return self.start(output, *TRAIN, **variables)

    def noted(self, output, log, **variables):
        """The synthesis; its searches are told in a log."""
        return self.start(output, noted.__file__, log, "synthesize", "clrjit", "1", **variables)


@pytest.fixture(scope="module")
def stages(study, zygote):
    return Stages(study, zygote)


@pytest.fixture
def second(tmp_path):
    """The synthesis waits when its second shard is half written."""
    return Hold(tmp_path / "note", "synthesize", **MOMENTS["synthesize"][2])


@pytest.fixture
def worker(tmp_path):
    """The same of a worker process."""
    return Hold(tmp_path / "note", "multiprocessing", **MOMENTS["synthesize"][2])


@pytest.fixture
def fresh(study):
    """The study without prototypes and pieces."""
    yield study
    miniature.end()
    clean(study)


def clean(study):
    miniature.write_params(study)
    for path in (study / STORE, study / layout.SCRATCH):
        shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="module")
def whole(study, stages):
    """The hashes of an uninterrupted synthesis."""
    assert stages.start(study.parent / "whole.out", *SYNTHESIZE).wait() == 0
    made = miniature.hashes(study / STORE)
    clean(study)
    return made


def lines(log, word):
    text = log.read_text() if log.exists() else ""
    return [line for line in text.splitlines() if line.startswith(word)]


def stray(study):
    """Files that no stage means to leave."""
    return [path for path in (study / "data").rglob("*") if ".partial" in path.name]


def kept(output):
    """How many tasks each run found done, in the order of the runs."""
    return [
        int(number) for number in re.findall(r"(\d+) of \d+ (?:epochs )?kept from an earlier run", output)
    ]


def until(condition, seconds=1200.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.01)


def shards(study):
    """How many tasks have left their last file."""
    return len(list((study / layout.SCRATCH).glob("*/*/store/status/c/0/0/*/*/0")))


def reached(hold, program):
    """The id of the process that waits there."""
    until(lambda: hold.held or program.poll() is not None)
    assert program.poll() is None, "it ended and never came to that"
    return hold.held


def kill_all(stage, start, folder):
    """End a stage at every moment of `MOMENTS` by all of `ENDS`, each in what the one before has left.

    Args:
        stage: its name.
        start: starts it, with variables of the environment.
        folder: for notes.
    """
    for moment, (send, end) in itertools.product(MOMENTS[stage], ENDS.values()):
        note = folder / "note"
        note.unlink(missing_ok=True)
        hold = Hold(note, stage, **moment)
        process = start(**hold.variables)
        reached(hold, process)
        send(process.pid, end)
        assert process.wait() in (130, -end)


def test_synthesis_survives_every_kill(fresh, stages, whole, tmp_path):
    output, log = fresh.parent / "kills.out", fresh.parent / "kills.txt"
    kill_all("synthesize", functools.partial(stages.noted, output, log), tmp_path)
    assert stages.noted(output, log).wait() == 0
    assert miniature.hashes(fresh / STORE) == whole
    assert not stray(fresh)
    assert kept(output.read_text()) == [1, 2, 3, 4]  # four ends come after a first piece
    wasted = len(lines(log, "begin")) - TASKS
    assert wasted == 8  # one for each end that comes in a piece


def test_training_survives_every_kill(study, stages, tmp_path):
    untrained = tmp_path / "untrained"
    (study / CHECKPOINTS).rename(untrained)
    epochs = {"train": {**miniature.CHANGES["train"], "epochs": 8, "keep": [0, 3, 8]}}
    miniature.write_params(study, {**miniature.CHANGES, **epochs})
    try:
        assert stages.train(study.parent / "train.out").wait() == 0
        hashes, curve = miniature.hashes(study / CHECKPOINTS), (study / CURVE).read_bytes()
        assert list(hashes) == [f"epoch_{number:04d}.safetensors" for number in (0, 3, 8)]

        for path in (study / layout.SCRATCH, study / CHECKPOINTS):
            shutil.rmtree(path)
        (study / CURVE).unlink()
        output = study.parent / "train-kills.out"
        kill_all("train", functools.partial(stages.train, output), tmp_path)
        assert stages.train(output).wait() == 0
        assert miniature.hashes(study / CHECKPOINTS) == hashes
        assert (study / CURVE).read_bytes() == curve
        assert not stray(study)
        # An epoch that was completed, saved and told of was never trained again.
        told = [int(number) for number in re.findall(r"epoch (\d+) of 8, loss", output.read_text())]
        assert told == list(range(1, 9))
        assert kept(output.read_text()) == [1, 2, 3, 4]
    finally:
        clean(study)
        shutil.rmtree(study / CHECKPOINTS, ignore_errors=True)
        untrained.rename(study / CHECKPOINTS)


def test_a_changed_parameter_leaves_no_old_piece(fresh, stages, whole, second):
    output, log = fresh.parent / "changed.out", fresh.parent / "changed.txt"
    process = stages.noted(output, log, **second.variables)
    reached(second, process)
    assert shards(fresh) == 1
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait() == 130
    (before,) = (path for path in (fresh / layout.SCRATCH).glob("*/*") if path.is_dir())

    recipe = {**miniature.CHANGES["synthesis"], "ascent": {"steps": 4, "lr": 0.1}}
    miniature.write_params(fresh, {**miniature.CHANGES, "synthesis": recipe})
    log.unlink()
    assert stages.noted(output, log).wait() == 0
    assert len(lines(log, "begin")) == TASKS
    assert not kept(output.read_text())
    assert not before.exists()
    made = miniature.hashes(fresh / STORE)
    assert made.keys() == whole.keys()
    assert not any(made[name] == whole[name] for name in made if name.startswith("image/c"))


def test_the_orphan_of_a_killed_dvc_keeps_others_out(fresh, zygote, whole, second):
    dvc = miniature.start(fresh, zygote, *REPRO, **second.variables)
    orphan = reached(second, dvc)
    os.kill(dvc.pid, signal.SIGKILL)
    dvc.wait()
    (lock,) = (fresh / layout.SCRATCH).glob("*/lock")
    assert int(re.search(r"process (\d+) on", lock.read_text())[1]) == orphan
    again = miniature.call(fresh, sys.executable, *REPRO, zygote=zygote)
    assert again.returncode != 0
    said = f"stage synthesize@clrjit-1: expected no other process at work on it, found process {orphan} on "
    assert said in again.stderr
    assert "since 20" in again.stderr

    second.release()
    until(lambda: (fresh / STORE).exists())  # it works on, and publishes
    until(lambda: not Path(f"/proc/{orphan}").exists())
    third = miniature.call(fresh, sys.executable, *REPRO, zygote=zygote)
    assert third.returncode == 0, third.stderr
    assert kept(third.stderr) == [TASKS]
    assert miniature.hashes(fresh / STORE) == whole


def test_killed_while_dvc_takes_over_the_output(fresh, zygote, whole, tmp_path):
    """And what DVC has recorded is computed again when it is forced."""
    (fresh / "dvc.lock").unlink(missing_ok=True)
    shutil.rmtree(fresh / ".dvc" / "cache", ignore_errors=True)
    hold = Hold(tmp_path / "note", " ".join(REPRO), "os.rename", "*/.dvc/cache/files/md5/*", 3)
    dvc = miniature.start(fresh, zygote, *REPRO, **hold.variables)
    reached(hold, dvc)
    assert (fresh / STORE).exists()
    os.killpg(dvc.pid, signal.SIGKILL)
    dvc.wait()
    assert not (fresh / "dvc.lock").exists()
    again = miniature.call(fresh, sys.executable, *REPRO, zygote=zygote)
    assert again.returncode == 0, again.stderr
    assert kept(again.stderr) == [TASKS]
    assert (fresh / "dvc.lock").exists()
    assert miniature.hashes(fresh / STORE) == whole

    forced = miniature.call(fresh, sys.executable, *REPRO, "--force", zygote=zygote)
    assert forced.returncode == 0, forced.stderr
    assert not kept(forced.stderr)
    assert miniature.hashes(fresh / STORE) == whole


@pytest.mark.parametrize("number", [1, 2, 3])
def test_any_number_of_workers_gives_the_same_hashes(fresh, zygote, whole, worker, number):
    """With three, one of them is killed in the middle."""
    variables = worker.variables if number == 3 else {}
    stage = miniature.start(fresh, zygote, *SYNTHESIZE, PROTOVIZ_WORKERS=str(number), **variables)
    if number == 3:
        os.kill(reached(worker, stage), signal.SIGKILL)
    assert stage.wait() == 0, (fresh.parent / "output.txt").read_text()
    assert miniature.hashes(fresh / STORE) == whole
    assert not stray(fresh)


@pytest.mark.parametrize("end", ENDS)
def test_no_worker_outlives_its_stage(fresh, zygote, worker, end):
    stage = miniature.start(fresh, zygote, *SYNTHESIZE, PROTOVIZ_WORKERS="2", **worker.variables)
    reached(worker, stage)
    left = workers(stage.pid)
    assert len(left) == 2
    send, number = ENDS[end]
    send(stage.pid, number)
    assert stage.wait() in (130, -number)
    worker.release()  # or dask would wait half a minute for its task
    until(lambda: not any(Path(f"/proc/{worker}").exists() for worker in left))
    assert "Traceback" not in (fresh.parent / "output.txt").read_text()
    assert not (fresh / STORE).exists()


def workers(stage):
    """The processes in which a stage lets its tasks run."""
    found = subprocess.run(
        ["ps", "-ww", "-o", "pid=,args=", "--ppid", str(stage)], capture_output=True, text=True, check=True
    )
    return [int(line.split()[0]) for line in found.stdout.splitlines() if "spawn_main" in line]


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 40 MB of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", folder]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("only root may mount a small file system")
    yield folder
    subprocess.run(["umount", folder], check=True)


def fill(ballast):
    """Take all the room that is left."""
    with contextlib.suppress(OSError), open(ballast, "wb", buffering=0) as file:
        while True:
            file.write(bytes(1 << 12))


def test_a_full_disk_is_an_error_and_nothing_is_lost(fresh, zygote, whole, small_disk, second):
    scratch = {"PROTOVIZ_SCRATCH": str(small_disk / "scratch")}
    stage = miniature.start(fresh, zygote, *SYNTHESIZE, **scratch, **second.variables)
    reached(second, stage)
    fill(small_disk / "ballast")
    second.release()
    assert stage.wait() == 1
    *_, last = (fresh.parent / "output.txt").read_text().splitlines()
    assert last.startswith(f"{STORE}: expected a disk with room that can be written to, found No space left")
    assert not (fresh / STORE).exists()

    (small_disk / "ballast").unlink()
    again = miniature.call(fresh, sys.executable, *SYNTHESIZE, **scratch, zygote=zygote)
    assert again.returncode == 0, again.stderr
    assert kept(again.stderr) == [1]
    assert miniature.hashes(fresh / STORE) == whole


@contextlib.contextmanager
def cluster(study, zygote, **variables):
    """A scheduler with two workers, as the documentation starts them: its address, the workers' parent."""
    meet = study.parent / "cluster.json"
    meet.unlink(missing_ok=True)
    scheduler = ("-m", "dask", "scheduler", "--port", "0")
    worker = ("-m", "dask", "worker", "--nworkers", "2", "--nthreads", "1", "--memory-limit", "0")
    with contextlib.ExitStack() as ends:
        for command in (scheduler, worker):
            process = miniature.start(
                study, zygote, *command, "--no-dashboard", "--scheduler-file", str(meet), **variables
            )
            ends.callback(process.wait)
            ends.callback(os.killpg, process.pid, signal.SIGKILL)
        until(lambda: meet.exists() and meet.read_text())
        yield json.loads(meet.read_text())["address"], process.pid


def test_a_cluster_gives_the_same_hashes(fresh, zygote, whole):
    with cluster(fresh, zygote) as (address, _):
        made = miniature.call(
            fresh, sys.executable, *SYNTHESIZE, DASK_SCHEDULER_ADDRESS=address, zygote=zygote
        )
    assert made.returncode == 0, made.stderr
    assert miniature.hashes(fresh / STORE) == whole


@pytest.fixture
def trained(study, zygote, tmp_path):
    """The study without checkpoints, and the hashes of those that a training writes here."""
    untrained = tmp_path / "untrained"
    (study / CHECKPOINTS).rename(untrained)
    made = miniature.call(study, sys.executable, *TRAIN, zygote=zygote)
    assert made.returncode == 0, made.stderr
    hashes = miniature.hashes(study / CHECKPOINTS)
    for path in (study / CHECKPOINTS, study / layout.SCRATCH):
        shutil.rmtree(path)
    yield hashes
    clean(study)
    shutil.rmtree(study / CHECKPOINTS, ignore_errors=True)
    untrained.rename(study / CHECKPOINTS)


def test_a_training_runs_on_a_worker_and_survives_its_loss(fresh, zygote, trained, tmp_path):
    """All workers are killed when an epoch is half saved: others go on from the one before."""
    hold = Hold(tmp_path / "note", "stages.train", **MOMENTS["train"][2])
    with cluster(fresh, zygote, **hold.variables) as (address, nanny):
        output = tmp_path / "train.out"
        asking = Stages(fresh, zygote).train(output, DASK_SCHEDULER_ADDRESS=address)
        stage = reached(hold, asking)
        for worker in workers(nanny):
            os.kill(worker, signal.SIGKILL)
        until(lambda: not Path(f"/proc/{stage}").exists())  # it ends with its worker
        assert asking.wait() == 0, output.read_text()
    assert kept(output.read_text()) == [1]
    assert miniature.hashes(fresh / CHECKPOINTS) == trained


def test_a_stage_on_a_worker_ends_with_who_has_asked(fresh, zygote, trained, tmp_path):
    hold = Hold(tmp_path / "note", "stages.train", **MOMENTS["train"][2])
    with cluster(fresh, zygote, **hold.variables) as (address, _):
        asking = Stages(fresh, zygote).train(tmp_path / "train.out", DASK_SCHEDULER_ADDRESS=address)
        stage = reached(hold, asking)
        os.kill(asking.pid, signal.SIGTERM)
        assert asking.wait() == 130
        until(lambda: not Path(f"/proc/{stage}").exists())
    assert not (fresh / CHECKPOINTS).exists()
    assert trained


def test_what_a_stage_on_a_worker_says_is_said(fresh, zygote):
    """Also that its parameters are wrong, in one line."""
    shutil.rmtree(fresh / "data" / "images")
    with cluster(fresh, zygote) as (address, _):
        made = miniature.call(fresh, sys.executable, *TRAIN, DASK_SCHEDULER_ADDRESS=address, zygote=zygote)
    assert made.returncode == 1
    assert "data/images" in made.stderr
    assert "Traceback" not in made.stderr


def test_the_loop_over_slots_gives_each_stage_a_device_of_its_own(zygote, tmp_path):
    """The documentation's loop, on a pipeline whose stages note what they see and wait for each other."""
    (loop,) = re.findall(
        r"```bash\n(for group in .*?)```",
        (miniature.ROOT / "docs" / "how-to" / "long.md").read_text(),
        re.DOTALL,
    )
    study = tmp_path / "study"
    study.mkdir()
    (study / "note.py").write_text(
        "import os, pathlib, sys, time\n"
        "group, item = sys.argv[1:]\n"
        "out = pathlib.Path(f'{group}-{item}')\n"
        "seen = pathlib.Path('..') / f'{out}.seen'\n"
        "seen.write_text(os.environ.get('CUDA_VISIBLE_DEVICES', 'none'))\n"
        "while len(list(seen.parent.glob(f'{group}-*.seen'))) < 4: time.sleep(0.05)\n"
        "out.write_text(item)\n"
    )
    stage = {"matrix": {"item": [1, 2, 3, 4]}}
    stages = {
        group: {
            **stage,
            "cmd": f"python note.py {group} ${{item.item}}",
            "deps": needs,
            "outs": [f"{group}-${{item.item}}"],
        }
        for group, needs in {"train": ["note.py"], "synthesize": ["note.py", "train-${item.item}"]}.items()
    }
    with open(study / "dvc.yaml", "w") as file:
        YAML(typ="safe").dump({"stages": stages}, file)
    shutil.copytree(miniature.ROOT / ".dvc", study / ".dvc", ignore=shutil.ignore_patterns("tmp", "cache"))
    subprocess.run(["git", "init", "--quiet"], cwd=study, check=True)
    done = miniature.call(study, "bash", "-c", loop, zygote=zygote)
    assert done.returncode == 0, done.stderr
    for group in stages:
        seen = sorted((tmp_path / f"{group}-{item}.seen").read_text() for item in (1, 2, 3, 4))
        assert seen == ["0", "1", "2", "3"]
    assert "didn't change" in done.stdout or "up to date" in done.stdout
