"""Write a new study of checkpoints in a folder of its own: params.yaml, dvc.yaml and what DVC needs."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from protoviz import layout
from protoviz.errors import StudyError
from protoviz.pipeline import study_files

_MATRIX = {"condition": "${conditions}", "run": "${runs}"}
_ITEM = "${item.condition}-${item.run}"
_PARAMS_HEADER = """\
# A study of checkpoints. Every value is checked; an unknown name is an error.
# After a change, `protoviz repro` runs only what depends on it. `protoviz init` has found what stands here.

"""
_PIPELINE_HEADER = """\
# The study, left to right: `protoviz repro` runs what is stale on all cores, `dvc repro` serially.
# Stages depend on what they read and on parameters, not on the version of protoviz, which the stores name:
# after an upgrade, `dvc repro --force` makes everything anew.
"""
# The stage `modes` may have no runs: its folder exists nevertheless, as later stages depend on it.
_EMPTY = "*\n!.gitignore\n"
_IGNORED = "/data/*\n!/data/modes/\n/.scratch\n__pycache__\n"


def write(folder: Path, params: Mapping[str, Any], sources: Mapping[tuple[str, int], Sequence[Path]]) -> None:
    """Write the files of a study, and make the repositories that it needs.

    Args:
        folder: of the study; it is made if it does not exist.
        params: what params.yaml holds.
        sources: (condition, run) -> files of its checkpoints, as the study names them.

    Raises:
        StudyError: there is a study already, the folder is not writable, or git or DVC fails.
    """
    for name in (layout.PARAMS, layout.PIPELINE):
        if (folder / name).exists():
            raise StudyError(
                str(folder / name),
                expected="a folder without a study",
                found="one that has one",
                remedy="name another folder, or change this study by hand",
            )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        study_files.write(folder / layout.PARAMS, _PARAMS_HEADER + study_files.yaml(params))
        study_files.write(
            folder / layout.PIPELINE, _PIPELINE_HEADER + study_files.yaml(pipeline(params, sources))
        )
        study_files.write(folder / "README.md", _readme(params))
        for place, ignored in (("", _IGNORED), (layout.modes("", 0).parent, _EMPTY)):
            if not (folder / place / ".gitignore").exists():
                study_files.write(folder / place / ".gitignore", ignored)
    except OSError as error:
        raise StudyError.of(
            error, str(folder), expected="a folder that can be written to", remedy="name another one"
        ) from error
    _repositories(folder)


def pipeline(params: Mapping[str, Any], sources: Mapping[tuple[str, int], Sequence[Path]]) -> dict[str, Any]:
    """The contents of dvc.yaml.

    The files of checkpoints are named one by one, so that DVC sees when one has changed.
    """
    natural, probed = params["natural"] is not None, params["probe"] is not None
    code = study_files.code(params["checkpoints"]["network"])
    stages: dict[str, Any] = {}

    def stage(name: str, deps: list[str], uses: list[str], outs: list[Any], *, each: bool = False) -> None:
        entry: dict[str, Any] = {"matrix": _MATRIX} if each else {}
        words = ["python -m", f"stages.{name}", *(["${item.condition} ${item.run}"] * each)]
        stages[name] = {**entry, "cmd": " ".join(words), "deps": deps, "params": uses, "outs": outs}

    for (condition, run), paths in sources.items():
        item = layout.item(condition, run)
        stages[f"checkpoints-{item}"] = {
            "cmd": f"python -m stages.checkpoints {condition} {run}",
            "deps": [*map(str, paths), *code],
            "params": ["checkpoints", "conditions", "runs"],
            "outs": [str(layout.checkpoints(condition, run))],
        }
    checkpoints, prototypes = f"data/checkpoints/{_ITEM}", f"data/prototypes/{_ITEM}.zarr"
    fields, distances = f"data/receptive_fields/{_ITEM}.zarr", f"data/distances/{_ITEM}.zarr"
    if natural:
        stage("dataset", [], ["images"], [str(layout.IMAGES)])
    stage(
        "receptive_fields",
        [checkpoints, *code],
        ["compute", "checkpoints", "receptive_fields", "synthesis.objective"],
        [fields],
        each=True,
    )
    stage(
        "synthesize",
        [checkpoints, *code],
        ["compute", "checkpoints", "prior", "synthesis"],
        [prototypes],
        each=True,
    )
    stage("cube", ["data/prototypes"], ["conditions", "runs"], [str(layout.CUBE)])
    stage("distances", [prototypes, fields], ["compute", "distances"], [distances], each=True)
    stage(
        "appearance",
        [prototypes, fields, distances],
        [],
        [f"data/appearance/{_ITEM}.zarr", f"data/units/{_ITEM}.zarr"],
        each=True,
    )
    stage(
        "modes",
        [checkpoints, fields, *code],
        ["compute", "checkpoints", "prior", "synthesis", "distances", "modes"],
        [f"data/modes/{_ITEM}.zarr"],
        each=True,
    )
    stages["modes"]["matrix"] = {**_MATRIX, "run": "${modes.runs}"}
    if natural:
        stage(
            "responses",
            [str(layout.IMAGES), checkpoints, prototypes, *code],
            ["compute", "checkpoints", "natural", "synthesis.objective", "synthesis.batch_size"],
            [f"data/natural/{_ITEM}.zarr"],
            each=True,
        )
    stage(
        "matching",
        ["data/prototypes", "data/receptive_fields", "data/distances", *["data/natural"] * natural],
        ["checkpoints", "conditions", "runs", "matching"],
        [str(layout.MATCHING)],
    )
    if probed:
        stage(
            "probe",
            [str(layout.IMAGES), checkpoints, *code],
            ["compute", "checkpoints", "probe"],
            [f"metrics/probe/{_ITEM}.csv"],
            each=True,
        )
        stages["probe"]["metrics"] = [_uncached(f"metrics/probe/{_ITEM}.json")]
    found = ["data/distances", "data/units", "data/appearance", *["data/natural"] * natural]
    found += [str(layout.MATCHING), "data/modes"]
    found += ["metrics/probe"] * probed
    stage("projection", [str(layout.CUBE)], ["compute", "projection"], [str(layout.projection("study"))])
    classes = [f"{layout.IMAGES}/classes.json"] * natural
    stages["metrics"] = {
        "matrix": {"condition": "${conditions}"},
        "cmd": "python -m stages.metrics ${item.condition}",
        "deps": found,
        "params": ["runs", "modes.runs"],
        "metrics": [_uncached("metrics/${item.condition}.json")],
    }
    stage("findings", [*classes, *found], ["title", "conditions", "runs", "modes.runs"], [])
    stages["findings"]["outs"] = [_uncached(str(layout.FINDINGS)), _uncached(str(layout.CURVES))]
    stage(
        "figures",
        [*classes, str(layout.CUBE), "data/receptive_fields", *found, str(layout.FINDINGS)],
        ["title", "conditions", "runs", "figures", "modes.runs"],
        [],
    )
    stages["figures"]["outs"] = [_uncached(str(layout.FIGURES))]
    stage(
        "atlas",
        [
            *(str(layout.CUBE), "data/projection", "data/receptive_fields", *found),
            *(str(layout.FINDINGS), str(layout.CURVES)),
        ],
        ["title", "conditions", "runs", "atlas"],
        [str(layout.ATLAS)],
    )
    return {"stages": stages}


def _uncached(path: str) -> dict[str, Any]:
    """An output that git keeps rather than DVC, as it is text or a picture."""
    return {path: {"cache": False}}


def _repositories(folder: Path) -> None:
    """Make a git repository around the folder, and a DVC repository in it, if there is none."""

    def run(*command: str) -> str:
        try:
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            said = getattr(error, "stderr", "") or str(error)
            raise StudyError(
                str(folder),
                expected=f"`{' '.join(command[-2:])}` to work",
                found=said.strip(),
                remedy="see above",
            ) from error
        return done.stdout.strip()

    try:
        top = run("git", "rev-parse", "--show-toplevel")
    except StudyError:
        run("git", "init", "--quiet")
        top = str(folder.resolve())
    if not (folder / ".dvc").exists():
        below = [] if Path(top).resolve() == folder.resolve() else ["--subdir"]
        run(sys.executable, "-m", "dvc", "init", "--quiet", *below)


def _readme(params: Mapping[str, Any]) -> str:
    return f"""\
# {params["title"]}

The prototypes of the units of `{params["checkpoints"]["network"]}` along its training, made by protoviz.

    protoviz repro     # runs what is stale
    protoviz atlas     # shows the prototypes in a browser

params.yaml says what is looked at. The prototypes lie in data/cube.zarr, which xarray opens:

    cube = xarray.open_zarr("data/cube.zarr", chunks=None).set_xindex(["layer", "channel"])
"""
