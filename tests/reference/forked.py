"""Starts Python programs by forking a process that has imported the libraries: in a tenth of a second.

Run as a script it is that process: it listens at a socket, imports `LIBRARIES` when it is first asked, and
for every connection forks a process that becomes the program asked for, as `python -m NAME` or `python FILE`
would: with its arguments, folder, environment, open files and blocked signals. So do the processes that
multiprocessing spawns. The program is killed when the process that asked for it dies. Our own code is not
imported before the fork, so that a program runs the code of its own folder. All programs of one such process
share its hash seed: a test that compares what two programs write, and would see the order of a set, starts
its second one without.

Programs that others start, such as DVC, come here through `sitecustomize.py` in the folder `startup`.
"""

import contextlib
import fcntl
import functools
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from pathlib import Path

STARTUP = Path(__file__).parent / "startup"
ADDRESS = "TEST_ZYGOTE"  # environment variable: the socket, for programs that others start
LIBRARIES = (  # what stages, DVC and dask import
    *("dask.__main__", "distributed", "distributed.cli.dask_scheduler", "distributed.cli.dask_worker"),
    *("dvc.cli", "dvc.repo", "dvc.commands.data_sync", "dvc.commands.repro", "dvc.commands.status"),
    *("lightly.loss", "lightly.models.modules.heads", "matplotlib.pyplot", "pytorch_lightning", "timm"),
    *("pydantic", "ruamel.yaml", "scipy.stats", "sklearn.linear_model", "torchvision", "umap"),
    *("xarray", "zarr"),
)
EARLY = {signal.SIGINT, signal.SIGTERM}
HIGH = 512  # descriptors from here on are nobody's


@contextlib.contextmanager
def process():
    """Within the block there is such a process, and this one's environment has its address."""
    with tempfile.TemporaryDirectory(prefix="zygote-") as folder:
        address = str(Path(folder) / "socket")
        own = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        command = [sys.executable, __file__, address]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=own, start_new_session=True
        ) as started:
            assert started.stdout.read() == b"ready\n"
            os.environ[ADDRESS] = address
            try:
                yield
            finally:
                del os.environ[ADDRESS]
                started.kill()


class Zygote:
    """The process, as the tests use it."""

    def __init__(self):
        self._address = os.environ[ADDRESS]

    def serving(self, environment):
        """The same environment, but `python` is forked from this process."""
        path = f"{STARTUP}{os.pathsep}{environment.get('PYTHONPATH', '')}"
        return {**environment, ADDRESS: self._address, "PYTHONPATH": path}

    def start(self, *arguments, folder, environment, output):
        """Start `python ARGUMENTS` in a process group of its own; its output is added to a file."""
        with open(output, "ab") as file, open(os.devnull, "rb") as nothing:
            streams = {0: nothing.fileno(), 1: file.fileno(), 2: file.fileno()}
            return Program(ask(self._address, arguments, folder, environment, streams, group=True))


class Program:
    """A program that was started: its process id, and its return code once it has ended, as of Popen."""

    def __init__(self, connection):
        self._connection = connection
        self.pid = int(connection.readline())
        self.returncode = None

    def poll(self):
        """The return code, or None while it runs."""
        if self.returncode is None and select.select([self._connection], [], [], 0)[0]:
            self.wait()
        return self.returncode

    def wait(self):
        """The return code, once it has ended."""
        if self.returncode is None:
            with self._connection:
                self.returncode = int(self._connection.readline())
        return self.returncode


def ask(address, arguments, folder, environment, opened, group=False):
    """The stream that tells the process id of a new program, and then its return code.

    `opened` are its open files: the number that it knows one by -> the number that it has here.
    """
    said = {
        "arguments": list(map(str, arguments)),
        "folder": str(folder),
        "environment": dict(environment),
        "opened": list(opened),
        "blocked": [int(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, ())],
        "group": group,
    }
    with socket.socket(socket.AF_UNIX) as asking:
        asking.connect(address)
        socket.send_fds(asking, [json.dumps(said).encode() + b"\n"], list(opened.values()))
        return asking.makefile("rb", buffering=0)


def _serve(address):
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address)
        listening.listen(64)
        print("ready", flush=True)
        os.close(1)
        os.open(os.devnull, os.O_WRONLY)
        # When the other end of its input is closed, whoever began it has ended.
        while listening in select.select([listening, sys.stdin], [], [])[0]:
            connection, _ = listening.accept()
            _import()
            if os.fork() == 0:
                listening.close()
                _begin(connection)
            connection.close()


@functools.cache
def _import():
    for module in LIBRARIES:
        importlib.import_module(module)
    gc.freeze()  # or every program would copy the pages that its first collection marks
    signal.signal(signal.SIGCHLD, _bury)


def _bury(*_):
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _begin(connection):
    """In a new process: start the program, and tell what becomes of it."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    text, received, _, _ = socket.recv_fds(connection, 1 << 16, 64)
    while not text.endswith(b"\n"):
        text += connection.recv(1 << 16)
    said = json.loads(text)
    signal.pthread_sigmask(signal.SIG_BLOCK, EARLY)  # the program lets them through when it can end of them
    program = os.fork()
    if program == 0:
        connection.close()
        _become(said, received)
    if said["group"]:  # here and there, whoever is first: it has its group before anyone knows its id
        with contextlib.suppress(PermissionError, ProcessLookupError):
            os.setpgid(program, program)
    threading.Thread(target=_end_with, args=(connection, program), daemon=True).start()
    for descriptor in received:
        os.close(descriptor)
    with contextlib.suppress(BrokenPipeError):
        connection.sendall(b"%d\n" % program)
        connection.sendall(b"%d\n" % os.waitstatus_to_exitcode(os.waitpid(program, 0)[1]))
    os._exit(0)


def _end_with(connection, program):
    """Kill the program when the process at the other end has died: it stands for the program."""
    with contextlib.suppress(ConnectionError, ProcessLookupError):
        if not connection.recv(1):
            os.kill(program, signal.SIGKILL)


def _become(said, received):
    """In the program's own process: what Python does from its start to its end."""
    if said["group"]:
        os.setpgid(0, 0)
    aside = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, HIGH) for descriptor in received]
    for descriptor in received:
        os.close(descriptor)
    for descriptor, number in zip(aside, said["opened"], strict=True):
        os.dup2(descriptor, number)
        os.close(descriptor)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(said["folder"])
    os.environ.clear()
    os.environ.update(said["environment"])
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)
    if held.VARIABLE in os.environ:
        held.install(json.loads(os.environ[held.VARIABLE]), said["arguments"])
    path = [one for one in os.environ.get("PYTHONPATH", "").split(os.pathsep) if one]
    kind, *arguments = said["arguments"]
    is_file = kind not in ("-m", "-c")
    sys.path[:1] = [str(Path(kind).resolve().parent) if is_file else str(Path.cwd()), *path]
    sys.argv = [kind, *arguments] if is_file else arguments if kind == "-m" else ["-c", *arguments[1:]]
    sys.orig_argv = [sys.executable, *said["arguments"]]
    code = 0
    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, said["blocked"])
        if is_file:
            runpy.run_path(kind, run_name="__main__")
        elif kind == "-m":
            runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
        else:
            exec(arguments[0], {"__name__": "__main__"})
    except SystemExit as end:
        code = end.code
        if not isinstance(code, int):
            code = 0 if code is None else print(code, file=sys.stderr) or 1
    except KeyboardInterrupt:  # before the program could catch it
        code = 130
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    import held

    _serve(sys.argv[1])
