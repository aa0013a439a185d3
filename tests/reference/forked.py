"""Starts Python programs by forking a process that has imported the libraries: in a tenth of a second.

Run as a script it is that process: it imports the modules that it is told, listens at a socket, and for
every connection forks a process that becomes the program asked for, as `python -m NAME` or `python FILE`
would: with its arguments, folder, environment and streams. The program is killed when the process that
asked for it dies. Our own code is not imported before the fork, so that a program runs the code of its own
folder. All programs of one such process share its hash seed: a test that compares what two programs write,
and would see the order of a set, starts its second one without.

Programs that others start, such as DVC, come here through `sitecustomize.py` in the folder `startup`.
"""

import contextlib
import gc
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
import traceback
from pathlib import Path

STARTUP = Path(__file__).parent / "startup"
ADDRESS = "TEST_ZYGOTE"  # environment variable: the socket, for programs that others start
EARLY = {signal.SIGINT, signal.SIGTERM}


class Zygote:
    """The process, as the tests use it."""

    def __init__(self, folder, *modules):
        self._address = str(folder / "zygote")
        self._process = subprocess.Popen(
            [sys.executable, __file__, self._address, *modules],
            stdout=subprocess.PIPE,
            env={name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", ADDRESS)},
            start_new_session=True,
        )
        assert self._process.stdout.read() == b"ready\n"

    def serving(self, environment):
        """The same environment, but `python` is forked from this process."""
        path = f"{STARTUP}{os.pathsep}{environment.get('PYTHONPATH', '')}"
        return {**environment, ADDRESS: self._address, "PYTHONPATH": path}

    def start(self, *arguments, folder, environment, output):
        """Start `python ARGUMENTS` in a process group of its own; its output is added to a file."""
        with open(output, "ab") as file, open(os.devnull, "rb") as nothing:
            streams = [nothing.fileno(), file.fileno(), file.fileno()]
            return Program(ask(self._address, arguments, folder, environment, streams, group=True))

    def close(self):
        """End it."""
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()


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


def ask(address, arguments, folder, environment, streams, group=False):
    """The stream that tells the process id of a new program, and then its return code."""
    said = {
        "arguments": list(map(str, arguments)),
        "folder": str(folder),
        "environment": dict(environment),
        "group": group,
    }
    with socket.socket(socket.AF_UNIX) as asking:
        asking.connect(address)
        socket.send_fds(asking, [json.dumps(said).encode() + b"\n"], streams)
        return asking.makefile("rb", buffering=0)


def _serve(address):
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address)
        listening.listen(64)
        signal.signal(signal.SIGCHLD, _bury)
        print("ready", flush=True)
        os.close(1)
        os.open(os.devnull, os.O_WRONLY)
        while True:
            connection, _ = listening.accept()
            if os.fork() == 0:
                listening.close()
                _begin(connection)
            connection.close()


def _bury(*_):
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _begin(connection):
    """In a new process: start the program, and tell what becomes of it."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    text, streams, _, _ = socket.recv_fds(connection, 1 << 16, 3)
    while not text.endswith(b"\n"):
        text += connection.recv(1 << 16)
    said = json.loads(text)
    signal.pthread_sigmask(signal.SIG_BLOCK, EARLY)  # the program lets them through when it can end of them
    program = os.fork()
    if program == 0:
        connection.close()
        _become(said, streams)
    if said["group"]:  # here and there, whoever is first: it has its group before anyone knows its id
        with contextlib.suppress(PermissionError, ProcessLookupError):
            os.setpgid(program, program)
    threading.Thread(target=_end_with, args=(connection, program), daemon=True).start()
    for stream in streams:
        os.close(stream)
    with contextlib.suppress(BrokenPipeError):
        connection.sendall(b"%d\n" % program)
        connection.sendall(b"%d\n" % os.waitstatus_to_exitcode(os.waitpid(program, 0)[1]))
    os._exit(0)


def _end_with(connection, program):
    """Kill the program when the process at the other end has died: it stands for the program."""
    with contextlib.suppress(ConnectionError, ProcessLookupError):
        if not connection.recv(1):
            os.kill(program, signal.SIGKILL)


def _become(said, streams):
    """In the program's own process: what Python does from its start to its end."""
    if said["group"]:
        os.setpgid(0, 0)
    for descriptor, stream in enumerate(streams):
        os.dup2(stream, descriptor)
        os.close(stream)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(said["folder"])
    os.environ.clear()
    os.environ.update(said["environment"])
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)
    path = [one for one in os.environ.get("PYTHONPATH", "").split(os.pathsep) if one]
    kind, *arguments = said["arguments"]
    is_module = kind == "-m"
    sys.path[:1] = [str(Path.cwd()) if is_module else str(Path(kind).resolve().parent), *path]
    sys.argv = arguments if is_module else [kind, *arguments]
    sys.orig_argv = [sys.executable, *said["arguments"]]
    code = 0
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, EARLY)
        if is_module:
            runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(kind, run_name="__main__")
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
    address, *modules = sys.argv[1:]
    for module in modules:
        __import__(module)
    gc.freeze()  # or every program would copy the pages that its first collection marks
    _serve(address)
