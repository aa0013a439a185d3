"""Starts stages by forking a process that has imported torch: in a tenth of a second, not in four.

Run as a script it is that process: it reads one start for each line, as JSON, and answers with a process id.
What a stage does in it is what `python -m stages.<name>` does. With a log, it notes when a prototype search
begins and ends, and changes nothing of it.
"""

import json
import os
import runpy
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path


class Zygote:
    """The process, as the tests use it."""

    def __init__(self, environment, folder):
        script = Path(__file__).resolve()
        self.process = subprocess.Popen(
            [sys.executable, script],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._ask("ready") == "ready"

    def _ask(self, *words):
        self.process.stdin.write(json.dumps(words) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def start(self, stage, output, log=None):
        """Start a stage for clrjit, run 1, in a process group of its own; its output is added to a file."""
        return self._ask("start", stage, str(output), str(log) if log else "")

    def wait(self, process):
        """Wait for the end of a stage; its return code, negative for a signal."""
        return self._ask("wait", process)

    def close(self):
        """End it."""
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def _serve():
    import pytorch_lightning  # noqa: F401 (slow to import, so imported before any fork)

    import stages.synthesize
    import stages.train  # noqa: F401

    for line in sys.stdin:
        word, *rest = json.loads(line)
        if word == "ready":
            answer = "ready"
        elif word == "start":
            answer = os.fork()
            if answer == 0:
                _become(*rest)
        else:
            answer = os.waitstatus_to_exitcode(os.waitpid(rest[0], 0)[1])
        print(json.dumps(answer), flush=True)


def _become(stage, output, log):
    """In the new process: the stage, and nothing after it."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for descriptor in (1, 2):
        os.dup2(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND), descriptor)
    if log:
        _note(log)
    sys.argv = [stage, "clrjit", "1"]
    code = 0
    try:
        for module in [name for name in sys.modules if name == f"stages.{stage}"]:
            del sys.modules[module]
        runpy.run_module(f"stages.{stage}", run_name="__main__", alter_sys=False)
    except SystemExit as end:
        code = end.code or 0
    except KeyboardInterrupt:  # before the stage could catch it
        code = 130
    except BaseException:
        traceback.print_exc()
        code = 99
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _note(log):
    from protoviz.synthesis import shard_tasks

    search = shard_tasks.prototypes

    def noted(*arguments, address, **others):
        for word in ("begin", "end"):
            with open(log, "a") as file:
                file.write(f"{word} {address.epoch} {address.repeat} {time.time()}\n")
            if word == "begin":
                shard = search(*arguments, address=address, **others)
        return shard

    shard_tasks.prototypes = noted


if __name__ == "__main__":
    _serve()
