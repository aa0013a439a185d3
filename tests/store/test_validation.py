"""A store is whole, or what is wrong with it is named; each kind of damage is planted once."""

import json
import shutil

import numpy as np
import pytest
import xarray as xr
import zarr

from protoviz.store import cube, schema, validation, zarr_io
from protoviz.store.cube_linking import link_cube
from tests.reference import prototypes as toy

ADDRESS = cube.Address("keepclr", 3, 1, 8)
PLACE = (1, 1, 1, 2)  # of ADDRESS


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    title = {"title": schema.CUBE.title}
    parts = [
        toy.write_cube(folder / f"{condition}-{run}.zarr", toy.template((condition,), (run,)), title)
        for condition in ("clrjit", "keepclr")
        for run in (1, 3)
    ]
    link_cube(folder / "cube.zarr", parts)
    return folder / "cube.zarr"


@pytest.fixture
def store(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "cube.zarr")


def found(path):
    return [str(problem) for problem in validation.check(path)]


def edit(path, change):
    """Edit the metadata, also where they are gathered."""
    metadata = json.loads((path / "zarr.json").read_text())
    change(metadata)
    (path / "zarr.json").write_text(json.dumps(metadata))


def test_a_whole_cube_has_no_problem(whole):
    assert found(whole) == []


@pytest.mark.parametrize("name", [variable.name for variable in schema.CUBE.variables])
def test_one_bit_is_found_in_every_variable_and_its_place_is_named(store, name):
    for place in ("first", "last"):
        file = cube.shard_file(store, schema.CUBE[name], PLACE)
        content = bytearray(file.read_bytes())
        at = 12 if place == "first" else len(content) - 3
        content[at] ^= 4
        file.write_bytes(content)
        (problem,) = found(store)
        assert problem.startswith(f"{ADDRESS}: {name} is damaged: "), place
        content[at] ^= 4
        file.write_bytes(content)


def test_missing_and_cut_off_shards_are_named(store):
    cube.shard_file(store, schema.CUBE["image"], PLACE).unlink()
    file = cube.shard_file(store, schema.CUBE["latent"], (0, 0, 0, 1))
    file.write_bytes(file.read_bytes()[:7])
    problems = found(store)
    assert f"{ADDRESS}: no shard of image" in problems
    assert len(problems) == 2
    assert "condition clrjit, run 1, repeat 0, epoch 2: latent is damaged" in "\n".join(problems)


def test_missing_prototypes_and_states_without_a_name_are_counted(store):
    states = zarr.open_array(store / "status", mode="r+")
    states[*PLACE, 3] = schema.Status.MISSING
    states[*PLACE, 4] = 77
    assert found(store) == [
        f"{ADDRESS}: 1 of 12 prototypes missing",
        f"{ADDRESS}: 1 of 12 prototypes in a state without a name",
    ]


def test_converged_prototypes_are_finite(store):
    zarr.open_array(store / "activation", mode="r+")[*PLACE, 3] = np.nan
    assert found(store) == [f"{ADDRESS}: 1 prototypes called converged that are not finite"]


def test_stray_files_are_named(store):
    (store / "image" / "c" / "0" / "0.partial").write_text("junk")
    (store / "image" / "c" / "9").mkdir()
    (store / "image" / "c" / "9" / "0").write_text("junk")
    assert found(store) == [
        "file image/c/0/0.partial: belongs to no array of the store",
        "file image/c/9/0: belongs to no array of the store",
    ]


@pytest.mark.parametrize("name", ["epoch", "condition", "channel", "checkpoint"])
def test_damaged_coordinates_are_named(store, name):
    file = store / name / "c" / "0"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    (problem,) = found(store)
    assert problem.startswith(f"coordinate {name}: {name} is damaged: ")
    file.unlink()
    assert found(store) == [f"coordinate {name}: no shard of {name}"]


def test_labels_are_distinct_and_units_in_order(store):
    zarr.open_array(store / "epoch", mode="r+")[:] = [0, 2, 2]
    zarr.open_array(store / "channel", mode="r+")[5] = 9
    assert found(store) == [
        "coordinate epoch: labels that are not distinct: [0, 2, 2]",
        "coordinate channel: not layer after layer, the channels of each ascending",
    ]
    with pytest.raises(Exception, match="epoch: expected distinct labels"):
        cube.validate(store)
    zarr.open_array(store / "epoch", mode="r+")[:] = [0, 2, 8]
    with pytest.raises(Exception, match="channel: expected layer after layer, the channels"):
        cube.validate(store)


def test_what_is_not_as_in_the_schema_is_named(store):
    def change(metadata):
        arrays = metadata["consolidated_metadata"]["metadata"]
        del arrays["latent"]
        arrays["activation"]["attributes"]["units"] = "V"

    edit(store, change)
    problems = found(store)
    assert "variable latent: missing" in problems
    assert "variable activation: unit V in place of 1" in problems


def test_what_is_no_store_is_said(tmp_path, store):
    (problem,) = found(tmp_path / "absent.zarr")
    assert problem.startswith("the store: cannot be opened")
    (store / "zarr.json").write_text("{")
    (problem,) = found(store)
    assert problem.startswith("the store: cannot be opened")


class TestSmallStores:
    @pytest.fixture
    def small(self, tmp_path):
        dataset = xr.Dataset(
            {"value": (("condition", "unit"), np.ones((2, 3), np.float32))},
            {"condition": ["clrjit", "keepclr"], "channel": ("unit", [0, 1, 2])},
            {"title": "of nobody's schema"},
        )
        zarr_io.write_dataset(tmp_path / "a.zarr", dataset)
        return tmp_path / "a.zarr"

    def test_checksums_and_gaps_are_compared_without_a_schema(self, small):
        assert found(small) == []
        file = small / "value" / "c" / "0" / "0"
        content = file.read_bytes()
        file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        (problem,) = found(small)
        assert problem.startswith("variable value: value is damaged")
        file.unlink()
        assert found(small) == ["variable value: no shard of value"]

    def test_a_known_title_brings_its_schema(self, small):
        edit(small, lambda metadata: metadata["attributes"].update(title=schema.RECEPTIVE_FIELDS.title))
        assert "variable mask: missing" in found(small)


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("image/c/1/1/1/2/0/0/0/0", f"{ADDRESS}: image"),
        ("status/c/0/1/0/0/0", "condition clrjit, run 3, repeat 0, epoch 0: status"),
        ("epoch/c/0", "coordinate epoch"),
        ("zarr.json", "file zarr.json"),
        ("image/zarr.json", "file image/zarr.json"),
        ("other/c/0", "file other/c/0"),
    ],
)
def test_a_file_is_said_in_words(whole, file, said):
    assert validation.place(whole, file) == said
