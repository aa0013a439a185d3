"""Ends what a test has started and what that has started, however the test itself ends.

Daemons leave the group and the session of those who start them, but they keep a mark in their environment,
such as a variable that names a folder of the test. Run as `python orphans.py MARK` it waits for the end of
its input, which comes at the latest when the process at the other end dies, and then kills what has the mark.
"""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path


@contextlib.contextmanager
def ended(mark):
    """After the block, or when this process is killed in it, no process has NAME=VALUE in its environment."""
    command = [sys.executable, "-E", "-S", __file__, mark]
    watch = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
    try:
        yield
    finally:
        watch.stdin.close()
        watch.wait()


def marked(mark):
    """The ids of the processes that have NAME=VALUE in their environment, but for this one."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended, or is another user's
            if mark.encode() in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
    return [process for process in found if process != os.getpid()]


def _kill(mark):
    while processes := marked(mark):  # until they have begun no more
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)


if __name__ == "__main__":
    sys.stdin.buffer.read()
    _kill(sys.argv[1])
