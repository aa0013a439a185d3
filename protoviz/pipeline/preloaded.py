"""Imports what stages import (`stage_process.LIBRARIES`), in the process that they are forked from."""

import contextlib
import importlib

from protoviz.pipeline import stage_process

for _library in stage_process.LIBRARIES:
    # The stage that needs it says what is missing or broken; the others do without.
    with contextlib.suppress(Exception):
        importlib.import_module(_library)
