"""The package as others install it: it declares what it imports, and a wheel holds all that it reads."""

import ast
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterable
from email import message_from_bytes
from functools import cache
from importlib import import_module, metadata
from pathlib import Path
from shutil import copy, copytree, ignore_patterns

import pytest

from protoviz.models import efficientnet_lite0
from tests.test_architecture import MODULES, imports

ROOT = Path(__file__).parents[1]
DECLARED = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS = DECLARED["project"]["optional-dependencies"]
LOCK = (ROOT / "requirements.lock").read_text()

TRAINING = "protoviz.learning.simclr"  # the one module that needs the extra `train`
ELSEWHERE = {"_typeshed", "transformers"}  # of mypy alone; whose Trainer calls back, where it is installed
READ_AS_DATA = {efficientnet_lite0.PACKAGE}
# What tests use without importing it: an option of pytest, and addresses that DVC can fetch from.
PLUGINS = {"pytest-xdist": "--numprocesses", "dvc-ssh": "ssh://"}


def name_of(requirement: str) -> str:
    """The distribution that a requirement asks for, as package indexes compare such names."""
    return re.sub(r"[-_.]+", "-", re.split(r"[^\w.-]", requirement, maxsplit=1)[0]).lower()


def declared(*extras: str) -> set[str]:
    """The distributions that the package asks for, with some extras."""
    asked = [*DECLARED["project"]["dependencies"], *(one for extra in extras for one in EXTRAS[extra])]
    found = {name_of(one) for one in asked} - {"protoviz"}
    for others in re.findall(r"protoviz\[([\w,]+)\]", " ".join(asked)):
        found |= declared(*others.split(","))
    return found


@cache
def homes() -> dict[str, set[str]]:
    """Top name of imports -> the installed distributions that it comes from."""
    found = metadata.packages_distributions()
    return {top: {name_of(one) for one in distributions} for top, distributions in found.items()}


def distributions(tops: Iterable[str]) -> set[str]:
    """The distributions of others that are imported by these names."""
    ours = {"protoviz", "stages", "benchmarks", "tests", *(path.stem for path in ROOT.glob("tests/**/*.py"))}
    foreign = {name.split(".")[0] for name in tops} - ours - ELSEWHERE - set(sys.stdlib_module_names)
    return {one for top in foreign for one in homes().get(top, {top})}


def imported_by_files(*folders: str) -> set[str]:
    """The names that the files of folders import."""
    found = set()
    for path in (path for folder in folders for path in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found.add(str(node.module))
        found |= set(re.findall(r'importorskip\("([\w.]+)"', path.read_text()))
    return found


def test_what_is_imported_is_declared_and_what_is_declared_is_imported() -> None:
    used = distributions(name for module in MODULES if module != TRAINING for name in imports(module))
    assert used | READ_AS_DATA == declared()


def test_one_module_needs_the_extra_for_training() -> None:
    assert distributions(imports(TRAINING)) - declared() == declared("train") - declared()
    users = {module for module in MODULES if TRAINING in imports(module)}
    assert users == {"stages.reference", "stages.train"}


def test_the_extra_for_development_is_what_checks_and_tests_use() -> None:
    used = distributions(imported_by_files("tests", "benchmarks", "docs"))
    tools = declared("dev") - declared(*(set(EXTRAS) - {"dev"}))
    assert used <= declared("dev", "docs")
    texts = "".join(path.read_text() for path in (ROOT / "tests").rglob("*.py") if path != Path(__file__))
    texts += (ROOT / "Makefile").read_text()
    commands = {tool for tool in tools if re.search(rf"^[@\t]*{tool}\b", texts, re.MULTILINE)}
    plugins = {name for name, sign in PLUGINS.items() if sign in texts}
    building = {name_of(one) for one in DECLARED["build-system"]["requires"]}
    assert tools == (used & tools) | commands | plugins | building


def test_every_requirement_has_a_lower_bound_that_the_lock_file_keeps() -> None:
    pins = dict(re.findall(r"^([\w.-]+)==(\S+)", LOCK, re.MULTILINE))
    for one in [*DECLARED["project"]["dependencies"], *(one for extra in EXTRAS.values() for one in extra)]:
        name = name_of(one)
        if name in ("protoviz", "pydantic-core"):  # pydantic asks for one version of its core
            continue
        bound = re.search(r"([>=]=)([\d.]+)", one)
        assert bound, f"{one}: say from which version on"
        assert numbers(pins[name]) >= numbers(bound[2]), one
        assert bound[1] == ">=" or name in READ_AS_DATA, f"{one}: leave others their version"
    weights = f"{efficientnet_lite0.PACKAGE}=={efficientnet_lite0.VERSION}"
    assert weights in DECLARED["project"]["dependencies"]


def numbers(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version)]


def test_the_lock_file_has_hashes_and_no_addresses() -> None:
    entries = re.split(r"^(?=[\w.-]+==)", LOCK, flags=re.MULTILINE)[1:]
    assert len(entries) > 100
    assert all("--hash=sha256:" in entry for entry in entries)
    for text in (LOCK, (ROOT / "pyproject.toml").read_text()):
        assert not re.search(r"https?:|file:|--(extra-)?index|--find-links| @ ", text)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("packaging")
    for name in ("protoviz", "stages"):
        copytree(ROOT / name, folder / name, ignore=ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "LICENSE"):
        copy(ROOT / name, folder)
    build = "from setuptools import build_meta; build_meta.build_wheel('.')"
    subprocess.run([sys.executable, "-c", build], cwd=folder, check=True, capture_output=True)
    return zipfile.ZipFile(next(folder.glob("*.whl")))


def test_a_wheel_holds_every_file_of_the_package(wheel: zipfile.ZipFile) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "protoviz", "stages"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    files = {name for name in listed.stdout.split() if (ROOT / name).is_file()}
    assert {"protoviz/py.typed", "protoviz/report/atlas/page/index.html", "stages/checkpoints.py"} <= files
    held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert held == files


def test_a_wheel_says_what_it_needs_and_gives_a_command(wheel: zipfile.ZipFile) -> None:
    about = {Path(name).name: wheel.read(name) for name in wheel.namelist() if ".dist-info/" in name}
    said = message_from_bytes(about["METADATA"])
    asked = said.get_all("Requires-Dist") or []
    assert {name_of(one) for one in asked if "extra ==" not in one} == declared()
    assert set(said.get_all("Provides-Extra") or []) == set(EXTRAS)
    assert b"protoviz = protoviz.cli.main:main" in about["entry_points.txt"]
    assert callable(import_module("protoviz.cli.main").main)


@pytest.mark.parametrize("package", ["protoviz", "protoviz.callbacks"])
def test_the_types_are_those_of_the_exports(package: str) -> None:
    module = import_module(package)
    assert module.__file__ is not None
    stub = ast.parse(Path(module.__file__).with_suffix(".pyi").read_text())
    typed = {
        alias.asname: str(node.module)
        for node in stub.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.name == alias.asname  # which is how a stub exports
    }
    here = "" if package == "protoviz" else f"{package}."
    assert typed == {name: here + home for name, home in module._HOMES.items()}
    said = next(node.value for node in stub.body if isinstance(node, ast.Assign))
    assert set(ast.literal_eval(said)) == set(module._HOMES)


WITHOUT = """
import sys
absent = ("lightly", "lightning", "pytorch_lightning", "transformers")
sys.modules.update(dict.fromkeys(absent))  # importing these fails
"""


def python(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "ignore", "-c", code]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def test_all_but_training_imports_without_the_extra() -> None:
    """Also the stages of a study of checkpoints."""
    callbacks = {"protoviz.callbacks.lightning", "protoviz.callbacks.huggingface"}
    names = [name for name in MODULES if name not in {TRAINING, "protoviz.__main__", *callbacks}]
    run = python(
        f"{WITHOUT}\nfrom importlib import import_module\nfor name in {names}: import_module(name)", ROOT
    )
    assert run.returncode == 0, run.stderr


def test_training_without_the_extra_ends_in_one_line(tmp_path: Path) -> None:
    copy(ROOT / "params.yaml", tmp_path)
    stage = "import runpy; sys.argv = ['train', 'clrjit', '1']; "
    run = python(f"{WITHOUT}\n{stage}runpy.run_module('stages.train', None, '__main__')", tmp_path)
    assert run.returncode == 1
    assert run.stderr.count("\n") == 1
    assert run.stderr.startswith("training by SimCLR: expected lightly and pytorch-lightning to be installed")
    assert run.stderr.endswith("install protoviz with its extra: pip install 'protoviz[train]'\n")
