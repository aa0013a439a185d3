"""The README is true: its data dictionary is the schema's, its commands and parameters exist."""

import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from protoviz import files, layout
from protoviz.config import params
from protoviz.config.synthesis import PRESETS
from protoviz.report import findings_table
from protoviz.store.data_dictionary import data_dictionary

ROOT = Path(__file__).parents[1]
TIMES = "\N{MULTIPLICATION SIGN}"
README = (ROOT / "README.md").read_text()


def section(name: str) -> str:
    match = re.search(rf"<!-- {name} -->\n(.*?)<!-- /{name} -->", README, re.DOTALL)
    assert match, f"README has no section {name}"
    return match[1].strip()


def test_data_dictionary_is_the_schema_s():
    assert section("data dictionary") == data_dictionary().strip(), "paste it"


def test_findings_are_those_of_the_committed_run():
    table = findings_table.table(files.read_json(ROOT / layout.FINDINGS))
    assert section("findings") == f"```text\n{table.strip()}\n```", "paste what `make repro` prints"


def test_recipes_are_the_presets():
    """Every number of the table of presets that the code knows."""
    table = README.split("| preset | start | search | ascent |")[1].split("\n\n")[0]
    rows = dict(re.findall(r"\n\| `([\w-]+)`[^|]*\|(.*)\|", table))
    assert rows.keys() == PRESETS.keys()
    for name, recipe in PRESETS.items():
        start, search, ascent = rows[name].split("|")
        assert f"Adam {recipe.ascent.lr:g} {TIMES} {recipe.ascent.steps}" in ascent, name
        if recipe.start.pool:
            assert ("2,048" in start) == (recipe.start.top == 1), name
            assert recipe.start.pool == 2048, name
        if recipe.ascent.longest and recipe.ascent.longest != 2:
            assert f"ball of {recipe.ascent.longest:g} times" in ascent, name
        if recipe.evolution.strategy != "none":
            assert f"{recipe.evolution.generations} {TIMES} {recipe.evolution.samples} samples" in search, (
                name
            )
        else:
            assert search.strip() == "none", name
        assert ("jittered" in ascent) == recipe.transforms.active, name


@pytest.mark.parametrize("target", re.findall(r"`?make (\w+)", README))
def test_make_targets_exist(target):
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_pictures_exist():
    for picture in re.findall(r"!\[.*?\]\((.*?)\)", README):
        assert (ROOT / picture).is_file(), picture


def test_stages_are_those_of_the_pipeline():
    stages = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]
    table = README.split("## What is made")[1].split("\n\n")[1]
    named = re.findall(r"`(\w+)`", "\n".join(row.split("|")[1] for row in table.splitlines()[2:]))
    assert named == list(stages)


def test_parameters_that_are_named_exist():
    study = params.load(ROOT / layout.PARAMS).model_dump()
    for name in re.findall(r"`((?:images|train|backbone|compute|figures)\.\w+)`", README):
        section_name, key = name.split(".")
        assert key in study[section_name], name


def test_what_the_default_study_is_said_to_be():
    study = params.load(ROOT / layout.PARAMS)
    assert f"{study.train.epochs} epochs, {len(study.runs)} runs." in README
    assert study.backbone.width * 8 == 64
    assert "of an eighth of the usual width" in README


def test_example_condition_is_accepted():
    raw = YAML(typ="safe").load(ROOT / layout.PARAMS)
    (example,) = re.findall(r"```yaml\n  conditions:\n(.*?)```", README, re.DOTALL)
    raw["conditions"] = YAML(typ="safe").load(f"conditions:\n{example}")["conditions"]
    assert "noblur" in params.parse(raw, "README").conditions
