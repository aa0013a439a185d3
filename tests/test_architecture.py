"""The shape of the system: who imports whom, and that dvc.yaml names what each stage depends on."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from protoviz import layout
from protoviz.pipeline import stage_process

ROOT = Path(__file__).parents[1]
PACKAGES = ("protoviz", "stages")

# Who may import whom: a room (a folder of protoviz/) or a leaf (a module beside them) -> what it may import.
# The leaves LEAVES[:k] may be imported by all rooms; a room may import itself.
LEAVES = (
    *("digests", "errors", "files", "layout", "machine", "progress", "registry", "seeding"),
    "compute",  # with torch
)
MAY_IMPORT = {
    "digests": (),
    "errors": (),
    "files": ("errors",),
    "layout": (),
    "machine": ("errors",),
    "progress": (),
    "registry": ("errors",),
    "seeding": (),
    "compute": ("errors", "machine"),
    "config": (*LEAVES,),
    "store": (*LEAVES,),
    "data": (*LEAVES, "config"),
    "models": (*LEAVES, "config"),
    "learning": (*LEAVES, "config", "data", "models"),
    "synthesis": (*LEAVES, "config", "models", "store"),
    "analysis": (*LEAVES, "config", "models", "store"),
    "report": (*LEAVES, "config", "analysis", "store"),
    "pipeline": (*LEAVES, "config", "report", "store"),
    "callbacks": (
        *LEAVES,
        "models",
    ),
    "api": (*LEAVES, "config", "models", "store", "synthesis"),
    "notebook": (*LEAVES, "config", "models", "store", "synthesis", "analysis", "report", "api"),
    "cli": (
        *LEAVES,
        "config",
        "api",
        "data",
        "learning",
        "models",
        "pipeline",
        "report",
        "store",
        "synthesis",
    ),
    "__main__": ("cli",),
    "protoviz": (),  # its __init__ imports what it exports when that is first used
}
STAGES_MAY_IMPORT = tuple(set(MAY_IMPORT) - {"api", "callbacks", "notebook", "cli", "__main__"})

# Rooms to the right of the cube, where arrays are NumPy's; the embedders are networks.
WITHOUT_TORCH = ("config", "store", "data", "analysis", "report", "pipeline")
WITH_TORCH = {"protoviz.analysis.embedders", "protoviz.pipeline.sharded_write"}

# A change of these changes messages, places or the reading of parameters, never a result.
INFRASTRUCTURE = (
    *("config", "pipeline", "cli", "api", "callbacks", "notebook", "__main__"),
    *("digests", "errors", "files", "layout", "machine", "progress", "registry"),
)


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


def room_of(module: str) -> str:
    """The room or the leaf that a module of protoviz belongs to."""
    return module.split(".")[1] if "." in module else module


def code_of(stage: str) -> list[str]:
    """What decides a stage's result: its script, and the rooms and leaves that it reaches.

    A room counts whole; where only modules of its inner rooms are reached, those count alone.
    """
    found = {f"stages/{stage}.py"}
    reached: dict[str, list[Path]] = {}
    for name in closure(f"stages.{stage}"):
        path = path_of(name)
        if name.startswith("protoviz.") and path and has_code(path) and room_of(name) not in INFRASTRUCTURE:
            reached.setdefault(room_of(name), []).append(path)
    for room, paths in reached.items():
        folder = ROOT / "protoviz" / room
        inner = all(folder in path.parents and folder != path.parent for path in paths)
        for path in paths:
            place = folder if folder.is_dir() else path
            found.add(str((folder / path.relative_to(folder).parts[0] if inner else place).relative_to(ROOT)))
    return sorted(found)


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
    """Every outermost attribute chain that begins at a name; the bare name gives an empty chain.

    Whether a section is null shows in each of its parameters: `params.section is None` is not counted.
    """
    inner = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], (ast.Is, ast.IsNot)):
            inner |= {id(part) for part in ast.walk(node.left)}
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


def test_every_module_has_a_room() -> None:
    unknown = {
        module for module in MODULES if module.startswith("protoviz") and room_of(module) not in MAY_IMPORT
    }
    assert not unknown, f"{sorted(unknown)}: say in MAY_IMPORT what they may import"
    gone = set(MAY_IMPORT) - {room_of(module) for module in MODULES}
    assert not gone, f"MAY_IMPORT has rooms that are not there: {sorted(gone)}"
    beside = [path.stem for path in (ROOT / "protoviz").glob("[!_]*.py")]
    assert len(beside) <= 10, f"more than ten modules beside the rooms: {sorted(beside)}"


@pytest.mark.parametrize("module", MODULES)
def test_rooms_import_only_what_they_may(module: str) -> None:
    """Also inside functions: an import that is late is still an import."""
    room = room_of(module)
    may = STAGES_MAY_IMPORT if module.split(".")[0] == "stages" else MAY_IMPORT[room]
    for name in imports(module):
        if name.split(".")[0] == "stages":
            assert module.split(".")[0] == "stages", f"{module} imports {name}"
        elif name.startswith("protoviz."):
            assert room_of(name) in (*may, room), f"{module} imports {name}: MAY_IMPORT says no"


def test_imports_between_rooms_run_one_way() -> None:
    order = TopologicalSorter({room: set(may) - {room} for room, may in MAY_IMPORT.items()})
    order.prepare()  # raises CycleError where two rooms import each other


def test_where_torch_may_be_imported() -> None:
    for module in MODULES:
        if module.startswith("protoviz.") and room_of(module) in (*WITHOUT_TORCH, *LEAVES[:-1]):
            if module in WITH_TORCH:
                continue
            assert "torch" not in imports(module), f"{module} imports torch"
            # What reaches torch only through the embedders may: a stage says which space it wants.
            reached = closure(module)
            if not reached & WITH_TORCH:
                assert "torch" not in reached, f"{module} reaches torch"


def test_torchvision_only_where_data_sets_and_foreign_networks_are_read() -> None:
    users = {module for module in MODULES if "torchvision" in imports(module)}
    data = {"protoviz.data.stl10", "protoviz.data.cifar10"}
    assert users <= data | {"protoviz.models.zoo", "protoviz.models.imagenet"}


def test_only_one_module_reads_each_of_the_files_of_a_study() -> None:
    """The others are handed what stands there."""
    owners = {
        "layout.PARAMS": {
            "stages",
            "protoviz.cli.main",
            "protoviz.pipeline.driver",
            "protoviz.pipeline.fingerprint",
            "protoviz.pipeline.new_epochs",
            "protoviz.pipeline.new_study",
        },
        "layout.PIPELINE": {
            "protoviz.pipeline.fingerprint",
            "protoviz.pipeline.new_epochs",
            "protoviz.pipeline.new_study",
        },
    }
    for place, allowed in owners.items():
        for module in MODULES:
            path = path_of(module)
            assert path is not None
            if module not in allowed:
                assert place not in path.read_text(), f"{module} reads {place}"


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
            ("cube", "metrics", "findings", "distances", "appearance", "matching", "atlas"),
            {"torch", "sklearn", "matplotlib", "lightning", "dask"},
        ),
        (("figures",), {"torch", "sklearn", "lightning", "dask"}),
        (
            ("generator", "probe", "receptive_fields", "synthesize", "responses", "modes"),
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


@pytest.mark.parametrize("library", stage_process.LIBRARIES)
def test_what_the_driver_loads_for_stages_they_import(library: str) -> None:
    assert any(library.split(".")[0] in closure(f"stages.{stage}") for stage in STAGES)


def test_every_stage_of_the_pipeline_has_its_script() -> None:
    # `checkpoints` stands for `train` in studies of networks that somebody else has trained.
    assert sorted([*pipeline(), "checkpoints"]) == STAGES
    for name, stage in pipeline().items():
        item = " ".join(f"${{item.{axis}}}" for axis in stage.get("matrix", {}))
        assert stage["cmd"] == f"python -m stages.{name} {item}".rstrip()


@pytest.mark.parametrize("stage", sorted(pipeline()))
def test_a_stage_depends_on_its_code(stage: str) -> None:
    named = [path for path in paths_of(pipeline()[stage]["deps"]) if path.startswith(PACKAGES)]
    wanted = code_of(stage)
    assert sorted(named) == wanted, f"the code in the deps of `{stage}` in dvc.yaml: {', '.join(wanted)}"


def test_the_pipeline_is_short_enough_to_read() -> None:
    assert len((ROOT / "dvc.yaml").read_text().splitlines()) <= 340
    assert "__pycache__" in (ROOT / ".dvcignore").read_text().split()


@pytest.mark.parametrize("stage", sorted(pipeline()))
def test_a_stage_names_the_parameters_it_uses(stage: str) -> None:
    # What a study of trained networks calls what every study has.
    ours = {
        "epochs": "train.keep",
        "size": "images.size",
        "colours": None,
        "units": None,
        "augmentations": "augment",
        "starts_untrained": None,
    }
    named = set(pipeline()[stage].get("params", []))
    used = {name for one in parameters_of(stage) if (name := ours.get(one, one)) is not None}
    unnamed = {entry for entry in used if not named & {entry, entry.split(".")[0]}}
    unused = {entry for entry in named if not any(f"{name}.".startswith(f"{entry}.") for name in used)}
    assert not unnamed, f"params of `{stage}` in dvc.yaml lack {sorted(unnamed)}"
    assert not unused, f"`{stage}` does not use {sorted(unused)}"


def test_the_paths_of_the_pipeline_are_those_of_the_layout() -> None:
    condition, run = "${item.condition}", "${item.run}"
    functions = (
        *(layout.checkpoints, layout.prototypes, layout.receptive_fields, layout.distances),
        *(layout.natural, layout.appearance, layout.units, layout.modes),
        *(layout.training_curve, layout.probe_metrics, layout.probe_curve),
    )
    items = [function(condition, run) for function in functions]
    whole = [layout.IMAGES, layout.REFERENCE, layout.GENERATOR.parent, layout.CUBE, layout.MATCHING]
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
        path
        for stage in pipeline().values()
        for path in paths_of(stage["deps"])
        if not path.startswith(PACKAGES)
    }
    parts = {f"{layout.IMAGES}/classes.json"}
    folders = {str(path.parent) for path in (*items, layout.projection("study"))}
    assert read <= outs | parts | folders


def test_names_that_params_allow_are_those_of_the_registries() -> None:
    """params.py imports no torch, so it spells the names of the registries once more."""
    from typing import get_args

    from protoviz.analysis import embedders
    from protoviz.config import analysis, learning
    from protoviz.models import imagenet, resnet

    (names,) = (get_args(hint) for hint in [learning.Backbone.model_fields["name"].annotation])
    assert set(names) == set(resnet.BACKBONES)
    assert set(analysis.EMBEDDERS) == set(embedders.EMBEDDERS)
    assert tuple(imagenet.NETWORKS) == analysis.IMAGENET
