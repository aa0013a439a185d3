"""Programs that wait at a chosen moment, so that a test ends them at a moment that it knows.

The moment is an event of `sys.audit`: every file that Python renames, opens or makes is one, and so is, here,
every gradient that torch computes. The first program that comes to it notes its process id in a file and goes
on when that file has been emptied. Programs are told so by an environment variable where they are forked
(see `forked.py`).
"""

import fnmatch
import functools
import json
import os
import sys
import time
from pathlib import Path

VARIABLE = "TEST_HOLD"
GRADIENT = "torch.gradient"


class Hold:
    """A moment at which a program waits.

    Args:
        note: a file that does not exist yet, where a program says that it waits.
        program: what is in its command line.
        event: of `sys.audit`, or GRADIENT.
        place: pattern of a path that the event is about.
        count: the how manieth of these.
    """

    def __init__(self, note, program, event, place="*", count=1):
        self._note, said = note, {"note": str(note), "program": program, "event": event}
        self.variables = {VARIABLE: json.dumps({**said, "place": place, "count": count})}

    @property
    def held(self):
        """The id of the process that waits, or None."""
        text = self._note.read_text() if self._note.exists() else ""
        return int(text) if text.endswith("\n") else None

    def release(self):
        """Let it go on."""
        self._note.write_text("")


def install(said, arguments):
    """In the program: wait at the moment, if it is the one that should."""
    if said["program"] not in " ".join(arguments):
        return
    if said["event"] == GRADIENT:
        _tell_of_gradients()
    left = said["count"]

    def heard(event, about):
        nonlocal left
        if event == said["event"] and any(fnmatch.fnmatch(path, said["place"]) for path in _paths(about)):
            left -= 1
            if left == 0:
                _wait(Path(said["note"]))

    sys.addaudithook(heard)


def _paths(about):
    return [os.fsdecode(one) for one in about if isinstance(one, str | bytes | os.PathLike)]


def _wait(note):
    try:
        with note.open("x") as file:
            file.write(f"{os.getpid()}\n")
    except FileExistsError:
        return
    while note.stat().st_size:
        time.sleep(0.01)


def _tell_of_gradients():
    import torch

    def telling(compute):
        @functools.wraps(compute)
        def told(*arguments, **others):
            sys.audit(GRADIENT, "")
            return compute(*arguments, **others)

        return told

    for name in ("grad", "backward"):
        setattr(torch.autograd, name, telling(getattr(torch.autograd, name)))
