"""What of some folders would be on the disk if the power went off, recorded while a program writes.

The recorder looks at the folders before every call that opens a file to write, makes, renames, links or
removes something (Python's audit events), and around every `os.fsync`. What a disk has for certain at such a
moment is, for each file, what it held when it was last synced, and for each folder the names that it had when
it was last synced. The rest may be there or not, in any order: `Cut` gives the worst cases.

The recorder reads the files themselves, so that it sees what C code has written, too. It does not see a sync
that C code makes, and takes for lost what is safe then; of what C code does between two calls of Python it
sees the outcome alone, not the states between. It knows nothing of disks that lie about what they have.

Run as `python power.py RECORD STAGE ITEM...` it does what `python -m stages.STAGE ITEM...` does, records what
becomes of `FOLDERS`, and notes each shard that the stage calls written.
"""

import os
import pickle
import random
import runpy
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path

FOLDERS = (".scratch", "data/prototypes")
CALLS = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


@dataclass(frozen=True)
class Moment:
    """The disk between two calls. Files and folders have numbers, which are never used again.

    Attributes:
        said: what comes next or has just been, such as "os.rename", "synced" or what the program notes.
        names: folder -> name -> number of what has that name, as every program sees it.
        held: file -> its bytes, likewise.
        safe_names, safe_held: the same as they were last synced.
    """

    said: str
    names: dict[int, dict[str, int]]
    held: dict[int, bytes]
    safe_names: dict[int, dict[str, int]]
    safe_held: dict[int, bytes]


@dataclass
class Recorder:
    """Records what becomes of folders within the folder `top` while it is entered.

    What is there when it begins counts as synced.
    """

    top: Path
    folders: tuple[str, ...]
    moments: list[Moment] = field(default_factory=list)

    def __post_init__(self):
        self.top = self.top.resolve()
        self._wanted = [Path(folder).parts for folder in self.folders]
        self._numbers, self._given = {}, 0  # number of each inode that has a name; how many were given
        self._seen = {}  # file -> (when it was changed, its bytes)
        self._safe_names, self._safe_held = {}, {}
        self._lock, self._looking = threading.RLock(), False
        self._on = False

    def __enter__(self):
        self._names, self._held = self._look()
        self._safe_names, self._safe_held = dict(self._names), dict(self._held)
        self._sync, os.fsync = os.fsync, self._synced
        self._on = True
        sys.addaudithook(self._heard)  # for good: a hook cannot be removed
        return self

    def __exit__(self, *_):
        self.note("end")
        self._on = False
        os.fsync = self._sync

    def note(self, said):
        """Record the disk as it is now."""
        with self._lock:
            self._looking = True
            try:
                self._names, self._held = self._look()
            finally:
                self._looking = False
            self.moments.append(
                Moment(said, self._names, self._held, dict(self._safe_names), dict(self._safe_held))
            )

    def _heard(self, event, arguments):
        if not self._on or self._looking:
            return
        if event in CALLS or (event == "open" and arguments[2] & WRITING):
            self.note(event)

    def _synced(self, descriptor):
        self.note("os.fsync")
        self._sync(descriptor)
        with self._lock:
            number = self._numbers.get(os.fstat(descriptor).st_ino)
            if number in self._names:
                self._safe_names[number] = self._names[number]
            elif number in self._held:
                self._safe_held[number] = self._held[number]
        self.note("synced")

    def _look(self):
        while True:
            names, held, alive = {}, {}, {}
            try:
                self._visit(self.top, (), names, held, alive)
            except FileNotFoundError:  # another thread has renamed or removed it meanwhile: look again
                continue
            self._numbers = alive
            return names, held

    def _visit(self, path, parts, names, held, alive):
        """Look at a folder and what is in it; its number."""
        number = self._number(Path(path).stat().st_ino, alive)
        inside = names.setdefault(number, {})
        for entry in sorted(os.scandir(path), key=lambda entry: entry.name):
            here = (*parts, entry.name)
            if not any(here[: len(one)] == one[: len(here)] for one in self._wanted):
                continue
            if entry.is_dir(follow_symlinks=False):
                inside[entry.name] = self._visit(entry.path, here, names, held, alive)
            else:
                state = entry.stat(follow_symlinks=False)
                one = inside[entry.name] = self._number(state.st_ino, alive)
                changed = (state.st_mtime_ns, state.st_size)
                if self._seen.get(one, (None,))[0] != changed:
                    self._seen[one] = (changed, _content(entry))
                held[one] = self._seen[one][1]
                if entry.is_symlink():
                    self._safe_held[one] = held[one]
        return number

    def _number(self, inode, alive):
        if inode not in alive:
            if inode not in self._numbers:
                self._given += 1
            alive[inode] = self._numbers.get(inode, self._given)
        return alive[inode]


class Cut:
    """What may be on the disk after the power went off at a moment: path -> bytes, None for a folder."""

    @staticmethod
    def forgetful(moment):
        """Nothing that was not synced; of a file, not even a byte."""
        return _tree(moment, moment.safe_names, moment.safe_held)

    @staticmethod
    def names_first(moment):
        """All names as programs saw them, but of the contents only what was synced."""
        return _tree(moment, moment.names, moment.safe_held)

    @staticmethod
    def mixed(moment, seed):
        """Of what was not synced some names, and of some files all, half or nothing."""
        rng = random.Random(seed)
        names = {}
        for folder in moment.names.keys() | moment.safe_names.keys():
            safe, seen = moment.safe_names.get(folder, {}), moment.names.get(folder, {})
            names[folder] = dict(safe)
            for name in sorted(safe.keys() | seen.keys()):
                if safe.get(name) != seen.get(name) and rng.random() < 0.5:
                    names[folder].pop(name, None)
                    names[folder] |= {name: seen[name]} if name in seen else {}
        held = {}
        for file in sorted(moment.held.keys() | moment.safe_held.keys()):
            safe = moment.safe_held.get(file, b"")
            seen = moment.held.get(file, safe)
            held[file] = safe if safe == seen else rng.choice([safe, seen, seen[: len(seen) // 2], b""])
        return _tree(moment, names, held)


def _content(entry):
    """The bytes of a file; what a symbolic link says, which its folder keeps."""
    return str(Path(entry.path).readlink()).encode() if entry.is_symlink() else Path(entry.path).read_bytes()


def _tree(moment, names, held):
    folders = moment.names.keys() | moment.safe_names.keys()
    found = {}

    def visit(folder, path):
        for name, number in names.get(folder, {}).items():
            here = f"{path}/{name}" if path else name
            if number in folders:
                found[here] = None
                visit(number, here)
            else:
                found[here] = held.get(number, b"")

    visit(1, "")  # the top, which was looked at first
    return found


def record(log, stage, item):
    """Run a stage in the folder that is current, and keep its moments in a file."""
    from protoviz.synthesis import shard_tasks

    recorder = Recorder(Path.cwd(), FOLDERS)
    write = shard_tasks.cube.write_shard

    def noted(path, address, shard):
        write(path, address, shard)
        recorder.note(f"written {address.epoch} {address.repeat}")

    shard_tasks.cube.write_shard = noted
    sys.argv = [stage, *item]
    with recorder:
        runpy.run_module(f"stages.{stage}", run_name="__main__", alter_sys=True)
    with open(log, "wb") as file:  # without the name of the class, which here is another module's
        pickle.dump([vars(moment) for moment in recorder.moments], file)


def recorded(log):
    """The moments of a file of `record`."""
    return [Moment(**moment) for moment in pickle.loads(Path(log).read_bytes())]


if __name__ == "__main__":
    _, log, stage, *item = sys.argv
    sys.path.pop(0)  # this folder
    record(log, stage, item)
