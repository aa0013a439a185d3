"""Run a whole stage as one task of a cluster: a training, a probe, or any stage not made of tasks itself.

The stage's own process asks a worker to run the same command in the same folder, shows what it prints, and
ends with its exit status. The command ends with its worker, so that a lost worker leaves nothing behind that
would keep the next one out. It also ends when the stage that has asked is stopped.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import BinaryIO

import protoviz
from protoviz import files, layout
from protoviz.errors import StudyError
from protoviz.pipeline import executor, resume

INTERRUPTED = 130  # a command's exit status after Ctrl-C
SECONDS = 0.2  # between checks of what was printed, and of whether anybody still waits for it
SECONDS_TO_END = 10.0  # for a command that was asked to end


@dataclass(frozen=True)
class Asked:
    """A stage for a worker to run.

    Attributes:
        stage: its name, "train".
        arguments: the item of its matrix, ("clrjit", "1").
        folder: of the study.
        output: a file for what the command prints; once it is gone, nobody waits any more.
        versions: of the packages that a result depends on.
    """

    stage: str
    arguments: tuple[str, ...]
    folder: Path
    output: Path
    versions: tuple[tuple[str, str], ...]

    @property
    def title(self) -> str:
        """The name of the stage and its item, for messages."""
        return " ".join((f"stage {self.stage}", *self.arguments))


def run(stage: str, arguments: Sequence[str]) -> int:
    """Run a stage on a worker of the cluster, print what it prints, and return its exit status.

    Raises:
        StudyError: there is no scheduler, no worker sees the study's folder, its packages have other
            versions, or workers were lost again and again.
    """
    output = (layout.SCRATCH / "output" / "-".join((stage, *arguments))).absolute()
    files.make_folder(output.parent)
    output.write_bytes(b"")
    asked = Asked(stage, tuple(arguments), Path.cwd(), output, _versions())
    try:
        with executor.cluster() as client, executor.explained(asked.title), open(output, "rb") as printed:
            future = client.submit(_run_here, asked, pure=False)
            while not future.done():
                time.sleep(SECONDS)
                _pass_on(printed)
            _pass_on(printed)
            return int(future.result())
    finally:
        output.unlink(missing_ok=True)


def _pass_on(printed: BinaryIO) -> None:
    """Print what has been added to a file."""
    sys.stderr.buffer.write(printed.read())
    sys.stderr.flush()


def _run_here(asked: Asked) -> int:
    """On the worker: run the stage in a process of its own, and return its exit status.

    Raises:
        StudyError: the worker does not see the study, or has other packages.
    """
    if not asked.output.is_file():
        raise StudyError(
            f"{asked.title} on a worker",
            expected=f"the folder {asked.folder}, which all machines share",
            found="nothing there",
            remedy="mount it at the same path on every worker",
        )
    if (found := _versions()) != asked.versions:
        raise StudyError(
            f"{asked.title} on a worker",
            expected=_shown(asked.versions),
            found=_shown(found),
            remedy="install the versions of the lock file everywhere",
        )
    own = {name: value for name, value in os.environ.items() if name != executor.SCHEDULER}
    own |= {executor.WORKERS: "1", resume.LEASH: "1"}
    with (
        open(asked.output, "ab") as output,
        subprocess.Popen(
            [sys.executable, "-m", f"stages.{asked.stage}", *asked.arguments],
            cwd=asked.folder,
            env=own,
            stdin=subprocess.PIPE,  # it ends when this closes: see `leash`
            stdout=output,
            stderr=output,
            start_new_session=True,
        ) as process,
    ):
        while process.poll() is None:
            if not asked.output.exists():
                _end(process)
                return INTERRUPTED
            time.sleep(SECONDS)
    return process.returncode


def leash() -> None:
    """Make this process, and what it starts, end with the worker that has started it."""
    if not os.environ.get(resume.LEASH):
        return

    def wait() -> None:
        sys.stdin.buffer.read()
        if os.getpgid(0) == os.getpid():  # a group of its own, as `_run_here` gives it
            os.killpg(0, signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=wait, daemon=True).start()


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process by SIGTERM, and after a while by force."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(SECONDS_TO_END)
            return


def _versions() -> tuple[tuple[str, str], ...]:
    return (
        ("protoviz", protoviz.__version__),
        *((name, metadata.version(name)) for name in ("torch", "numpy")),
    )


def _shown(versions: Sequence[tuple[str, str]]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions)
