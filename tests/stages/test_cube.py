"""The stage that makes the whole cube, on toy stores."""

from pathlib import Path

import pytest

from protoviz import layout
from protoviz.config import params
from protoviz.errors import StudyError
from protoviz.store import cube
from stages.cube import main
from tests.reference import prototypes as toy


@pytest.fixture
def study(tmp_path, monkeypatch):
    read = params.load(Path(__file__).parents[2] / "params.yaml")
    monkeypatch.chdir(tmp_path)
    return read.model_copy(update={"conditions": {"second": {}, "first": {}}, "runs": [1, 2]})


def test_all_networks_in_the_order_of_the_parameters(study):
    for condition in ("first", "second"):
        for run in (2, 1):
            extent = toy.template((condition,), (run,), repeats=(0,), epochs=(0, 8))
            toy.write_cube(layout.prototypes(condition, run), extent)
    main(study)
    whole = cube.open_cube(layout.CUBE)
    assert whole.condition.to_numpy().tolist() == ["second", "first"]
    assert whole.run.to_numpy().tolist() == [1, 2]


def test_network_without_prototypes_is_named(study):
    with pytest.raises(StudyError, match=r"second-1\.zarr: expected a file made by an earlier stage"):
        main(study)
    assert not layout.CUBE.exists()
