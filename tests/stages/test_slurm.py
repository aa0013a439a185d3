"""The documented example under a real Slurm: workers from sbatch, one cancelled, the same hashes."""

import contextlib
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest

from protoviz import layout
from tests.reference import miniature, orphans, slurm

# It is not imported here: it would take over Ctrl-C.
installed = importlib.util.find_spec("dask_jobqueue") is not None
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not installed, reason="dask-jobqueue is not installed")]

STORE = layout.prototypes("clrjit", 1)
HELD = 1  # epochs from this one on wait for the gate
SECONDS = 600.0

# Added to the study's copy of the code: the later tasks say in which job they are, and wait.
GATE = f"""
import os, time
_search = prototypes


def prototypes(*arguments, address, **others):
    top = Path(os.environ["TEST_GATE"])
    if address.epoch >= {HELD} and not (top / "open").exists():
        (top / f"waiting-{{os.environ['SLURM_JOB_ID']}}").touch()
        while not (top / "open").exists():
            time.sleep(0.05)
    return _search(*arguments, address=address, **others)
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    made = miniature.make(tmp_path_factory.mktemp("slurm") / "study")
    with open(made / "protoviz" / "synthesis" / "shard_tasks.py", "a") as file:
        file.write(GATE)
    (made / ".venv").symlink_to(sys.prefix)  # which the example activates
    return made


@pytest.fixture
def example(study):
    """The documentation's, but of all stages it runs the one whose inputs the study has."""
    (text,) = re.findall(
        r"```python\n(# slurm\.py.*?)```",
        (miniature.ROOT / "docs" / "how-to" / "cluster.md").read_text(),
        re.DOTALL,
    )
    all_stages = '["protoviz", "repro", "--jobs", "16", "--cluster", cluster.scheduler_address]'
    told = 'f"DASK_SCHEDULER_ADDRESS={cluster.scheduler_address}"'
    one = f'["env", {told}, "dvc", "repro", "--no-run-cache", "--single-item", "synthesize@clrjit-1"]'
    assert text.count(all_stages) == 1
    (study / "slurm.py").write_text(text.replace(all_stages, one))
    return "slurm.py"


def until(condition, output):
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, output.read_text()
        time.sleep(0.1)


def test_a_cancelled_job_is_replaced_and_the_hashes_are_the_same(study, example, tmp_path):
    gate = tmp_path / "gate"
    gate.mkdir()
    with slurm.cluster(tmp_path / "slurm") as found:
        loopback = {"DASK_JOBQUEUE__SLURM__INTERFACE": "lo"}
        own = miniature.environment(study, TEST_GATE=str(gate), **found, **loopback)
        output = tmp_path / "output.txt"
        with open(output, "w") as file:
            process = subprocess.Popen(
                [sys.executable, example],
                cwd=study,
                env=own,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
        try:
            until(lambda: process.poll() is not None or len([*gate.iterdir()]) == slurm.CPUS, output)
            assert process.poll() is None, output.read_text()
            lost, other = sorted(path.name.partition("-")[2] for path in gate.iterdir())
            assert set(slurm.ask(found, "squeue", "-h", "-t", "R", "-o", "%i")) == {lost, other}
            slurm.ask(found, "scancel", lost)
            until(lambda: lost not in slurm.ask(found, "squeue", "-h", "-o", "%i"), output)
            until(lambda: len([*gate.iterdir()]) > slurm.CPUS, output)  # another job has its task
            (gate / "open").touch()
            assert process.wait(SECONDS) == 0, output.read_text()
            until(lambda: not slurm.ask(found, "squeue", "-h"), output)
            states = dict(
                line.split() for line in slurm.ask(found, "squeue", "-h", "-t", "all", "-o", "%i %T")
            )
            assert states[lost] == "CANCELLED"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    made = miniature.hashes(study / STORE)
    shutil.rmtree(study / STORE)
    shutil.rmtree(study / layout.SCRATCH)
    alone = miniature.call(
        study, sys.executable, "-m", "stages.synthesize", "clrjit", "1", TEST_GATE=str(gate)
    )
    assert alone.returncode == 0, alone.stderr
    assert miniature.hashes(study / STORE) == made


# A process that leaves its group and session, as daemons do, and a test that starts it and waits.
DAEMON = "import os, time; os.setsid(); time.sleep(3600)"
KILLED = f"""
import subprocess, sys, time
from tests.reference import orphans

with orphans.ended("TEST_MARK=" + sys.argv[1]):
    subprocess.Popen([sys.executable, "-c", {DAEMON!r}], env={{"TEST_MARK": sys.argv[1]}})
    print("started", flush=True)
    time.sleep(3600)
"""


def test_what_a_killed_test_has_started_ends_with_it(tmp_path):
    """Else a Slurm and its jobs would stay on the machine."""
    mark = f"TEST_MARK={tmp_path}"
    own = {**os.environ, "PYTHONPATH": str(miniature.ROOT)}
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    with subprocess.Popen(command, env=own, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "started\n"
        assert len(orphans.marked(mark)) == 1
        process.kill()
    deadline = time.monotonic() + SECONDS
    while orphans.marked(mark):
        assert time.monotonic() < deadline
        time.sleep(0.05)
