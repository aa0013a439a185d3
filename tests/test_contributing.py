"""The contributor's page names files that are there, and the rooms as they are."""

import re
from pathlib import Path

import pytest

from tests import test_architecture

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "CONTRIBUTING.md").read_text()


@pytest.mark.parametrize(
    "path", sorted(set(re.findall(r"`((?:protoviz|presets|tests|stages)/[\w./-]+)`", PAGE)))
)
def test_files_exist(path: str) -> None:
    assert (ROOT / path).exists()


def test_the_rooms_are_those_of_the_code() -> None:
    house = PAGE.split("```text")[1].split("```")[0]
    rooms = set(re.findall(r"^  (\w+)/", house, re.MULTILINE))
    assert rooms == {path.name for path in (ROOT / "protoviz").iterdir() if (path / "__init__.py").is_file()}
    leaves = re.findall(r"^  ([\w ]+?) +leaves$", house, re.MULTILINE)[0].split()
    assert set(leaves) == set(test_architecture.LEAVES)


def test_names_that_the_steps_mention_exist() -> None:
    for name, file in (
        ("PRIORS", "protoviz/models/priors/base.py"),
        ("EMBEDDERS", "protoviz/analysis/embedders.py"),
        ("EMBEDDERS", "protoviz/config/analysis.py"),
        ("MEASURES", "protoviz/analysis/metrics.py"),
        ("class Prior", "protoviz/config/params.py"),
    ):
        assert name.removeprefix("class ") in PAGE
        assert re.search(rf"^{name}\b", (ROOT / file).read_text(), re.MULTILINE), (name, file)
