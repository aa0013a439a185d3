"""Run the tasks of a long stage: in the stage itself, side by side in local processes, or on a cluster.

Each task writes files of its own and depends on nothing but its item, so that the result is the same
whatever the number of workers and the order in which they work. The number of workers is therefore not a
parameter of the study. The environment sets it, by the first of these that is set:

    DASK_SCHEDULER_ADDRESS  the scheduler of a dask cluster, whose workers see the same files
    PROTOVIZ_WORKERS        that many local processes; 1: the tasks run in the stage itself
    neither                 one process for each GPU, or for each core where there is none to use

`make repro` sets PROTOVIZ_WORKERS to 1, since it runs as many stages side by side as there are cores.
"""

import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import resource_tracker
from typing import Any, Generic, TypeVar

from protoviz import machine
from protoviz.errors import StudyError
from protoviz.progress import track

Item = TypeVar("Item")
Answer = TypeVar("Answer")
Slot = Mapping[str, str]  # environment variables of a worker process, such as the one GPU that it sees

SCHEDULER = "DASK_SCHEDULER_ADDRESS"
WORKERS = "PROTOVIZ_WORKERS"
SECONDS_TO_CONNECT = 20
QUIET = logging.CRITICAL  # for dask's own messages about its workers
LOOPBACK = "127.0.0.1"
LOSSES = 3  # times that a task may lose its worker before the task is blamed for it


def run(
    function: Callable[[Item], None],
    items: Sequence[Item],
    *,
    title: str,
    done: Callable[[Item], bool],
    slots: Sequence[Slot] | None = None,
) -> None:
    """Call `function(item)` for every item that is not done; the tasks of a worker that dies go to another.

    Args:
        function: makes what `done` looks for. Both are sent to other processes, so they have to be functions
            of a module, partials of such, or methods or objects of a class of a module.
        items: what the tasks are for.
        title: name of the tasks in the plural, for progress.
        done: whether the result of an item is complete.
        slots: the places for local workers; by default one for each core.

    Raises:
        StudyError: a task failed, lost its workers again and again, or did not leave what it should; there
            is no scheduler at the address; or PROTOVIZ_WORKERS is not a number.
    """
    waiting = [item for item in items if not done(item)]
    if len(waiting) < len(items):
        kept = len(items) - len(waiting)
        print(f"{title}: {kept} of {len(items)} kept from an earlier run", file=sys.stderr, flush=True)
    if not waiting:
        return
    places = _places([{}] * machine.cores() if slots is None else slots)[: len(waiting)]
    if len(places) == 1 and not on_cluster():
        for item in track(waiting, title):
            function(item)
    else:
        _distribute(_Once(function, done), waiting, title, places)
    for item in waiting:
        if not done(item):
            raise StudyError(
                f"{title}: {item}",
                expected="its file, now that its task has ended",
                found="none",
                remedy="let the workers see the same folders at the same paths as the stage",
            )


@dataclass(frozen=True)
class _Once(Generic[Item]):
    """A task that does nothing if it is done already: dask may send it again after losing a worker."""

    function: Callable[[Item], None]
    done: Callable[[Item], bool]

    def __call__(self, item: Item) -> None:
        if not self.done(item):
            self.function(item)


def ask(function: Callable[[], Answer]) -> Answer:
    """What a function returns on a machine where the tasks will run: on the cluster, or else here."""
    if not on_cluster():
        return function()
    with cluster() as client, explained("the cluster"):
        answer: Answer = client.submit(function, pure=False).result()
        return answer


def on_cluster() -> bool:
    """Whether the environment names a scheduler."""
    return bool(os.environ.get(SCHEDULER))


def size() -> int:
    """How many tasks the workers of the cluster can run at a time, at least 1.

    Raises:
        StudyError: there is no scheduler at the address.
    """
    with cluster() as client:
        return max(1, sum(client.nthreads().values()))


def _places(slots: Sequence[Slot]) -> list[Slot]:
    """One slot for every local worker; if there are more workers than slots, they share them."""
    asked = os.environ.get(WORKERS)
    if asked and not (asked.isdecimal() and int(asked) > 0):
        raise StudyError(WORKERS, expected="a number from 1", found=repr(asked), remedy="correct or unset it")
    return [slots[number % len(slots)] for number in range(int(asked) if asked else len(slots))]


def _distribute(
    function: Callable[[Item], None], items: Sequence[Item], title: str, places: Sequence[Slot]
) -> None:
    from distributed import as_completed

    with cluster(places) as client, explained(title):
        running = as_completed(loop=client.loop)
        running.update([client.submit(function, item, pure=False) for item in items])
        for future in track(running, title, total=len(items)):
            future.result()
            future.release()  # dask would recompute results that are held if the worker that had them is lost


@contextlib.contextmanager
def cluster(places: Sequence[Slot] = ()) -> Iterator[Any]:
    """A client of the scheduler that the environment names, or of one with local worker processes.

    Raises:
        StudyError: there is no scheduler at the address.
    """
    import distributed

    address = os.environ.get(SCHEDULER)
    if address:
        try:
            client = distributed.Client(address, set_as_default=False, timeout=SECONDS_TO_CONNECT)
        except (OSError, ValueError) as error:
            raise StudyError.of(
                error,
                f"{SCHEDULER} {address}",
                expected="a dask scheduler",
                remedy="start it (`dask scheduler`), or unset the variable to work on this machine alone",
            ) from error
        with client:
            yield client
        return
    # Any free port for dask's own pages, too: otherwise every scheduler on a machine takes port 8787.
    local = {"host": LOOPBACK, "dashboard": False, "dashboard_address": f"{LOOPBACK}:0"}
    workers = {
        number: {
            "cls": distributed.Nanny,  # starts a process, and a new one if it dies
            # Without a limit: otherwise dask would pause a worker for its use of memory, for good.
            "options": {**local, "nthreads": 1, "memory_limit": 0, "silence_logs": QUIET, "env": dict(place)},
        }
        for number, place in enumerate(places)
    }
    scheduler = {"cls": distributed.Scheduler, "options": {**local, "allowed_failures": LOSSES}}
    with contextlib.ExitStack() as stack:
        with _undisturbed():
            cluster = distributed.SpecCluster(workers, scheduler, silence_logs=QUIET)
            stack.enter_context(_ended(cluster))
            client = stack.enter_context(distributed.Client(cluster, set_as_default=False))
        yield client


@contextlib.contextmanager
def _ended(cluster: Any) -> Iterator[None]:
    """End a cluster after the block, whose tasks are done.

    On a machine that is busy with other things, distributed before 2026.8 fails if a worker that it has
    killed takes more than a second to disappear.
    """
    cluster.__enter__()
    try:
        yield
    finally:
        with contextlib.suppress(TimeoutError):
            cluster.__exit__(None, None, None)


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Delay Ctrl-C and SIGTERM until the end of the block, and keep them from the processes begun in it.

    A terminal sends Ctrl-C to all processes of a stage; only the stage should get it, which ends its workers.
    """
    resource_tracker.ensure_running()  # which unblocks them, when a process is started for the first time
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def explained(title: str) -> Iterator[None]:
    """Turn dask's errors about lost workers or a lost scheduler into ours.

    Raises:
        StudyError: workers or the scheduler were lost.
    """
    from concurrent.futures import CancelledError

    from distributed import KilledWorker

    try:
        yield
    except KilledWorker as error:
        raise StudyError(
            title,
            expected="tasks that leave their worker alive",
            found=f"one that lost {LOSSES} workers",
            remedy="look for want of memory; use fewer workers",
        ) from error
    except CancelledError as error:
        raise StudyError(
            title,
            expected="a scheduler until the last task",
            found="none any more",
            remedy="start it again and run the stage again; what is done is kept",
        ) from error
