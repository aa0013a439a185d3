"""`make repro`: run what is stale in the pipeline on all cores, and then print the findings.

DVC knows what is stale and records results, but it runs one stage after the other. Here DVC still runs
each stage (`dvc --wait-for-lock repro --single-item`), but several side by side, so that the result is
that of `dvc repro`.
"""

import multiprocessing
import os
import selectors
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from protoviz import files, layout, machine
from protoviz.config import params, studies
from protoviz.errors import StudyError, rerun
from protoviz.pipeline import dvc_lock, executor, prune, resume, stage_process
from protoviz.pipeline.scheduler import Schedule
from protoviz.report import finetuning_table
from protoviz.report.findings_table import table

# What DVC itself prints around the output of a stage.
CHATTER = (
    "Running stage ",
    "> ",
    "Generating lock file",
    "Updating lock file",
    "Use `dvc push`",
    "To track the changes",
    "\tgit add",
    "To enable auto staging",
    "\tdvc config core.autostage",
)
SECONDS_TO_END = 10.0  # for a stage that was asked to stop
# Of glibc's malloc (its manual, "Memory Allocation Tunables"), bytes; other C libraries do not read them.
GLIBC_TUNABLES = ":".join(
    f"glibc.malloc.{name}={value}"
    for name, value in (
        ("hugetlb", 1),
        ("trim_threshold", 1 << 31),
        ("mmap_threshold", 1 << 31),
        ("top_pad", 1 << 26),
    )
)


def repro(jobs: int | None, cluster: str | None = None) -> None:
    """Run what is stale, then print the findings and the figures.

    Args:
        jobs: number of stages side by side; by default the number of cores, one on GPUs, and on a cluster as
            many as its workers can run.
        cluster: address of a dask scheduler, whose workers share the study's folder.

    Raises:
        StudyError: params.yaml is wrong, there is no scheduler at the address, or a stage failed.
    """
    started = time.monotonic()
    study = studies.parse(params.read(layout.PARAMS), str(layout.PARAMS))
    if cluster is not None:
        os.environ[executor.SCHEDULER] = cluster
    if jobs is None and executor.on_cluster():
        jobs = executor.size()
    elif jobs is None:
        # On GPUs one stage after the other, as each spreads its tasks over all of them.
        on_cpu = study.compute.device == "cpu"
        jobs = max(1, machine.cores() // study.compute.threads) if on_cpu else 1
    _prepare_environment(study.compute)
    for path in prune.remove():
        print(f"{path}: removed, as no stage makes it any more (DVC's cache keeps it).")
    needs = stale()
    if needs:
        run(Schedule(needs), min(jobs, len(needs)), _preloaded(needs, study.compute))
        dvc_lock.sort()
        print(f"\nThe study is up to date after {_duration(time.monotonic() - started)}.")
    else:
        print("Nothing to run: the study is up to date.")
    _report()


def stale() -> dict[str, list[str]]:
    """The stages that are stale or depend on one that is -> the stages that each needs, in dvc.yaml's order.

    Raises:
        StudyError: this is not the top of the repository, or DVC cannot read dvc.yaml.
    """
    if not Path("dvc.yaml").is_file():
        raise StudyError(
            str(Path.cwd()),
            expected="the top of the repository, with dvc.yaml",
            found="no such file",
            remedy="change to it and run again",
        )
    import networkx
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo() as repo:
            graph = repo.index.graph  # edges go from a stage to those it needs
            changed = repo.status()
    except DvcException as error:
        raise StudyError.of(
            error,
            "dvc.yaml",
            expected="a pipeline that DVC can run",
            remedy="correct it",
        ) from error
    dirty = {stage for stage in graph if stage.addressing in changed}
    for stage in list(dirty):
        dirty |= networkx.ancestors(graph, stage)
    order = [stage.addressing for stage in repo.index.stages]
    needs = {stage.addressing: [need.addressing for need in graph.successors(stage)] for stage in dirty}
    return {name: needs[name] for name in order if name in needs}


@dataclass(frozen=True)
class Running:
    """A running stage: its process and the end of the pipe from which its output is read."""

    stage: str
    process: ForkServerProcess
    output: Connection


def run(schedule: Schedule, jobs: int, preloaded: bool) -> None:
    """Run all stages of a schedule, `jobs` side by side, and show their output line by line.

    After a failure no further stage is started, and running ones are waited for. On Ctrl-C or SIGTERM
    all are stopped.

    Args:
        schedule: the stages.
        jobs: number of stages side by side.
        preloaded: whether stages run in processes that have the libraries loaded (`stage_process`).

    Raises:
        StudyError: a stage failed.
    """
    # Processes are forked from one that has loaded DVC once, which saves a second for each stage.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        [
            *("__main__", "protoviz.pipeline.driver", "dvc.cli", "dvc.repo", "dvc.commands.repro"),
            *(["protoviz.pipeline.preloaded"] if preloaded else ()),
        ]
    )
    total = len(schedule.needs)
    print(f"{_count(total, 'stage')} to run, {jobs} side by side.", flush=True)
    running: list[Running] = []
    failed: list[str] = []
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with selectors.DefaultSelector() as selector:
            while True:
                while len(running) < jobs and not failed and (stage := schedule.start(time.monotonic())):
                    running.append(_start(context, stage, preloaded))
                    selector.register(running[-1].output, selectors.EVENT_READ, _lines(running[-1]))
                if not running:
                    break
                for key, _ in selector.select():
                    if next(key.data) is not None:
                        continue
                    selector.unregister(key.fileobj)
                    ended = next(item for item in running if item.output is key.fileobj)
                    running.remove(ended)
                    if _succeeded(ended):
                        schedule.finish(ended.stage, time.monotonic())
                        resume.forget(ended.stage)
                        print(_progress(ended.stage, schedule, total, jobs), flush=True)
                    else:
                        failed.append(ended.stage)
                        waiting = f"; waiting for {_count(len(running), 'other stage')}" if running else ""
                        print(f"{ended.stage} | failed{waiting}", file=sys.stderr, flush=True)
    finally:
        _stop(running)
    if failed:
        raise StudyError(
            f"stage {' and '.join(failed)}",
            expected="success",
            found="the error printed above",
            remedy=f"correct its cause and run `{rerun()}` again; what is done is kept",
        )


def _prepare_environment(compute: params.Compute) -> None:
    """Set the environment that the processes of the stages inherit."""
    if compute.device == "cpu":  # the stages side by side keep the cores busy
        os.environ.setdefault(executor.WORKERS, "1")
    for library in ("OMP", "OPENBLAS", "MKL"):
        os.environ[f"{library}_NUM_THREADS"] = str(compute.threads)
    os.environ["PATH"] = (
        f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"  # `python` is ours
    )
    # Memory that tensors leave is kept, in large pages: the system need not clear it for the next ones.
    os.environ.setdefault("GLIBC_TUNABLES", GLIBC_TUNABLES)
    os.environ["PYTHONUNBUFFERED"] = "1"
    os.environ["DVC_NO_ANALYTICS"] = "1"


def _preloaded(needs: Mapping[str, object], compute: params.Compute) -> bool:
    """Whether stages run in processes that have the libraries loaded: on CPUs, where there are several."""
    return len(needs) > 1 and compute.device == "cpu" and stage_process.can_fork()


def _start(context: multiprocessing.context.ForkServerContext, stage: str, preloaded: bool) -> Running:
    reader, writer = context.Pipe(duplex=False)
    process = context.Process(target=_repro_single, args=(stage, writer, preloaded), name=stage)
    process.start()
    writer.close()
    os.set_blocking(reader.fileno(), False)
    return Running(stage, process, reader)


def _repro_single(stage: str, output: Connection, preloaded: bool) -> None:
    """In the new process: run one stage through DVC's own command line, with its output to the pipe."""
    os.setsid()  # Ctrl-C on the terminal is for the parent, which stops this whole group
    for descriptor in (1, 2):
        os.dup2(output.fileno(), descriptor)
    output.close()
    if preloaded:
        stage_process.Waiting().take_over_from_dvc()
    dvc_lock.change_quickly()
    from dvc.cli import main

    sys.exit(main(["--wait-for-lock", "repro", "--single-item", stage]))


def _lines(running: Running) -> Iterator[str | None]:
    """Print the lines that have arrived, each time it is advanced; yield None at the end."""
    rest = b""
    while True:
        chunk = os.read(running.output.fileno(), 1 << 16)
        *lines, rest = (rest + chunk).replace(b"\r", b"\n").split(b"\n")
        for line in lines if chunk else [rest]:
            text = line.decode(errors="replace").rstrip()
            if text and not text.startswith(CHATTER):
                print(f"{running.stage} | {text}", flush=True)
        yield "" if chunk else None


def _succeeded(ended: Running) -> bool:
    ended.output.close()
    ended.process.join()
    return ended.process.exitcode == 0


def _stop(running: list[Running]) -> None:
    """End the process groups that still run: as Ctrl-C does, and after a while by force."""
    deadline = time.monotonic() + SECONDS_TO_END
    for end in (signal.SIGINT, signal.SIGKILL):
        for item in running:
            if item.process.is_alive() and item.process.pid:
                try:
                    os.killpg(item.process.pid, end)
                except ProcessLookupError:
                    continue
        for item in running:
            item.process.join(max(0.0, deadline - time.monotonic()))


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _progress(stage: str, schedule: Schedule, total: int, jobs: int) -> str:
    done = len(schedule.done)
    left = schedule.seconds_left(time.monotonic(), jobs)
    rest = f", about {_duration(left)} left" if done < total and left is not None else ""
    return f"[stage {done} of {total} done{rest}] {stage} in {_duration(schedule.done[stage])}"


def _report() -> None:
    """Print the table of the findings, and where the figures are."""
    if layout.FINDINGS.is_file():
        print(f"\n{table(files.read_json(layout.FINDINGS))}")
    if layout.STAGES_FINDINGS.is_file():
        print(f"\n{finetuning_table.table(files.read_json(layout.STAGES_FINDINGS))}")
    for folder in (layout.FIGURES, layout.FIGURES_STAGES):
        for figure in sorted(folder.glob("*.png")):
            print(figure)


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
