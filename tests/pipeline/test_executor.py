"""Tasks in the stage, in local workers and on a cluster: each done once, those of lost workers again."""

import functools
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from protoviz import compute, machine
from protoviz.errors import StudyError
from protoviz.pipeline import executor
from tests.reference.chores import Chore, Ears, listening

ROOT = Path(__file__).parents[2]
LISTED = pytest.mark.skipif(
    not Path("/proc/self/net/tcp").exists(), reason="the system does not list its sockets"
)
GPUS = [{"CUDA_VISIBLE_DEVICES": "3"}, {"CUDA_VISIBLE_DEVICES": "5"}]


pytestmark = pytest.mark.usefixtures("forked_workers")


@pytest.fixture(autouse=True)
def unset(monkeypatch):
    monkeypatch.delenv("DASK_SCHEDULER_ADDRESS", raising=False)
    monkeypatch.delenv("PROTOVIZ_WORKERS", raising=False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def run(chore, items=range(6), slots=None):
    executor.run(chore, items, title="chores", done=chore.done, slots=slots)


def test_one_worker_is_the_stage_itself(tmp_path, monkeypatch):
    monkeypatch.setenv("PROTOVIZ_WORKERS", "1")
    chore = Chore(tmp_path)
    run(chore, slots=GPUS)
    assert chore.calls() == [(item, os.getpid()) for item in range(6)]
    assert set(chore.seen().values()) == {"none"}  # it sees the devices that it saw before


def test_one_worker_loads_no_dask(tmp_path):
    code = (
        "import sys; from pathlib import Path; from protoviz.pipeline import executor; "
        "from tests.reference.chores import Chore; chore = Chore(Path(sys.argv[1])); "
        "executor.run(chore, [1, 2], title='chores', done=chore.done); "
        "assert not {'distributed', 'dask'} & set(sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PROTOVIZ_WORKERS": "1"}
    subprocess.run([sys.executable, "-c", code, tmp_path], env=environment, check=True, capture_output=True)
    assert Chore(tmp_path).made() == [1, 2]


def test_only_what_is_not_done_is_done(tmp_path, capsys):
    chore = Chore(tmp_path)
    (tmp_path / "2").write_text("")
    run(chore, slots=[{}])
    assert [item for item, _ in chore.calls()] == [0, 1, 3, 4, 5]
    assert "chores: 1 of 6 kept from an earlier run" in capsys.readouterr().err
    run(chore)
    assert len(chore.calls()) == 5
    assert "chores: 6 of 6 kept from an earlier run" in capsys.readouterr().err


def test_a_lost_worker_s_tasks_are_redone_and_each_worker_sees_its_own_device(tmp_path):
    chore = Chore(tmp_path, deadly=2, meet=True)
    run(chore, range(10), slots=GPUS)
    assert chore.made() == list(range(10))
    calls = chore.calls()
    assert os.getpid() not in {process for _, process in calls}
    assert len(calls) <= 12  # what was lost: the deadly task, and at most one that its worker had begun
    assert [item for item, _ in calls].count(2) == 2
    last = dict(calls)  # item -> the process that finished it
    seen = {
        process: {chore.seen()[item] for item in last if last[item] == process} for process in last.values()
    }
    assert all(len(devices) == 1 for devices in seen.values())
    assert set().union(*seen.values()) == {"3", "5"}


def test_more_workers_than_devices_share_them(monkeypatch):
    monkeypatch.setenv("PROTOVIZ_WORKERS", "3")
    assert executor._places(GPUS) == [GPUS[0], GPUS[1], GPUS[0]]
    monkeypatch.delenv("PROTOVIZ_WORKERS")
    assert executor._places(GPUS) == GPUS


@pytest.mark.parametrize("number", ["0", "two", "-1", "1.5"])
def test_a_number_of_workers_that_is_none_is_refused(tmp_path, monkeypatch, number):
    monkeypatch.setenv("PROTOVIZ_WORKERS", number)
    with pytest.raises(StudyError, match=f"PROTOVIZ_WORKERS: expected a number from 1, found '{number}'"):
        run(Chore(tmp_path))
    assert Chore(tmp_path).made() == []


def test_what_a_task_refuses_reaches_the_user(tmp_path, monkeypatch):
    monkeypatch.setenv("PROTOVIZ_WORKERS", "2")
    with pytest.raises(StudyError, match="item 1: expected a right one, found a wrong one; right it"):
        run(Chore(tmp_path, wrong=1, endless=2), range(40))
    assert Chore(tmp_path).made() in ([0], [])  # the others are not waited for


def test_a_task_that_leaves_nothing_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PROTOVIZ_WORKERS", "1")
    with pytest.raises(StudyError, match="chores: 0: expected its file, now that its task has ended"):
        run(Chore(tmp_path, lazy=True))


def test_workers_that_are_slow_to_go_are_no_failure_of_what_they_have_done(tmp_path, monkeypatch):
    """What distributed before 2026.8 raises on a busy machine, after the last task."""
    import distributed

    close = distributed.SpecCluster.close

    def closed(cluster):
        close(cluster)
        raise TimeoutError

    monkeypatch.setattr(distributed.SpecCluster, "close", closed)
    chore = Chore(tmp_path)
    run(chore, slots=GPUS)
    assert chore.made() == list(range(6))


@pytest.mark.slow
def test_a_task_that_kills_every_worker_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setenv("PROTOVIZ_WORKERS", "2")
    with pytest.raises(
        StudyError, match="expected tasks that leave their worker alive, found one that lost 3"
    ):
        run(Chore(tmp_path, deadly=0, always=True), range(2))


@LISTED
def test_only_this_machine_can_reach_the_workers(tmp_path, monkeypatch):
    """Two stages side by side have ports of their own: none is the one that dask gives to all."""
    before = listening(os.getpid())
    monkeypatch.setenv("PROTOVIZ_WORKERS", "2")
    ears = Ears(tmp_path, os.getpid())
    executor.run(ears, range(4), title="ears", done=ears.done)
    for item in range(4):
        stage, worker = (set(line.split()) for line in (tmp_path / str(item)).read_text().splitlines())
        assert stage - before
        assert worker
        hosts, ports = zip(*(place.rsplit(":", 1) for place in (stage | worker) - before), strict=True)
        assert set(hosts) == {"127.0.0.1"}
        assert "8787" not in ports


@LISTED
def test_the_system_s_list_of_listeners_is_read():
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("0.0.0.0", 0)) as all_:
        heard = listening(os.getpid())
        assert {f"127.0.0.1:{one.getsockname()[1]}", f"0.0.0.0:{all_.getsockname()[1]}"} <= heard


def test_the_tasks_go_to_the_cluster_that_is_named(tmp_path, monkeypatch):
    """Its worker is this process, which shows that no other was started."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0", protocol="tcp"
    ) as c:
        monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", c.scheduler_address)
        monkeypatch.setenv("PROTOVIZ_WORKERS", "5")
        chore = Chore(tmp_path)
        run(chore)
        assert chore.calls() == [(item, os.getpid()) for item in range(6)]
        assert executor.ask(functools.partial(os.path.join, "a", "b")) == "a/b"


def test_a_scheduler_that_is_not_there_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", "tcp://127.0.0.1:9")
    monkeypatch.setattr(executor, "SECONDS_TO_CONNECT", 1)
    with pytest.raises(
        StudyError, match=r"DASK_SCHEDULER_ADDRESS tcp://127\.0\.0\.1:9: expected a dask scheduler"
    ):
        run(Chore(tmp_path))


def test_without_a_cluster_the_stage_answers_itself():
    assert executor.ask(os.getpid) == os.getpid()


def test_places_on_this_machine(monkeypatch):
    assert compute.slots("cpu", 1) == [{}] * machine.cores()
    assert compute.slots("cpu", 1000) == [{}]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    both = [{"CUDA_VISIBLE_DEVICES": "0"}, {"CUDA_VISIBLE_DEVICES": "1"}]
    assert compute.slots("cuda", 1) == both
    assert compute.slots("auto", 1) == both
    assert compute.slots("cpu", 1) == [{}] * machine.cores()
    assert compute.slots("cuda:1", 1) == [{}]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,GPU-5")
    assert compute.slots("auto", 1) == [{"CUDA_VISIBLE_DEVICES": "3"}, {"CUDA_VISIBLE_DEVICES": "GPU-5"}]
