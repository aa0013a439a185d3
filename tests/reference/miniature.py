"""A study small enough to be killed many times: a copy of the code, with inputs that are quickly made."""

import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from ruamel.yaml import YAML

from protoviz import layout
from protoviz.config import params
from protoviz.models import checkpoints, resnet
from stages import dataset, generator
from tests.reference.forked import Program

ROOT = Path(__file__).parents[2]
STARTED: list[Program] = []
EPOCHS = list(range(3))
CHANGES = {
    "title": "miniature",
    "conditions": {"clrjit": {}},
    "runs": [1],
    "images": {"size": 32, "unlabeled": 32, "reference": 0, "train": 10, "test": 10},
    "backbone": {"width": 4},
    "train": {"epochs": 2, "keep": EPOCHS, "batch_size": 16, "view_size": 32, "projection_dim": 8},
    "prior": {"name": "fourier"},
    "synthesis": {"start": {"pool": 16}, "ascent": {"steps": 4}, "precision": "float32"},
}


def merged(base, changes):
    """`base` with the values of `changes`, block by block; conditions are replaced as a whole."""
    both = dict(base)
    for name, value in changes.items():
        inner = isinstance(value, dict) and name != "conditions"
        both[name] = merged(base[name], value) if inner else value
    return both


def write_params(folder, changes=CHANGES, study="params.yaml"):
    """The parameters of a study of the repository, by default the default, with changes."""
    with open(folder / "params.yaml", "w") as file:
        YAML(typ="safe").dump(merged(YAML(typ="safe").load(ROOT / study), changes), file)


def make(folder):
    """A repository with the code, miniature parameters, images, checkpoints (untrained) and a prior."""
    for package in ("protoviz", "stages"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / ".dvc", folder / ".dvc", ignore=shutil.ignore_patterns("tmp", "cache"))
    for name in ("dvc.yaml", ".gitignore", ".dvcignore", "requirements.lock"):
        shutil.copy(ROOT / name, folder / name)
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    write_params(folder)
    with contextlib.chdir(folder):
        for stage in (dataset, generator):
            stage.main(params.load(layout.PARAMS))
    for epoch in EPOCHS:
        network = resnet.initial("resnet18", 4, epoch)
        identity = checkpoints.Checkpoint("clrjit", 1, epoch, "resnet18", 4, initial_weights="")
        target = checkpoints.path(folder / layout.checkpoints("clrjit", 1), epoch)
        checkpoints.save(target, network, identity)
    return folder


def environment(folder, **variables):
    """With `python` and `dvc` of the environment that runs the tests; one worker, if nothing else is said."""
    return {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(folder),
        "DVC_SITE_CACHE_DIR": str(folder.parent / "site"),
        "DVC_NO_ANALYTICS": "1",
        "OMP_NUM_THREADS": "1",
        "PROTOVIZ_WORKERS": "1",
        **variables,
    }


def call(folder, *command, zygote=None, **variables):
    """A command in the study, to its end; its Python programs are forked from a zygote, if there is one."""
    own = environment(folder, **variables)
    return subprocess.run(
        command,
        cwd=folder,
        env=zygote.serving(own) if zygote else own,
        capture_output=True,
        text=True,
        timeout=1200,
    )


def start(folder, zygote, *arguments, **variables):
    """Fork `python ARGUMENTS` in the study, in a process group of its own, and what it starts, too.

    Its output goes to a file beside the study.
    """
    output = folder.parent / "output.txt"
    output.unlink(missing_ok=True)
    own = zygote.serving(environment(folder, **variables))
    STARTED.append(zygote.start(*arguments, folder=folder, environment=own, output=output))
    return STARTED[-1]


def end():
    """End what was started and still runs, as after a test that has failed."""
    while STARTED:
        program = STARTED.pop()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(program.pid, signal.SIGKILL)
        program.wait()


def hashes(path):
    """Name -> digest of every file of a folder, hidden ones included."""
    return {
        str(file.relative_to(path)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(path.rglob("*"))
        if file.is_file()
    }
