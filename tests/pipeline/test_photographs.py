"""studies/photographs: the pipeline of the default study, without its code and without study B."""

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from protoviz import layout
from protoviz.config import params
from protoviz.pipeline import study_files

ROOT = Path(__file__).parents[2]
STUDY = ROOT / "studies" / "photographs"
CODE = ("protoviz/", "stages/")
# Its prior comes with the package, and so does the network that measures distances.
TRAINED_IN_THE_PIPELINE = ("reference", "generator")


def derived() -> dict[str, Any]:
    """What dvc.yaml of the study holds: a change of the code does not make three hours' work stale."""
    whole = YAML(typ="safe").load(ROOT / "dvc.yaml")
    stages = {
        name: stage
        for name, stage in whole["stages"].items()
        if name not in (*TRAINED_IN_THE_PIPELINE, "domain") and not name.endswith("_stages")
    }
    gone = {
        path
        for name, stage in whole["stages"].items()
        if name not in stages
        for path in map(named, [*stage.get("outs", []), *stage.get("metrics", [])])
    }
    for stage in stages.values():
        if "deps" in stage:
            stage["deps"] = [p for p in stage["deps"] if p not in gone and not p.startswith(CODE)]
        if "params" in stage:
            stage["params"] = [name for name in stage["params"] if not name.startswith("training_stages")]
    return {"stages": stages}


def named(entry: str | dict[str, Any]) -> str:
    return entry if isinstance(entry, str) else next(iter(entry))


def test_its_pipeline_is_that_of_the_default_study():
    wanted = study_files.yaml(derived())
    found = YAML(typ="safe").load(STUDY / layout.PIPELINE)
    assert found == derived(), f"{STUDY / layout.PIPELINE} holds, below its comment:\n{wanted}"


def test_its_parameters_are_valid():
    study = params.load(STUDY / layout.PARAMS)
    assert study.training_stages is None
    assert len(study.runs) >= 5, "with fewer, no difference of conditions can be significant"
    assert study.modes.runs == study.runs
    assert study.natural.faithfulness is not None
