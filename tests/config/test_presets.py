"""The studies of the paper: the stages of study A and the atlas, on miniature data in the true formats.

The test makes what the presets read: STL-10 in its binary layout, a weight file of the fc6 generator, weight
files of torchvision. Sizes and counts of the presets are reduced, places named, and nothing else is changed.
"""

import functools
import hashlib
import importlib
import itertools
from pathlib import Path
from typing import Any

import pytest
import torch
import xarray as xr
from ruamel.yaml import YAML

import stages
from protoviz import files, layout
from protoviz.analysis.findings import CLAIMS
from protoviz.config import params
from protoviz.data import stl10
from protoviz.models.priors import deepsim
from protoviz.report import findings_table
from tests.reference import weight_files

ROOT = Path(__file__).parents[2]
COUNTS = {"unlabeled": 24, "train": 20, "test": 20}
EMBEDDERS = ["resnet50", "pixels", "reference"]  # of twelve

REDUCED: dict[str, Any] = {
    "runs": [1],
    "images": {"reference": 8},
    "backbone": {"width": 1},
    "train": {"epochs": 1, "keep": [0, 1], "batch_size": 8, "projection_dim": 4},
    "reference": {"backbone": {"width": 1}, "train": {"epochs": 1, "batch_size": 8, "projection_dim": 4}},
    "probe": {"max_iter": 100, "adam_epochs": 2},
    "receptive_fields": {"noise": 3},
    "synthesis": {"evolution": {"generations": 1, "samples": 2}, "ascent": {"steps": 1}, "rescue": 0},
    "distances": {"embedders": EMBEDDERS},
    "figures": {"grid_units": 4, "development_units": [1, 2], "more_units": [3], "dpi": 60},
    "projection": {"umap": {"epochs": 10}, "seeds": [0], "permutations": 19, "resamples": 20},
}
OWN: dict[str, dict[str, Any]] = {  # what only one of them reads
    "paper": {
        "synthesis": {"evolution": {"parents": 1}},
        "modes": {"runs": [1], "restarts": 2, "kept": 2, "epochs": [1], "per_layer": 1},  # off in the preset
    },
    "as-written": {"receptive_fields": {"probes": 2}},
}
CONDITIONS = {"paper": ["clrjit", "keepclr"], "as-written": ["keepclr"]}
# Both have study B as the default has it, small: tests/pipeline/test_pipeline.py runs it.
STUDY_B = {"domain", "train_stages", "synthesize_stages", "projection_stages", "findings_stages"}
STUDY_B |= {"figures_stages", "dataset_card"}  # the card describes both cubes

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what others publish, in miniature: stl10/, fc6.pt, torchvision/."""
    folder = tmp_path_factory.mktemp("published")
    (folder / "stl10").mkdir()
    stl10.write_procedural(folder / "stl10", 0, COUNTS)
    torch.save(deepsim.build(0).state_dict(), folder / "fc6.pt")
    weight_files.write(folder / "torchvision", "resnet50")
    return folder


def miniature(name: str, published: Path) -> params.Params:
    """A preset with sizes and counts reduced and its places named."""
    raw = YAML(typ="safe").load(ROOT / "presets" / f"{name}.yaml")
    places = {
        "images": {"path": str(published / "stl10")},
        "prior": {"weights": str(published / "fc6.pt")},
        "distances": {"weights": str(published / "torchvision")},
    }
    small = merged(merged(merged(raw, REDUCED), OWN[name]), places)
    small["conditions"] = {one: raw["conditions"][one] for one in CONDITIONS[name]}
    return params.parse(small, name)


def merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    nested = {key: merged(base[key], value) for key, value in changes.items() if isinstance(value, dict)}
    return {**base, **changes, **nested}


def leaves(values: Any, place: str = "") -> dict[str, Any]:
    if not isinstance(values, dict):
        return {place: values}
    return {
        k: v for key, value in values.items() for k, v in leaves(value, f"{place}.{key}".strip(".")).items()
    }


def valued(values: Any, name: str) -> Any:
    """What a dotted name stands for: runs, modes.runs."""
    return functools.reduce(lambda inner, key: inner[key], name.split("."), values)


def run_pipeline(study: params.Params) -> list[str]:
    """Every stage of study A in dvc.yaml for every item of its matrix, in this process; what was run."""
    raw = study.model_dump()
    ran = []
    listed = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]
    assert set(listed) >= STUDY_B
    # The atlas stands before what it shows: DVC orders stages by their files.
    for name in sorted(set(listed) - STUDY_B, key=lambda name: (name == "atlas", list(listed).index(name))):
        stage = listed[name]
        main = importlib.import_module(f"stages.{name}").main
        axes = [list(valued(raw, axis.strip("${}"))) for axis in stage.get("matrix", {}).values()]
        for item in itertools.product(*axes):
            main(study, **stages.item(main, study, [str(value) for value in item]))
            ran.append(" ".join(map(str, (name, *item))))
    return ran


@pytest.mark.parametrize("name", ["paper", "as-written"])
def test_preset_runs_through_every_stage_of_study_a(
    name: str, published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torchvision.datasets import STL10

    # Small files that pass for the real ones: torchvision is told their MD5 sums, we their number.
    for listed in ("train_list", "test_list"):
        folder = published / "stl10" / "stl10_binary"
        sums = [
            [file, hashlib.md5((folder / file).read_bytes()).hexdigest()]
            for file, _ in getattr(STL10, listed)
        ]
        monkeypatch.setattr(STL10, listed, sums)
    monkeypatch.setattr(stl10, "COUNTS", COUNTS)
    monkeypatch.setenv("PROTOVIZ_WORKERS", "1")
    monkeypatch.chdir(tmp_path)
    study = miniature(name, published)
    ran = run_pipeline(study)
    assert [one for one in ran if "synthesize" in one] == [f"synthesize {c} 1" for c in CONDITIONS[name]]
    assert ran[0] == "dataset"

    cube = xr.open_zarr(layout.CUBE, chunks=None)
    assert dict(cube.sizes) | {"unit": 15, "repeat": 2, "epoch": 2, "component": 4096} == dict(cube.sizes)
    assert (cube.status != 0).all()
    spaces = xr.open_zarr(layout.distances("keepclr", 1), chunks=None)
    assert spaces.embedder.values.tolist() == EMBEDDERS
    found = files.read_json(layout.FINDINGS)
    if name == "paper":
        assert [one["id"] for one in found["findings"]] == list(CLAIMS)
        assert all(one["missing"] for one in found["findings"])  # with one run there is no interval
        assert found["findings"][0]["space"] == "resnet50 mse masked"
    else:  # one condition alone is not of the paper's form
        assert found["kind"] == "general"
        assert found["space"] == "resnet50 mse masked"
    assert max(map(len, findings_table.table(found).splitlines())) <= 100
    assert (layout.FIGURES / "g2_diversity.pdf").is_file()
    assert (layout.ATLAS / "index.html").is_file()


@pytest.mark.parametrize("name", ["paper", "as-written"])
def test_nothing_but_sizes_counts_and_places_is_changed(name: str, published: Path) -> None:
    preset = leaves(params.load(ROOT / "presets" / f"{name}.yaml").model_dump())
    study = leaves(miniature(name, published).model_dump())
    left_out = {key for key in preset if key.split(".")[1:2] in [["clrjit"]] and key not in study}
    changed = {key for key, value in preset.items() if key not in left_out and study[key] != value}
    places = {"images.path", "prior.weights", "distances.weights"}
    lists = {
        "runs",
        "modes.runs",
        "modes.epochs",
        "modes.per_layer",
        "train.keep",
        "distances.embedders",
        "figures.development_units",
        "figures.more_units",
    }
    lists |= {"projection.seeds"}
    for key in changed - places - lists:
        assert isinstance(preset[key], int), key
        assert study[key] < preset[key], key
    assert len(changed) > 15
