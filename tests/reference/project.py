"""A repository with a pipeline of real DVC stages that make toy prototypes in no time."""

import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from protoviz.cli.main import main

ROOT = Path(__file__).parents[2]
KEEP, RUNS = "keep: [0, 2, 4]", "runs: [1, 2]"  # whatever those of the default study are

PIPELINE = """
stages:
  train:
    matrix: {condition: "${conditions}", run: "${runs}"}
    cmd: python make.py train ${item.condition} ${item.run}
    params: ["conditions.${item.condition}"]
    outs: ["data/checkpoints/${item.condition}-${item.run}"]
  synthesize:
    matrix: {condition: "${conditions}", run: "${runs}"}
    cmd: python make.py synthesize ${item.condition} ${item.run}
    deps: ["data/checkpoints/${item.condition}-${item.run}"]
    params: [synthesis, train.keep]
    outs: ["data/prototypes/${item.condition}-${item.run}.zarr"]
  metrics:
    matrix: {condition: "${conditions}"}
    cmd: python make.py metrics ${item.condition}
    deps: [data/checkpoints, data/prototypes]
    metrics:
      - metrics/${item.condition}.json: {cache: false}
  curves:
    cmd: python make.py curves
    deps: [data/checkpoints]
    params: [conditions, runs]
    outs:
      - metrics/curves: {cache: false}
  cube:
    cmd: python make.py cube
    deps: [data/prototypes]
    params: [conditions, runs]
    outs: [data/cube.zarr]
plots:
  - metrics/curves:
      template: by_condition
      x: epoch
      y: value
"""

MAKE = """
import json, pathlib, sys
from ruamel.yaml import YAML
from protoviz import files, layout

def network(condition, run):
    folder = layout.checkpoints(condition, int(run))
    folder.mkdir(parents=True)
    for epoch in study["train"]["keep"]:
        text = f"{[condition, run]} {epoch} {study['conditions'][condition]}"
        (folder / layout.checkpoint(epoch)).write_text(text)

def prototypes(condition, run):
    from protoviz.config.synthesis import Synthesis
    from tests.reference import prototypes as toy
    run = int(run)
    epochs, repeats = tuple(study["train"]["keep"]), tuple(range(study["synthesis"]["repeats"]))
    sources = {epoch: layout.checkpoints(condition, run) / layout.checkpoint(epoch) for epoch in epochs}
    about = {
        "title": "The cube of prototypes",
        "synthesis": Synthesis.model_validate(study["synthesis"]).recorded(),
        "checkpoint_sha256": {
            layout.item(condition, run): {str(epoch): files.sha256(path) for epoch, path in sources.items()}
        },
    }
    extent = toy.template((condition,), (run,), repeats, epochs)
    toy.write_cube(layout.prototypes(condition, run), extent, about)

def metrics(condition):
    names = sorted(path.name for path in pathlib.Path("data/prototypes").iterdir())
    strength = study["conditions"][condition].get("cj_strength", study["augment"]["cj_strength"])
    files.write_json(layout.metrics(condition), {"stores": len(names), "layer1": {"diversity": strength}})

def curves():
    files.write_csv(
        layout.CURVES / "diversity.csv",
        [
            {"condition": c, "run": r, "epoch": e, "value": e * own.get("cj_strength", 1.0) + r}
            for c, own in study["conditions"].items()
            for r in study["runs"]
            for e in study["train"]["keep"]
        ],
    )

def cube():
    from protoviz.store.cube_linking import link_cube
    link_cube(layout.CUBE, [layout.prototypes(c, r) for c in study["conditions"] for r in study["runs"]])

study = YAML(typ="safe").load(pathlib.Path("params.yaml"))
stage, *item = sys.argv[1:]
with open("../log.txt", "a") as log:
    log.write("@".join([stage, "-".join(item)]).rstrip("@") + "\\n")
stages = {"train": network, "synthesize": prototypes, "metrics": metrics, "curves": curves, "cube": cube}
stages[stage](*item)
"""


def environment(folder):
    own = {
        "PYTHONPATH": str(ROOT),
        "DVC_SITE_CACHE_DIR": str(folder.parent / "site"),
        "DVC_GLOBAL_CONFIG_DIR": str(folder.parent / "global"),
        "DVC_NO_ANALYTICS": "1",
        "OMP_NUM_THREADS": "1",
        "GIT_AUTHOR_NAME": "test",
        "GIT_AUTHOR_EMAIL": "test@localhost",
        "GIT_COMMITTER_NAME": "test",
        "GIT_COMMITTER_EMAIL": "test@localhost",
        "GIT_CONFIG_GLOBAL": os.devnull,
    }
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, **own, "PATH": path}


_zygote = None  # what Python programs are forked from


@contextlib.contextmanager
def forking(zygote):
    """Within the block, Python programs are forked from a process that has imported their libraries."""
    global _zygote
    _zygote = zygote
    try:
        yield
    finally:
        _zygote = None


def call(folder, *command):
    """A command in a folder, with `python` and `dvc` of the environment that runs this test."""
    own = environment(folder)
    own = _zygote.serving(own) if _zygote else own
    return subprocess.run(command, cwd=folder, env=own, capture_output=True, text=True, timeout=1200)


def done(folder, *command):
    """The same, which has to succeed."""
    result = call(folder, *command)
    assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
    return result.stdout


def protoviz(folder, *arguments):
    """A command of ours in this process, which has DVC loaded already: its status and what it prints."""
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(io.StringIO()) as out,
        contextlib.redirect_stderr(io.StringIO()) as err,
        contextlib.chdir(folder),
    ):
        for name, value in environment(folder).items():
            patch.setenv(name, value)
        patch.setattr(sys, "argv", ["protoviz", *arguments])
        status = 0
        try:
            main()
        except SystemExit as exit_:
            status = exit_.code
    return subprocess.CompletedProcess(arguments, status, out.getvalue(), err.getvalue())


def create(folder):
    """The repository, committed, not yet run."""
    folder.mkdir(parents=True)
    (folder / "dvc.yaml").write_text(PIPELINE)
    (folder / "make.py").write_text(MAKE)
    for name in ("params.yaml", ".gitignore", ".gitattributes", ".dvcignore"):
        shutil.copy(ROOT / name, folder)
    for own in (KEEP, RUNS):
        name = own.partition(":")[0]
        change(folder, re.search(rf"\b{name}: \[.*?\]", (ROOT / "params.yaml").read_text())[0], own)
    change(
        folder, re.search(r"runs: .* # whose networks", (ROOT / "params.yaml").read_text())[0], "runs: null #"
    )
    shutil.copytree(
        ROOT / ".dvc", folder / ".dvc", ignore=shutil.ignore_patterns("tmp", "cache", "config.local")
    )
    done(folder, "git", "init", "--quiet", "--initial-branch", "main")
    done(folder, "git", "add", "--all")
    done(folder, "git", "commit", "--quiet", "--message", "study")
    return folder


def ran(folder):
    """The stages that ran since the last call."""
    path = folder.parent / "log.txt"
    lines = path.read_text().splitlines() if path.exists() else []
    path.unlink(missing_ok=True)
    return lines


def change(folder, old, new):
    """Edit params.yaml."""
    text = (folder / "params.yaml").read_text()
    assert old in text
    (folder / "params.yaml").write_text(text.replace(old, new, 1))
