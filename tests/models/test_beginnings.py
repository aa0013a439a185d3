"""Whether a series starts with an untrained network, by what its files say of themselves."""

import json

import pytest
import torch
from safetensors.torch import save_file

from protoviz.errors import StudyError
from protoviz.models import beginnings

SAID = {
    "fresh": {"protoviz training": json.dumps({"epoch": 0, "untrained": True})},
    "pretrained": {"protoviz training": json.dumps({"epoch": 0, "untrained": False})},
    "older": {"protoviz training": json.dumps({"epoch": 0})},
    "of another kind": {"protoviz training": "[]"},
    "no JSON": {"protoviz training": "yes"},
    "no word": {"untrained": "true"},
    "none": None,
}


@pytest.fixture
def files(tmp_path):
    for name, metadata in SAID.items():
        save_file({"a": torch.zeros(2)}, tmp_path / name, metadata)
    torch.save({"a": torch.zeros(2)}, tmp_path / "of torch")
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    return tmp_path


@pytest.mark.parametrize("name", [*SAID, "of torch", "empty", "folder", "not there"])
def test_only_a_file_that_says_so_is_known(files, name):
    assert beginnings.untrained(files / name) is {"fresh": True, "pretrained": False}.get(name)


@pytest.mark.parametrize(
    ("names", "given", "starts", "word"),
    [
        (["fresh", "fresh"], False, True, "the untrained network, as its files say"),
        (["fresh", "fresh"], True, True, "the untrained network"),
        (["none", "fresh"], True, True, "the untrained network"),
        (["none", "fresh"], False, False, "taken as trained; say --untrained"),
        (["none", "of torch"], False, False, "taken as trained; say --untrained"),
        (["fresh", "pretrained"], False, False, "trained before, as its files say"),
        (["none", "pretrained"], False, False, "trained before, as its files say"),
    ],
)
def test_all_series_have_to_say_so_or_the_user(files, names, given, starts, word):
    found, said = beginnings.starts_untrained([files / name for name in names], given=given)
    assert found is starts
    assert word in said


def test_a_file_that_says_otherwise_is_believed(files):
    with pytest.raises(StudyError, match=r"pretrained: expected the untrained network, as --untrained says"):
        beginnings.starts_untrained([files / "fresh", files / "pretrained"], given=True)
