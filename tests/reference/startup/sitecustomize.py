"""What Python runs at its start where tests put this folder on its path: the zygote does the work, if it can.

A program that is a module or a file, or a process of multiprocessing, is forked there (see `forked.py`). This
process stands for it: signals that it gets it hands on, and it ends as the program does. Every other start
of Python is what it always is.
"""

import os
import sys
from pathlib import Path

SPAWNED = ("from multiprocessing.spawn import spawn_main", "from multiprocessing.forkserver import main")


def _forked() -> list[str]:
    """The arguments of a program to be forked; none for any other `python -c`."""
    arguments = sys.orig_argv[1:]
    if arguments[:1] == ["-B"]:  # of processes of multiprocessing, where the environment says so
        arguments = arguments[1:]
    kind, what = (*arguments, "-", "-")[:2]
    spawned = kind == "-c" and what.startswith(SPAWNED)
    return arguments if spawned or kind == "-m" or not kind.startswith("-") else []


def _opened() -> dict[int, int]:
    """What this process was given by the one that started it."""
    listed = list(Path("/proc/self/fd").iterdir())
    return {int(one.name): int(one.name) for one in listed if one.exists()}  # the list itself is closed again


def _stand_for(arguments: list[str]) -> None:
    import signal

    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    import forked

    opened = _opened()
    asking = forked.ask(os.environ[forked.ADDRESS], arguments, Path.cwd(), os.environ, opened)
    program = int(asking.readline())
    for descriptor in set(opened) - {0, 1, 2}:
        os.close(descriptor)  # a pipe is closed when the program closes it
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, lambda number, _: os.kill(program, number))
    code = int(asking.readline())
    if code < 0:
        if -code != signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


if "TEST_ZYGOTE" in os.environ and (arguments := _forked()):
    _stand_for(arguments)
