"""README and documentation are true: what they quote exists, what they state is computed here again."""

import importlib.util
import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from protoviz import files, layout
from protoviz.cli.main import _parser
from protoviz.config import params
from protoviz.config.synthesis import PRESETS
from protoviz.report.headline import headline

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PAGES = {str(path.relative_to(ROOT)): path.read_text() for path in sorted((ROOT / "docs").rglob("*.md"))}
TEXTS = {"README.md": README, **PAGES}
LINKS = [
    (name, target)
    for name, text in TEXTS.items()
    for target in re.findall(r"\]\(([^)#:]+?)(?:#[^)]*)?\)", text)
]


def section(name: str) -> str:
    match = re.search(rf"<!-- {name} -->\n(.*?)<!-- /{name} -->", README, re.DOTALL)
    assert match, f"README has no section {name}"
    return match[1].strip()


@pytest.fixture(scope="module")
def generated():
    """What the site writes from the code, as a module."""
    spec = importlib.util.spec_from_file_location("generated", ROOT / "docs" / "generated.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_readme_is_short():
    assert len(README.splitlines()) <= 150


def test_the_headline_is_that_of_the_committed_runs():
    of_a = [files.read_json(study / layout.FINDINGS) for study in (ROOT, ROOT / "studies" / "photographs")]
    assert section("headline") == headline(of_a, files.read_json(ROOT / layout.STAGES_FINDINGS)), "paste it"


@pytest.mark.parametrize(("page", "target"), LINKS)
def test_links_lead_somewhere(page, target):
    assert (ROOT / page).parent.joinpath(target).exists()


@pytest.mark.parametrize(
    ("page", "target"),
    [(name, one) for name, text in TEXTS.items() for one in re.findall(r"`?\bmake ([a-z-]+)`", text)],
)
def test_make_targets_exist(page, target):
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE), page


@pytest.mark.parametrize(
    ("page", "name"),
    [
        (name, one)
        for name, text in TEXTS.items()
        for one in re.findall(r"(?:\$ |`|&& )protoviz ([a-z-]+)", text)
    ],
)
def test_commands_exist(page, name):
    (choices,) = (
        action.choices for action in _parser()._actions if hasattr(action, "choices") and action.choices
    )
    assert name in choices, page


@pytest.mark.parametrize(
    "name", sorted(set(re.findall(r"python -m benchmarks\.(\w+)", "".join(TEXTS.values()))))
)
def test_benchmarks_exist(name):
    assert (ROOT / "benchmarks" / f"{name}.py").is_file()


@pytest.mark.parametrize(
    "name", sorted(set(re.findall(r"`?presets/([\w-]+)\.yaml`?", "".join(TEXTS.values()))))
)
def test_presets_exist(name):
    assert (ROOT / layout.PRESETS / f"{name}.yaml").is_file()


def test_parameters_that_are_named_exist():
    study = params.load(ROOT / layout.PARAMS).model_dump()
    blocks = "images|train|backbone|compute|figures|distances|synthesis|atlas|receptive_fields|natural|ascent"
    named = {
        found
        for text in TEXTS.values()
        for found in re.findall(rf"`((?:{blocks})(?:\.\w+)+)(?:: \w+)?`", text)
    }
    assert len(named) > 8
    for name in named:
        where = study["synthesis"] if name.startswith("ascent") else study
        for key in name.split("."):
            where = where[key]


def test_what_the_default_study_is_said_to_be():
    study = params.load(ROOT / layout.PARAMS)
    assert (
        f"{study.train.epochs} epochs, {len(study.runs)} runs, the Fourier prior at {study.images.size} px"
        in README
    )
    assert study.prior.name == "fourier"
    assert study.training_stages.network.model == "tf_efficientnet_lite0"
    assert study.backbone.width * 8 == 64
    assert "of an eighth of the usual width" in README


def test_silhouettes_in_the_text_are_those_of_the_benchmark():
    rows = re.findall(
        r"^\| \w+ \| \d \| ([\d., ]+) \| ([\d.]+) \|$", PAGES["docs/benchmarks.md"], re.MULTILINE
    )
    assert len(rows) == 6
    of_repeats = [[float(value) for value in repeats.split(", ")] for repeats, _ in rows]
    means = [float(mean) for _, mean in rows]
    assert [sum(values) / 2 for values in of_repeats] == pytest.approx(means, abs=1.01e-3)
    mean = f"{sum(means) / 6:.3f}"
    assert f"Mean {mean}." in PAGES["docs/benchmarks.md"]
    assert f"the silhouette of layers is {mean} and" in PAGES["docs/explanation/prototypes.md"]
    told = " ".join(PAGES["docs/explanation/study-a.md"].split())
    extent = f"from {min(means)} to {max(means)}"
    assert f"is {mean}, the mean over two repeats of six networks, whose means go {extent}" in told


def test_saturations_in_the_text_are_those_of_the_committed_runs():
    of = {name: files.read_json(ROOT / layout.metrics(name)) for name in ("clrjit", "keepclr")}
    found = {name: [of[name][f"layer{k}"]["saturation"] for k in (1, 2, 3, 4)] for name in of}
    told = " ".join(PAGES["docs/benchmarks.md"].split())
    ranges = {name: f"{min(values):.2f} to {max(values):.2f}" for name, values in found.items()}
    assert f"{ranges['keepclr']} of each layer, {ranges['clrjit']} with it" in told


def test_sizes_in_the_text_are_those_of_the_committed_runs():
    stages = YAML(typ="safe").load(ROOT / "dvc.lock")["stages"]
    (prototypes,) = (one["size"] for one in stages["cube"]["deps"] if one["path"] == "data/prototypes")
    assert f"16 levels take {prototypes / 1e6:.0f} MB" in " ".join(
        PAGES["docs/explanation/prototypes.md"].split()
    )
    assert params.load(ROOT / layout.PARAMS).synthesis.levels == 16


def test_example_condition_is_accepted():
    raw = YAML(typ="safe").load(ROOT / layout.PARAMS)
    (example,) = re.findall(r"```yaml\nconditions:\n(.*?)```", PAGES["docs/how-to/change.md"], re.DOTALL)
    raw["conditions"] = YAML(typ="safe").load(f"conditions:\n{example}")["conditions"]
    assert "noblur" in params.parse(raw, "docs").conditions


def test_pages_of_the_site_name_tables_that_exist(generated):
    named = {name for text in PAGES.values() for name in generated.MARKER.findall(text)}
    assert named == set(generated.TABLES)


def test_tables_of_the_site_hold_what_the_code_knows(generated):
    tables = {name: make() for name, make in generated.TABLES.items()}
    stages = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]
    assert re.findall(r"^\| `(\w+)` \|", tables["stages"], re.MULTILINE) == list(stages)
    assert re.findall(r"^\| `([\w-]+)` \|", tables["recipes"], re.MULTILINE) == list(PRESETS)
    for name in ("repro", "init", "synthesize", "verify", "atlas"):
        assert f"## protoviz {name}\n" in tables["commands"]
    study = params.load(ROOT / layout.PARAMS).model_dump()
    sections = re.findall(r"^## `(\w+)`", tables["parameters"], re.MULTILINE)
    assert sections == [name for name in params.Params.model_fields if name in study]
    for prior in ("`natural`", "`generator`, `deepsim`"):
        assert prior in tables["recipes"]


def test_tutorials_are_programs():
    for path in sorted((ROOT / "docs" / "tutorials").glob("*.py")):
        compile(path.read_text(), str(path), "exec")
        assert path.read_text().startswith("# %% [markdown]\n# # "), path
