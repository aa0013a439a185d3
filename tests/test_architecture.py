"""The shape of the system: who imports whom, and that dvc.yaml names what each stage depends on."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from protoviz import layout

ROOT = Path(__file__).parents[1]
PACKAGES = ("protoviz", "stages")

LEAVES = {
    *("protoviz.errors", "protoviz.config.params", "protoviz.registry", "protoviz.seeding"),
    *("protoviz.files", "protoviz.progress", "protoviz.store.schema", "protoviz.layout", "protoviz.machine"),
    *(
        "protoviz.config.validation_errors",
        "protoviz.config.section",
        "protoviz.config.synthesis",
        "protoviz.config.analysis",
        "protoviz.config.finetuning",
    ),
    *(
        "protoviz.store.schema_types",
        "protoviz.store.schema_responses",
        "protoviz.store.schema_appearance",
        "protoviz.store.data_dictionary",
        "protoviz.store.schema_projection",
        "protoviz.analysis.findings.verdicts",
    ),
    *("protoviz.pipeline.fingerprint", "protoviz.pipeline.resume", "protoviz.pipeline.executor"),
}
ISLANDS = {
    "learning": ("protoviz.learning", "protoviz.data.procedural"),
    # protoviz.priors.generator owns the file in which learning and synthesis meet, as checkpoints.py does
    "synthesis": ("protoviz.synthesis", "protoviz.models.priors.base"),
    "analysis": (
        *(
            "protoviz.analysis.distances",
            "protoviz.analysis.metrics",
            "protoviz.analysis.findings",
            "protoviz.report.figures",
        ),
        *(
            "protoviz.analysis.pairwise",
            "protoviz.analysis.masks",
            "protoviz.analysis.embedding",
            "protoviz.report.atlas",
        ),
        *(
            "protoviz.analysis.findings.statistics",
            "protoviz.analysis.appearance",
            "protoviz.analysis.settling",
        ),
        *(
            "protoviz.analysis.umap_maps",
            "protoviz.analysis.findings.separation",
            "protoviz.analysis.findings.finetuning",
            "protoviz.report.dataset_card",
        ),
    ),
}
# Not `responses`, which asks the networks themselves: it stands with synthesis, to which images are images.
RIGHT_OF_THE_CUBE = (
    *("cube", "distances", "appearance", "metrics", "findings", "figures", "atlas"),
    *("projection", "projection_stages", "findings_stages", "figures_stages", "dataset_card"),
)

PAGE = "protoviz/report/atlas/page"  # what the browser runs

# A change of these changes messages, places or the reading of parameters, never a result.
INFRASTRUCTURE = {
    *("stages", "protoviz", "protoviz.errors", "protoviz.config.params"),
    *("protoviz.registry", "protoviz.files", "protoviz.progress", "protoviz.layout", "protoviz.machine"),
    *(
        "protoviz.config.validation_errors",
        "protoviz.config.section",
        "protoviz.config.synthesis",
        "protoviz.config.analysis",
        "protoviz.config.finetuning",
    ),
    *("protoviz.pipeline.fingerprint", "protoviz.pipeline.resume", "protoviz.pipeline.executor"),
}


def path_of(module: str) -> Path | None:
    """The file of a module of ours, or None."""
    base = ROOT.joinpath(*module.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None


MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for package in PACKAGES
    for path in (ROOT / package).rglob("*.py")
)
STAGES = sorted(path.stem for path in (ROOT / "stages").glob("[!_]*.py"))


@cache
def imports(module: str) -> frozenset[str]:
    """What a module of ours imports anywhere in it: our modules, and the top names of other packages."""
    path = path_of(module)
    assert path is not None
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            submodules = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if path_of(name) else str(node.module) for name in submodules]
        else:
            continue
        for name in names:
            parts = name.split(".")
            if parts[0] in PACKAGES:  # importing a.b.c runs a and a.b as well
                found.update(".".join(parts[: i + 1]) for i in range(len(parts)))
            else:
                found.add(parts[0])
    return frozenset(found - {module})


@cache
def closure(module: str) -> frozenset[str]:
    """The modules of ours that a module reaches, itself included, and the names of the packages of others."""
    reached: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            if name.split(".")[0] in PACKAGES and path_of(name):
                waiting.extend(imports(name))
    return frozenset(reached)


def within(module: str, places: tuple[str, ...]) -> bool:
    return any(module == place or module.startswith(f"{place}.") for place in places)


def code_of(stage: str) -> list[str]:
    """The files that decide a stage's result: its script and what it imports, without infrastructure."""
    ours = [name for name in closure(f"stages.{stage}") if name.split(".")[0] in PACKAGES]
    files = [path_of(name) for name in ours if name not in INFRASTRUCTURE]
    return sorted(str(path.relative_to(ROOT)) for path in files if path and has_code(path))


def has_code(path: Path) -> bool:
    """Whether a file holds more than a docstring."""
    return path.name != "__init__.py" or len(ast.parse(path.read_text()).body) > 1


def parameters_of(stage: str) -> set[str]:
    """The parameters that a stage script touches: "images.size", "compute", ..."""
    tree = ast.parse((ROOT / "stages" / f"{stage}.py").read_text())
    main = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "main")
    study = main.args.args[0].arg
    return {entry for chain in chains(tree, study) for entry in parameter_names(chain)}


def chains(tree: ast.AST, root: str) -> Iterator[list[str]]:
    """Every outermost attribute chain that begins at a name; the bare name gives an empty chain."""
    inner = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for node in ast.walk(tree):
        if id(node) in inner:
            continue
        chain: list[str] = []
        base: Any = node
        while isinstance(base, ast.Attribute):
            chain.insert(0, base.attr)
            base = base.value
        if isinstance(base, ast.Name) and base.id == root:
            yield chain


def parameter_names(chain: list[str]) -> list[str]:
    if chain[:1] == ["augmentation"]:
        return ["augment", "conditions.${item.condition}"]
    return [".".join(chain[:2])] if chain else ["all of them"]


def pipeline() -> dict[str, Any]:
    return YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]


def paths_of(entries: list[Any]) -> list[str]:
    return [entry if isinstance(entry, str) else next(iter(entry)) for entry in entries]


@pytest.mark.parametrize("module", sorted(LEAVES & set(MODULES)))
def test_leaves_import_only_leaves_and_no_torch(module: str) -> None:
    ours = {name for name in imports(module) if name.split(".")[0] in PACKAGES}
    assert ours <= LEAVES | {"protoviz"}
    assert "torch" not in closure(module)


@pytest.mark.parametrize("island", ISLANDS)
def test_learning_synthesis_and_analysis_never_import_each_other(island: str) -> None:
    others = tuple(place for name, places in ISLANDS.items() if name != island for place in places)
    for module in MODULES:
        if within(module, ISLANDS[island]):
            trespasses = sorted(name for name in closure(module) if within(name, others))
            assert not trespasses, f"{module} reaches {trespasses}"


def test_right_of_the_cube_only_embedders_import_torch() -> None:
    for module in MODULES:
        reached = {name for name in closure(module) if name.split(".")[0] == "protoviz"}
        right = within(module, ISLANDS["analysis"]) or module in {
            f"stages.{name}" for name in RIGHT_OF_THE_CUBE
        }
        if right and "protoviz.analysis.embedders" not in reached:
            assert "torch" not in closure(module), f"{module} reaches torch"
        if right:
            assert "torch" not in imports(module), f"{module} imports torch"


def test_torchvision_only_where_data_sets_and_foreign_networks_are_read() -> None:
    users = {module for module in MODULES if "torchvision" in imports(module)}
    data = {"protoviz.data.stl10", "protoviz.data.cifar10"}
    assert users <= data | {"protoviz.models.zoo", "protoviz.models.imagenet"}


def test_only_stages_and_the_command_line_read_parameters() -> None:
    allowed = {
        "stages",
        "protoviz.__main__",
        "protoviz.pipeline.driver",
        "protoviz.config.params",
        "protoviz.layout",
    }
    for module in MODULES:
        path = path_of(module)
        assert path is not None
        if module not in allowed:
            assert "params.load" not in path.read_text(), f"{module} reads params.yaml"


@pytest.mark.parametrize("module", MODULES)
def test_modules_are_short(module: str) -> None:
    path = path_of(module)
    assert path is not None
    assert len(path.read_text().splitlines()) <= 300


def loaded(statement: str) -> set[str]:
    """The packages that a fresh interpreter has loaded after a statement."""
    command = f"{statement}; import sys; print(*{{name.partition('.')[0] for name in sys.modules}})"
    run = subprocess.run(
        [sys.executable, "-c", command], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(run.stdout.split())


@pytest.mark.parametrize(
    ("stages", "never"),
    [
        (
            ("cube", "metrics", "findings", "distances", "appearance", "atlas"),
            {"torch", "sklearn", "matplotlib", "lightning", "dask"},
        ),
        (("figures",), {"torch", "sklearn", "lightning", "dask"}),
        (
            ("generator", "probe", "receptive_fields", "synthesize", "responses"),
            {"torchvision", "lightning", "pytorch_lightning", "lightly", "matplotlib"},
        ),
        (("dataset", "domain"), {"torch", "torchvision", "sklearn", "matplotlib"}),
        (("figures_stages", "dataset_card"), {"torch", "sklearn", "lightning", "dask", "umap"}),
        (("projection", "projection_stages", "findings_stages"), {"torch", "umap", "matplotlib", "dask"}),
    ],
)
def test_stages_load_only_what_they_use(stages: tuple[str, ...], never: set[str]) -> None:
    """Every stage is a process and pays for its imports."""
    present = [f"stages.{name}" for name in stages if name in STAGES]
    assert not loaded(f"import {', '.join(present)}") & never


def test_every_stage_of_the_pipeline_has_its_script() -> None:
    assert sorted(pipeline()) == STAGES
    for name, stage in pipeline().items():
        item = " ".join(f"${{item.{axis}}}" for axis in stage.get("matrix", {}))
        assert stage["cmd"] == f"python -m stages.{name} {item}".rstrip()


@pytest.mark.parametrize("stage", sorted(pipeline()))
def test_a_stage_depends_on_its_code(stage: str) -> None:
    named = [path for path in paths_of(pipeline()[stage]["deps"]) if path.endswith(".py")]
    wanted = code_of(stage)
    lines = "\n".join(f"      - {path}" for path in wanted)
    assert named == wanted, f"the code in the deps of `{stage}` in dvc.yaml should be\n{lines}"


@pytest.mark.parametrize("stage", sorted(pipeline()))
def test_a_stage_names_the_parameters_it_uses(stage: str) -> None:
    named, used = set(pipeline()[stage].get("params", [])), parameters_of(stage)
    unnamed = {entry for entry in used if not named & {entry, entry.split(".")[0]}}
    unused = {entry for entry in named if not any(f"{name}.".startswith(f"{entry}.") for name in used)}
    assert not unnamed, f"params of `{stage}` in dvc.yaml lack {sorted(unnamed)}"
    assert not unused, f"`{stage}` does not use {sorted(unused)}"


def test_the_paths_of_the_pipeline_are_those_of_the_layout() -> None:
    condition, run = "${item.condition}", "${item.run}"
    functions = (
        *(layout.checkpoints, layout.prototypes, layout.receptive_fields, layout.distances),
        *(layout.natural, layout.ageing, layout.appearance, layout.units),
        *(layout.training_curve, layout.probe_metrics, layout.probe_curve),
    )
    items = [function(condition, run) for function in functions]
    whole = [layout.IMAGES, layout.REFERENCE_ENCODER, layout.GENERATOR.parent, layout.CUBE]
    whole += [layout.DOMAIN, layout.STAGES_CUBE, layout.projection("study"), layout.projection("stages")]
    whole += [layout.STAGES_TRAINING, layout.STAGES_METRICS, layout.STAGES_FINDINGS, layout.CARD]
    whole += [layout.FIGURES_STAGES, layout.stages_checkpoints("${training_stages.network.seed}")]
    whole += [
        layout.ATLAS,
        layout.GENERATOR_CURVE,
        layout.FINDINGS,
        layout.CURVES,
        layout.FIGURES,
        layout.metrics(condition),
    ]
    outs = {str(path) for path in (*items, *whole)}
    made: set[str] = set()
    for stage in pipeline().values():
        made.update(paths_of([*stage.get("outs", []), *stage.get("metrics", []), *stage.get("plots", [])]))
    assert made == outs
    read = {
        path for stage in pipeline().values() for path in paths_of(stage["deps"]) if not path.endswith(".py")
    }
    parts = {f"{layout.IMAGES}/classes.json"}
    folders = {str(path.parent) for path in (*items, layout.projection("study"))}
    assert read <= outs | parts | folders | {PAGE}


def test_names_that_params_allow_are_those_of_the_registries() -> None:
    """params.py imports no torch, so it spells the names of the registries once more."""
    from typing import get_args

    from protoviz.analysis import embedders
    from protoviz.config import analysis, params
    from protoviz.models import imagenet, resnet

    (names,) = (get_args(hint) for hint in [params.Backbone.model_fields["name"].annotation])
    assert set(names) == set(resnet.BACKBONES)
    assert set(analysis.EMBEDDERS) == set(embedders.EMBEDDERS)
    assert tuple(imagenet.NETWORKS) == analysis.IMAGENET
