"""What Python runs at its start where tests put this folder on its path: the zygote does the work, if it can.

A program that is a module or a file is forked there (see `forked.py`). This process stands for it: signals
that it gets it hands on, and it ends as the program does. Every other start of Python is what it always is.
"""

import os
import sys
from pathlib import Path


def _forked() -> bool:
    """Not `python -c`, not the processes of multiprocessing."""
    kind = sys.orig_argv[1] if len(sys.orig_argv) > 1 else "-"
    return kind == "-m" or not kind.startswith("-")


def _stand_for_it() -> None:
    import signal

    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    import forked

    asking = forked.ask(os.environ[forked.ADDRESS], sys.orig_argv[1:], Path.cwd(), os.environ, [0, 1, 2])
    program = int(asking.readline())
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, lambda number, _: os.kill(program, number))
    code = int(asking.readline())
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


if "TEST_ZYGOTE" in os.environ and _forked():
    _stand_for_it()
