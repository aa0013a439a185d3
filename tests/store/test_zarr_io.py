"""Small stores: the same bytes for the same data, nothing half-written, nothing read in silence."""

import hashlib
import json
import warnings

import numpy as np
import pytest
import xarray as xr

from protoviz.errors import StudyError
from protoviz.store import schema, zarr_io


@pytest.fixture
def dataset():
    return xr.Dataset(
        {
            "value": (
                ("condition", "step"),
                np.array([[0.5, np.nan], [1, 2]], dtype=np.float32),
                {"units": "px"},
            ),
            "zeros": (("condition",), np.zeros(2, dtype=np.uint8)),
            "nothing": (("condition", "none"), np.zeros((2, 0), dtype=np.float32)),
        },
        {"condition": ["clrjit", "keepclr"], "label": ("step", ["a", "bc"])},
        {"title": "toy"},
    )


def digests(path):
    return {
        str(file.relative_to(path)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in path.rglob("*")
        if file.is_file()
    }


def test_read_back_as_written(tmp_path, dataset):
    zarr_io.write_dataset(tmp_path / "a.zarr", dataset)
    read = zarr_io.open_dataset(tmp_path / "a.zarr")
    xr.testing.assert_identical(
        read.drop_vars(["condition", "label"]), dataset.drop_vars(["condition", "label"])
    )
    for name in ("condition", "label"):
        assert read[name].dtype == schema.TEXT
        assert read[name].to_numpy().tolist() == dataset[name].to_numpy().tolist()
    assert read.sel(condition="keepclr")["value"].sum() == 3


def test_plain_xarray_opens_it_without_a_warning(tmp_path, dataset):
    zarr_io.write_dataset(tmp_path / "a.zarr", dataset)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with xr.open_zarr(tmp_path / "a.zarr", chunks=None) as read:
            assert read["zeros"].dtype == np.uint8


def test_same_data_give_the_same_files(tmp_path, dataset):
    zarr_io.write_dataset(tmp_path / "a.zarr", dataset)
    zarr_io.write_dataset(tmp_path / "b.zarr", zarr_io.open_dataset(tmp_path / "a.zarr"))
    zarr_io.write_dataset(tmp_path / "b.zarr", dataset.copy(deep=True))
    assert digests(tmp_path / "a.zarr") == digests(tmp_path / "b.zarr")


def test_data_read_from_a_store_are_written_as_the_same_files(tmp_path, dataset):
    zarr_io.write_dataset(tmp_path / "a.zarr", dataset)
    zarr_io.write_dataset(tmp_path / "b.zarr", zarr_io.open_dataset(tmp_path / "a.zarr"))
    assert digests(tmp_path / "a.zarr") == digests(tmp_path / "b.zarr")


def test_metadata_are_in_alphabetical_order(tmp_path, dataset):
    zarr_io.write_dataset(tmp_path / "a.zarr", dataset)
    metadata = json.loads((tmp_path / "a.zarr" / "zarr.json").read_text())
    names = list(metadata["consolidated_metadata"]["metadata"])
    assert names == sorted(names)
    assert set(names) == set(dataset.variables)


def test_arrays_of_zeros_are_files(tmp_path, dataset):
    zarr_io.write_dataset(tmp_path / "a.zarr", dataset)
    assert (tmp_path / "a.zarr/zeros/c/0").is_file()


def test_data_set_of_the_caller_is_unchanged(tmp_path, dataset):
    before = dataset.copy(deep=True)
    zarr_io.write_dataset(tmp_path / "a.zarr", dataset)
    xr.testing.assert_identical(dataset, before)
    assert dataset["condition"].dtype == before["condition"].dtype


def test_what_cannot_be_written_leaves_nothing(tmp_path, dataset):
    with pytest.raises(StudyError, match="attributes: expected JSON values, found Object of type object"):
        zarr_io.write_dataset(tmp_path / "a.zarr", dataset.assign_attrs(bad=object()))
    with pytest.raises(StudyError, match="label: expected labels, found an empty one"):
        zarr_io.write_dataset(tmp_path / "a.zarr", dataset.assign_coords(label=("step", ["a", ""])))
    assert list(tmp_path.iterdir()) == []


def test_missing_store_is_named(tmp_path):
    with pytest.raises(
        StudyError, match=r"absent\.zarr: expected a file made by an earlier stage, found nothing"
    ):
        zarr_io.open_dataset(tmp_path / "absent.zarr")


def test_missing_chunk_is_an_error(tmp_path, dataset):
    zarr_io.write_dataset(tmp_path / "a.zarr", dataset)
    (tmp_path / "a.zarr/value/c/0/0").unlink()
    with pytest.raises(StudyError, match="expected a complete store, found no shard at value/c/0/0"):
        zarr_io.open_dataset(tmp_path / "a.zarr")


@pytest.mark.parametrize("at", [-1, -8, 6])
def test_damaged_chunk_is_an_error(tmp_path, at):
    noise = np.random.default_rng(0).random(100)
    zarr_io.write_dataset(tmp_path / "a.zarr", xr.Dataset({"value": ("x", noise)}))
    chunk = tmp_path / "a.zarr/value/c/0"
    damaged = bytearray(chunk.read_bytes())
    damaged[at] ^= 1
    chunk.write_bytes(damaged)
    with pytest.raises(StudyError, match="expected a complete store"):
        zarr_io.open_dataset(tmp_path / "a.zarr")


class TestSchema:
    store = schema.Store(
        "Toy",
        "toy.zarr",
        (schema.Coordinate("run", ("run",), schema.INTEGER, "seed"),),
        (schema.Variable("value", ("run",), np.dtype(np.float32), "what it is", "px"),),
    )

    def toy(self, name="value", dims=("run",), dtype=np.float32, coordinate="run"):
        return xr.Dataset({name: (dims, np.ones(2, dtype=dtype))}, {coordinate: (dims, [1, 2])})

    def test_descriptions_and_units_are_added(self, tmp_path):
        zarr_io.write_dataset(tmp_path / "a.zarr", self.toy(), self.store)
        read = zarr_io.open_dataset(tmp_path / "a.zarr")
        assert read["value"].attrs == {"description": "what it is", "units": "px"}
        assert read["run"].attrs == {"description": "seed"}
        assert read.attrs == {"title": "Toy"}

    @pytest.mark.parametrize(
        ("wrong", "message"),
        [
            ({"name": "other"}, "expected variables value, found other"),
            ({"coordinate": "walk"}, "expected coordinates run, found walk"),
            ({"dims": ("walk",)}, r"value: expected dimensions \('run',\), found \('walk',\)"),
            ({"dtype": np.float64}, "value: expected float32, found float64"),
        ],
    )
    def test_other_data_are_refused(self, tmp_path, wrong, message):
        with pytest.raises(StudyError, match=message):
            zarr_io.write_dataset(tmp_path / "a.zarr", self.toy(**wrong), self.store)
        assert list(tmp_path.iterdir()) == []
