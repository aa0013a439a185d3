"""Run a stage's Python in a process that has loaded the libraries, instead of one that loads them anew.

DVC starts each stage as `python -m stages.NAME`, which spends two to five seconds on importing torch and what
comes with it. The driver's processes are forked from one that has imported all that (`LIBRARIES`). There,
`Waiting` forks once more, before DVC begins, and hands DVC's command to that process. Any other command DVC
runs as it always does. Our own code is never taken from the process that was forked: a stage imports that of
the study's folder.
"""

import importlib
import json
import os
import runpy
import shlex
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any

# What stages import that takes long, but for umap, which two of them need and which takes longest.
LIBRARIES = (
    *("torch", "torchvision", "timm", "xarray", "zarr", "pydantic", "ruamel.yaml", "scipy.stats"),
    *("sklearn.linear_model", "lightly.loss", "lightly.models.modules.heads", "pytorch_lightning"),
)
OWN = ("protoviz", "stages")
# A command with one of these needs a shell.
SHELL_ONLY = frozenset("|&;<>()$`\\\"'*?[]#~=%!{}\n")


def can_fork() -> bool:
    """Whether a process with these libraries can be forked: elsewhere than on Linux, some break."""
    return sys.platform == "linux"


class Waiting:
    """A child of this process that waits to be told which Python program it is; without word it just ends."""

    def __init__(self) -> None:
        reader, self._writer = os.pipe()
        self._process = os.fork()
        if self._process == 0:
            os.close(self._writer)
            _become_what_is_told(reader)
        os.close(reader)

    def take_over_from_dvc(self) -> None:
        """Let the child run the first command of a stage that DVC runs in this process, if it is able to."""
        from dvc.stage import run

        # Not part of DVC's public interface; if a new version has another, each stage loads what it needs.
        if hasattr(run, "_run"):
            run._run = self._runner(run._run)

    def _runner(self, ordinary: Callable[..., None]) -> Callable[..., None]:
        def run(executable: str, command: str, **options: Any) -> None:
            arguments = module_and_arguments(command)
            if arguments is None or self._writer < 0:
                ordinary(executable, command, **options)
                return
            status = self._run(arguments, options["cwd"], options["env"])
            if status:
                from dvc.stage.exceptions import StageCmdFailedError

                raise StageCmdFailedError(command, status)

        return run

    def _run(self, arguments: Sequence[str], folder: str, environment: dict[str, str]) -> int:
        """The child's return code, as a shell tells it. Ctrl-C is for the child alone, as under DVC."""
        told = {"arguments": arguments, "folder": str(folder), "environment": environment}
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            with os.fdopen(self._writer, "w") as writer:
                self._writer = -1
                json.dump(told, writer)
            code = os.waitstatus_to_exitcode(os.waitpid(self._process, 0)[1])
            return code if code >= 0 else 128 - code
        finally:
            signal.signal(signal.SIGINT, before)


def module_and_arguments(command: str) -> list[str] | None:
    """The words after `python -m` of a command that runs one of our stages; None if it needs a shell.

    >>> module_and_arguments("python -m stages.train clrjit 1")
    ['stages.train', 'clrjit', '1']
    >>> module_and_arguments("python -m stages.train clrjit 1 > log")
    """
    if not command.startswith("python -m stages.") or SHELL_ONLY & set(command):
        return None
    return shlex.split(command)[2:]


def _become_what_is_told(reader: int) -> None:
    """In the child: wait, and then do as `python -m MODULE ARGUMENTS` does, to its end."""
    at_interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN)  # it ends with DVC while it waits
    with os.fdopen(reader) as stream:
        text = stream.read()
    if not text:
        sys.exit(0)
    told = json.loads(text)
    os.environ.clear()
    os.environ.update(told["environment"])
    os.chdir(told["folder"])
    module, *arguments = told["arguments"]
    sys.path[0] = told["folder"]
    sys.argv = [module, *arguments]
    sys.orig_argv = [sys.executable, "-m", module, *arguments]
    for name in [name for name in sys.modules if name.split(".")[0] in OWN]:
        del sys.modules[name]
    importlib.invalidate_caches()
    signal.signal(signal.SIGINT, at_interrupt)
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except KeyboardInterrupt:  # before the stage could catch it
        sys.exit(130)
    except Exception as error:
        stage_alone = error.__traceback__ and error.__traceback__.tb_next  # without this function
        sys.excepthook(type(error), error.with_traceback(stage_alone), stage_alone)
        sys.exit(1)
    sys.exit(0)
