"""A stage as it is, but a log tells when each prototype search begins and ends.

It is run as `python noted.py LOG STAGE ITEM...`, which does what `python -m stages.STAGE ITEM...` does.
"""

import runpy
import sys
import time


def note(log):
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
    _, log, stage, *item = sys.argv
    sys.path.pop(0)  # this folder
    note(log)
    sys.argv = [stage, *item]
    runpy.run_module(f"stages.{stage}", run_name="__main__", alter_sys=True)
