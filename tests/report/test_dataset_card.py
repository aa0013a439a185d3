"""The dataset card: its checksum is that of the shell, and terms of others are named."""

import shutil
import subprocess

import pytest

from protoviz.report.dataset_card import Part, card, checksum, origin
from protoviz.store import cube
from tests.reference import prototypes as toy


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return toy.write_cube(tmp_path_factory.mktemp("card") / "cube.zarr", attributes={"network": "toy"})


def part(store, source="procedural", path=None):
    words, free = origin(source, path)
    return Part(store, "toy", cube.open_cube(store), words, free)


def test_checksum_is_what_the_command_in_the_card_prints(store):
    text = card([part(store)], "MIT")
    command = text[text.index("find .") : text.index("```", text.index("find ."))]
    printed = subprocess.run(
        ["bash", "-c", command], cwd=store, capture_output=True, text=True, check=True
    ).stdout
    assert printed.split()[0] == checksum(store)[2]
    assert checksum(store)[2] in text


def test_checksum_sees_a_changed_byte_and_a_renamed_file(store, tmp_path):
    before = checksum(store)
    for change in ("byte", "name"):
        copy = tmp_path / change
        shutil.copytree(store, copy)
        assert checksum(copy) == before
        file = next(path for path in sorted(copy.rglob("*")) if path.is_file())
        if change == "byte":
            file.write_bytes(b"x" + file.read_bytes()[1:])
        else:
            file.rename(file.with_name("other"))
        assert checksum(copy)[2] != before[2]
        assert checksum(copy)[:2] == before[:2]


def test_numbers_are_those_of_the_store(store):
    text = card([part(store)], "MIT")
    made = cube.open_cube(store)
    assert f"| prototypes | {made.status.size:,}: {made.status.size:,} converged |" in text
    assert "| units | 12 of layer1, layer2 (2) |" in text
    assert "| image | 6 x 6 px, RGB, uint8 |" in text


def test_what_learnt_from_data_of_others_says_so(store):
    assert "terms" not in card([part(store)], "MIT").split("## Terms")[1].split("##")[0]
    other = card([part(store, "stl10", "/somewhere/stl10")], "MIT")
    assert "learnt from data of others (stl10 (stl10))" in other.split("## Terms")[1]
    assert "/somewhere" not in other
