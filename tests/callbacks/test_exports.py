"""What `protoviz.callbacks` gives where a library is absent, in fresh interpreters."""

import json
import subprocess
import sys
from importlib.util import find_spec

import pytest

LIBRARIES = {"HuggingFace": ["transformers"], "Lightning": ["lightning", "pytorch_lightning"]}
CODE = """
import importlib.metadata, json, sys
sys.modules.update(dict.fromkeys({absent}))  # importing these fails
there = importlib.metadata.distribution
def distribution(name):  # nor do libraries that look for them find them
    if name.replace("-", "_") in {absent}:
        raise importlib.metadata.PackageNotFoundError(name)
    return there(name)
importlib.metadata.distribution = distribution
from protoviz.callbacks import *
given = sorted(set(dir()) & {exports})
try:
    from protoviz.callbacks import {lacking}
except ImportError as error:
    print(json.dumps([given, str(error)]))
"""


@pytest.mark.parametrize(
    ("lacking", "says"),
    [
        (
            "HuggingFace",
            "expected transformers to be installed, found no such package; run `pip install transformers`",
        ),
        (
            "Lightning",
            "expected Lightning to be installed, found neither lightning nor pytorch_lightning; "
            "run `pip install lightning`",
        ),
    ],
)
def test_a_star_import_gives_what_is_installed_and_the_rest_says_what_to_install(lacking, says):
    exports = {"Checkpoints", "log_spaced", *LIBRARIES}
    code = CODE.format(absent=LIBRARIES[lacking], exports=exports, lacking=lacking)
    run = [sys.executable, "-W", "ignore", "-c", code]
    given, said = json.loads(subprocess.run(run, capture_output=True, text=True, check=True).stdout)
    installed = {name for name, ones in LIBRARIES.items() if any(find_spec(one) for one in ones)}
    assert given == sorted({"Checkpoints", "log_spaced"} | installed - {lacking})
    assert said.startswith(f"protoviz.callbacks.{lacking}: {says}; any other loop can call")
