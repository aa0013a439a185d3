"""A whole stage on a cluster: what workers refuse, and as many stages side by side as there are workers."""

import re
from dataclasses import replace

import distributed
import pytest

from protoviz.errors import StudyError
from protoviz.pipeline import elsewhere, executor
from tests.reference import project


@pytest.fixture(scope="module")
def workers():
    """The address of a scheduler with three workers, threads of this process."""
    local = {"dashboard_address": "127.0.0.1:0", "host": "127.0.0.1", "protocol": "tcp"}
    with distributed.LocalCluster(n_workers=3, threads_per_worker=1, processes=False, **local) as cluster:
        yield cluster.scheduler_address


@pytest.fixture
def asked(tmp_path):
    output = tmp_path / "output"
    output.touch()
    return elsewhere.Asked("train", ("clrjit", "1"), tmp_path, output, elsewhere._versions())


def test_a_worker_without_the_folder_says_so(asked, tmp_path):
    with pytest.raises(
        StudyError, match=r"stage train clrjit 1 on a worker: expected the folder .*; mount it"
    ):
        elsewhere._run_here(replace(asked, output=tmp_path / "nowhere" / "output"))


def test_a_worker_with_other_versions_says_so(asked):
    others = (("protoviz", "0.0.1"), *asked.versions[1:])
    with pytest.raises(StudyError, match=r"expected protoviz 0\.0\.1, torch .*, found protoviz"):
        elsewhere._run_here(replace(asked, versions=others))


def test_what_a_worker_refuses_reaches_the_user(workers, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(executor.SCHEDULER, workers)
    monkeypatch.setattr(elsewhere, "_versions", iter([(("torch", "0.1"),), (("torch", "0.2"),)]).__next__)
    with pytest.raises(StudyError, match=r"expected torch 0\.1, found torch 0\.2; install the versions"):
        elsewhere.run("train", ["clrjit", "1"])
    assert not list((tmp_path / ".scratch" / "output").iterdir())


def test_the_size_of_a_cluster_is_that_of_its_workers(workers, monkeypatch):
    monkeypatch.setenv(executor.SCHEDULER, workers)
    assert executor.size() == 3


@pytest.mark.slow
def test_as_many_stages_side_by_side_as_workers(workers, tmp_path, zygote):
    with project.forking(zygote):
        folder = project.create(tmp_path / "study")
        said = project.done(folder, "python", "-m", "protoviz", "repro", "--cluster", workers)
        assert re.search(r"stages to run, 3 side by side", said)
        assert "Nothing to run" in project.done(folder, "python", "-m", "protoviz", "repro")
        project.change(folder, project.KEEP, "keep: [0, 1, 2]")
        nobody = project.call(folder, "python", "-m", "protoviz", "repro", "--cluster", "tcp://127.0.0.1:9")
    assert nobody.returncode == 1
    assert nobody.stderr.startswith("DASK_SCHEDULER_ADDRESS tcp://127.0.0.1:9: expected a dask scheduler")
