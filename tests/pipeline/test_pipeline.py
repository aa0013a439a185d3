"""A miniature study, end to end through DVC, in a copy of the repository."""

import json
import re
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.reference import miniature
from tests.reference.forked import Zygote
from tests.reference.miniature import merged, write_params

ROOT = Path(__file__).parents[2]
FULL = "presets/learnt-prior.yaml"  # the study that trains everything that can be trained

# A few dozen images, narrow networks, few steps: every stage in seconds, most of them for imports.
MINIATURE: dict[str, Any] = {
    "title": "miniature",
    "conditions": {"clrjit": {"cj_prob": 0.8, "random_gray_scale": 0.2}},
    "runs": [1],
    "images": {"size": 40, "unlabeled": 48, "reference": 48, "train": 40, "test": 20},
    "backbone": {"width": 4},
    "train": {"epochs": 1, "keep": [0, 1], "batch_size": 16, "view_size": 32, "projection_dim": 8},
    "reference": {
        "backbone": {"name": "resnet18", "width": 4},
        "train": {"epochs": 1, "view_size": 32, "batch_size": 16, "projection_dim": 8},
    },
    "generator": {"latent_size": 16, "width": 16, "steps": 5, "batch_size": 8},
    "probe": {"max_iter": 100, "adam_epochs": 3},
    "receptive_fields": {"noise": 4, "probes": 2},
    "natural": {"images": 12, "top": 3},
    "synthesis": {"start": {"pool": 32, "top": 2}, "ascent": {"steps": 3}},
    "figures": {"grid_units": 4, "development_units": [0, 1], "more_units": [2, 3], "dpi": 60},
    "training_stages": {
        "network": {"model": "test_byobnet", "size": 32},
        "pretrain": {"epochs": 2, "view_size": 32, "batch_size": 4},
        "domain": {"train": 20, "test": 10},
        "finetune": {"epochs": 2, "view_size": 32, "batch_size": 3},
        "units": {"per_layer": 2},
        "synthesis": {"ascent": {"steps": 3}},
    },
    "projection": {"umap": {"epochs": 20}, "seeds": [0], "permutations": 19, "resamples": 20},
}
STAGES_OF_TRAINING = {
    *(
        "domain",
        "train_stages",
        "synthesize_stages",
        "projection_stages",
        "findings_stages",
        "figures_stages",
    ),
}
KEEPCLR = {"cj_prob": 0.0, "random_gray_scale": 0.0}

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Study:
    """A folder with the miniature study, and the process that its Python programs are forked from."""

    folder: Path
    zygote: Zygote

    def call(self, *command: str) -> subprocess.CompletedProcess[str]:
        return miniature.call(self.folder, *command, zygote=self.zygote)

    def forced(self, stage: str) -> subprocess.CompletedProcess[str]:
        """Run a stage again in a process of its own, with another hash seed than the first time."""
        return miniature.call(self.folder, "dvc", "repro", "--force", "--single-item", stage)

    def repro(self) -> subprocess.CompletedProcess[str]:
        result = self.call("python", "-m", "protoviz", "repro", "-j", "2")
        assert result.returncode == 0, result.stdout + result.stderr
        return result


def stages_run(result: subprocess.CompletedProcess[str]) -> set[str]:
    return set(re.findall(r"^\[stage \d+ of \d+ done.*?\] (\S+) in ", result.stdout, re.MULTILINE))


def outputs(study: Study) -> dict[str, str]:
    """The hash of every output in dvc.lock."""
    stages = YAML(typ="safe").load(study.folder / "dvc.lock")["stages"]
    return {out["path"]: out["md5"] for stage in stages.values() for out in stage["outs"]}


@pytest.fixture(scope="module")
def first(
    tmp_path_factory: pytest.TempPathFactory, zygote: Zygote
) -> tuple[Study, subprocess.CompletedProcess[str]]:
    """A copy of the repository with the miniature study, run once; and what that printed."""
    folder = tmp_path_factory.mktemp("pipeline") / "study"
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file() and not name.startswith(
            (
                "metrics/",
                "figures/",
                "figures_stages/",
                "DATASET.md",
                "dvc.lock",
                "tests/",
                "studies/",
                "published/",
            )
        ):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    write_params(folder, MINIATURE, FULL)
    made = Study(folder, zygote)
    return made, made.repro()


@pytest.fixture(scope="module")
def study(first: tuple[Study, subprocess.CompletedProcess[str]]) -> Study:
    return first[0]


def test_everything_is_made(first: tuple[Study, subprocess.CompletedProcess[str]]) -> None:
    (study, printed), folder = first, first[0].folder
    expected = {"dataset", "reference", "generator", "cube", "metrics@clrjit", "findings", "figures"}
    expected |= STAGES_OF_TRAINING | {"projection", "dataset_card", "atlas", "matching"}
    items = {"train", "probe", "receptive_fields", "synthesize", "distances", "responses", "appearance"}
    assert stages_run(printed) == expected | {f"{stage}@clrjit-1" for stage in items}
    for path in outputs(study):
        assert (folder / path).exists(), path
    assert printed.stdout.rstrip().splitlines()[-1].endswith(".png")
    # DVC found all its outputs ignored by the .gitignore at the top and wrote none of its own.
    made = sorted(path for path in folder.rglob(".gitignore") if ".dvc" not in path.parts)
    assert made == [folder / ".gitignore", folder / "data" / "modes" / ".gitignore"]  # both of git
    left = [path for path in folder.rglob("*.partial") if ".dvc" not in path.parts]
    assert left == []


def test_a_second_time_nothing_is_run(study: Study) -> None:
    again = study.repro()
    assert "Nothing to run" in again.stdout
    assert stages_run(again) == set()
    assert json.loads(study.call("dvc", "status", "--json").stdout) == {}


def test_forced_stages_give_the_same_hashes(study: Study) -> None:
    before = outputs(study)
    for stage in ("train@clrjit-1", "synthesize@clrjit-1"):
        forced = study.forced(stage)
        assert forced.returncode == 0, forced.stdout + forced.stderr
    assert outputs(study) == before


def test_the_cube_opens_with_xarray_alone(study: Study) -> None:
    import xarray as xr

    cube = xr.open_zarr(study.folder / "data" / "cube.zarr", chunks=None).set_xindex(["layer", "channel"])
    image = cube.image.sel(condition="clrjit", run=1, repeat=0, epoch=1, layer="layer3", channel=12)
    assert image.shape == (40, 40, 3)


def test_a_new_condition_runs_only_what_is_new(study: Study) -> None:
    """Its own stages are run here, what sums up would be; without it again, nothing is to be done."""
    before = outputs(study)
    both = {**MINIATURE["conditions"], "keepclr": KEEPCLR}
    write_params(study.folder, {**MINIATURE, "conditions": both}, FULL)
    stale = study.call("python", "-c", "from protoviz.pipeline import driver; print(*driver.stale())")
    summaries = {"cube", "metrics@clrjit", "metrics@keepclr", "findings", "figures"}
    summaries |= {"projection", "dataset_card", "atlas", "matching"}
    items = {"train", "probe", "receptive_fields", "synthesize", "distances", "responses", "appearance"}
    assert set(stale.stdout.split()) == summaries | {f"{stage}@keepclr-1" for stage in items}, stale.stderr
    result = study.call("dvc", "repro", "metrics@keepclr")
    assert result.returncode == 0, result.stdout + result.stderr
    ran = set(re.findall(r"^Running stage '(.*)':", result.stdout, re.MULTILINE))
    assert ran == {"matching", "metrics@keepclr"} | {f"{stage}@keepclr-1" for stage in items}
    after = outputs(study)
    kept = [path for path in before if "clrjit" in path]
    assert kept
    assert {path: after[path] for path in kept} == {path: before[path] for path in kept}

    shown = json.loads(study.call("dvc", "metrics", "show", "--json").stdout)
    files = shown[""]["data"]
    assert {"metrics/clrjit.json", "metrics/keepclr.json"} <= set(files)
    assert "layer1" in files["metrics/keepclr.json"]["data"]
    plots = study.call("dvc", "plots", "show")
    assert plots.returncode == 0
    assert "failed" not in plots.stderr

    write_params(study.folder, MINIATURE, FULL)
    # Pairs of networks are made again; what comes after them is gone through, and is what it was.
    after_pairs = {"metrics@clrjit", "findings", "figures", "atlas"}
    assert stages_run(study.repro()) == {"matching"} | after_pairs
    assert "Nothing to run" in study.repro().stdout
    assert outputs(study).items() >= before.items()


def test_a_clone_is_pulled_whole_and_goes_on(study: Study, tmp_path: Path) -> None:
    """Published into the repository; the images, which are not, are made again where they are needed."""

    def done(where: Study, *command: str) -> str:
        result = where.call(*command)
        assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
        return result.stdout

    identity = ("-c", "user.name=test", "-c", "user.email=test@localhost")
    assert "data/images " in done(study, "python", "-m", "protoviz", "publish")
    done(study, "git", "add", "--all")
    done(study, "git", *identity, "commit", "--quiet", "--message", "published")
    done(study, "git", "clone", "--quiet", "--no-hardlinks", ".", str(tmp_path / "clone"))
    clone = replace(study, folder=tmp_path / "clone")
    done(clone, "dvc", "pull")
    assert done(clone, "dvc", "status").strip() == "Data and pipelines are up to date."
    assert done(clone, "git", "status", "--porcelain") == ""
    assert not list((clone.folder / "data" / "images").glob("*.npy"))
    assert "Nothing to run" in clone.repro().stdout
    done(clone, "python", "-m", "protoviz", "verify")
    before = outputs(clone)
    forced = clone.call("dvc", "repro", "--force", "--single-item", "train@clrjit-1")
    assert forced.returncode == 0, forced.stdout + forced.stderr
    assert "making them again" in forced.stdout
    assert outputs(clone) == before
    assert done(clone, "dvc", "status").strip() == "Data and pipelines are up to date."


@pytest.mark.parametrize(
    ("changes", "arguments", "message"),
    [
        ({"trian": {}}, ("clrjit", "1"), "params.yaml: trian: expected a parameter that exists"),
        ({}, ("nosuch", "1"), "condition 'nosuch': expected one of clrjit"),
        ({}, ("clrjit", "7"), "run '7': expected one of 1, found no such name in params.yaml"),
        ({}, ("clrjit",), "arguments of "),
    ],
)
def test_a_stage_refuses_bad_input_in_one_line(
    zygote: Zygote, tmp_path: Path, changes: dict[str, Any], arguments: tuple[str, ...], message: str
) -> None:
    for package in ("protoviz", "stages"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    study = merged(YAML(typ="safe").load(ROOT / FULL), MINIATURE)
    with open(tmp_path / "params.yaml", "w") as file:
        YAML(typ="safe").dump({**study, **changes}, file)
    result = Study(tmp_path, zygote).call("python", "-m", "stages.distances", *arguments)
    assert result.returncode == 1
    assert result.stderr.startswith(message)
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "data").exists()
