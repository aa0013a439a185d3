"""A task for workers: writes one file that says who wrote it, and may end its worker first."""

import os
import signal
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

    def done(self, item):
        return (self.folder / str(item)).exists()

    def __call__(self, item):
        with open(self.folder / "log", "a") as log:
            log.write(f"{item} {os.getpid()}\n")
        time.sleep(0.1)
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
