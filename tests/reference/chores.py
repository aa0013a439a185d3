"""Tasks for workers: one writes who wrote it, and may end its worker first; one where its workers listen."""

import contextlib
import os
import signal
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from protoviz.errors import StudyError


@dataclass(frozen=True)
class Chore:
    folder: Path
    deadly: int | None = None  # the item whose first worker dies
    always: bool = False  # and every later one
    wrong: int | None = None  # the item that is refused
    lazy: bool = False  # leaves nothing
    meet: bool = False  # no call ends before two processes have been called
    endless: int | None = None  # from this item on, tasks end with their worker only

    def done(self, item):
        return (self.folder / str(item)).exists()

    def __call__(self, item):
        with open(self.folder / "log", "a") as log:
            log.write(f"{item} {os.getpid()}\n")
        wait(lambda: not self.meet or len({process for _, process in self.calls()}) > 1)
        wait(lambda: self.endless is None or item < self.endless)
        if item == self.wrong:
            raise StudyError(f"item {item}", expected="a right one", found="a wrong one", remedy="right it")
        died = self.folder / "died"
        if item == self.deadly and (self.always or not died.exists()):
            died.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if not self.lazy:
            (self.folder / str(item)).write_text(os.environ.get("CUDA_VISIBLE_DEVICES", "none"))

    def made(self):
        return sorted(int(path.name) for path in self.folder.iterdir() if path.name.isdecimal())

    def seen(self):
        """Item -> the devices that its worker saw."""
        return {item: (self.folder / str(item)).read_text() for item in self.made()}

    def calls(self):
        """(item, process) of every call."""
        return [tuple(map(int, line.split())) for line in (self.folder / "log").read_text().splitlines()]


def wait(met):
    deadline = time.monotonic() + 600
    while not met():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@dataclass(frozen=True)
class Ears:
    """A task that notes where its own process and the stage listen, as the system lists it."""

    folder: Path
    stage: int  # a process id

    def done(self, item):
        return (self.folder / str(item)).exists()

    def __call__(self, item):
        assert os.getpid() != self.stage
        heard = [listening(process) for process in (self.stage, os.getpid())]
        (self.folder / str(item)).write_text("\n".join(" ".join(sorted(one)) for one in heard))


def listening(process):
    """The addresses at which a process accepts connections, each with its port: `127.0.0.1:8787`."""
    sockets = set()
    for descriptor in Path(f"/proc/{process}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            sockets.add(str(descriptor.readlink()))
    found = set()
    for table, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        path = Path(f"/proc/{process}/net/{table}")
        rows = path.read_text().splitlines()[1:] if path.exists() else []
        for local, state, inode in ((row[1], row[3], row[9]) for row in map(str.split, rows)):
            if state == "0A" and f"socket:[{inode}]" in sockets:
                host, port = local.split(":")
                words = bytes.fromhex(host)  # words of four bytes in the order of this machine
                turned = b"".join(words[k : k + 4][::-1] for k in range(0, len(words), 4))
                words = turned if sys.byteorder == "little" else words
                found.add(f"{socket.inet_ntop(family, words)}:{int(port, 16)}")
    return found
