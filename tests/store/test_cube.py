"""The cube: the contract's two lines, templates that hold, shards that are all there."""

import dataclasses
import hashlib
import subprocess
import sys
import warnings

import numpy as np
import pytest
import xarray as xr
import zarr
from numpy.testing import assert_array_equal

from protoviz.errors import StudyError
from protoviz.store import attributes, cube, cube_linking, manifest, schema
from tests.reference import prototypes as toy

ADDRESS = cube.Address("clrjit", 1, 1, 8)


@pytest.fixture
def store(tmp_path):
    return toy.write_cube(tmp_path / "a.zarr")


def digests(path):
    return {
        str(file.relative_to(path)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in path.rglob("*")
        if file.is_file()
    }


def test_two_lines_of_xarray_read_one_prototype(store):
    """As the README tells, in an interpreter that has nothing of ours, with warnings as errors."""
    code = f"""
import sys
import xarray as xr
cube = xr.open_zarr({str(store)!r}, chunks=None).set_xindex(["layer", "channel"])
image = cube.image.sel(condition="clrjit", run=1, repeat=1, epoch=8, layer="layer2", channel=5)
assert cube.sel(epoch=0).checkpoint.item() == "untrained"
assert cube.sel(epoch=8).checkpoint.item() == "epoch 8"
assert not any(name.startswith("protoviz") for name in sys.modules)
print(image.dtype, *image.to_numpy().ravel())
"""
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    dtype, *pixels = run.stdout.split()
    assert dtype == "uint8"
    assert_array_equal(np.array(pixels, dtype=np.uint8), toy.shard(ADDRESS).image[4 + 5].ravel())


def test_every_array_is_read_back(store):
    read = cube.open_cube(store)
    for address in toy.addresses(toy.template()):
        at = read.sel(**address._asdict())
        for name, values in vars(toy.shard(address)).items():
            assert_array_equal(at[name].to_numpy(), values)
            assert at[name].dtype == schema.CUBE[name].dtype


def test_array_says_what_it_holds(store):
    read = cube.open_cube(store)
    assert read.status.attrs["flag_meanings"] == "missing converged dead diverged"
    for variable in schema.CUBE.variables:
        assert read[variable.name].dims == variable.dims
        assert read[variable.name].attrs["units"] == variable.units


def test_same_data_in_any_order_give_the_same_files(tmp_path, store):
    extent = toy.template()
    cube.create(tmp_path / "b.zarr", extent, {})
    for address in reversed(toy.addresses(extent)):
        cube.write_shard(tmp_path / "b.zarr", address, toy.shard(address))
    cube.finish(tmp_path / "b.zarr")
    assert digests(store) == digests(tmp_path / "b.zarr")


def test_one_file_for_each_variable_repeat_and_epoch(store):
    for variable in schema.CUBE.variables:
        files = [file for file in (store / variable.name / "c").rglob("*") if file.is_file()]
        assert len(files) == 2 * 3


def test_chunks_do_not_mix_layers(store):
    image = zarr.open_array(store / "image", mode="r")
    assert image.chunks == (1, 1, 1, 1, 4, 6, 6, 3)
    assert image.shards == (1, 1, 1, 1, 12, 6, 6, 3)


def test_shard_of_zeros_is_a_file(tmp_path):
    extent = toy.template(repeats=(0,), epochs=(0,))
    cube.create(tmp_path / "a.zarr", extent, {})
    address = cube.Address("clrjit", 1, 0, 0)
    dead = np.full(toy.UNITS, schema.Status.DEAD, dtype=np.uint8)
    nothing = {
        "image": np.zeros_like(toy.shard(address).image),
        "activation": np.full(toy.UNITS, np.nan, dtype=np.float32),
        "activation_trace": np.full((toy.UNITS, toy.TRACE), np.nan, dtype=np.float32),
        "latent": np.full((toy.UNITS, toy.COMPONENTS), np.nan, dtype=np.float16),
        "transparency": np.zeros_like(toy.shard(address).transparency),
    }
    cube.write_shard(tmp_path / "a.zarr", address, cube.Shard(**nothing, status=dead))
    cube.validate(tmp_path / "a.zarr")
    for _, array in zarr.open_group(tmp_path / "a.zarr", mode="r").arrays():
        assert array.nchunks_initialized == array.nchunks


def test_template_alone_reads_as_missing(tmp_path):
    cube.create(tmp_path / "a.zarr", toy.template(), {"parameters": {"steps": 50}})
    read = cube.open_cube(tmp_path / "a.zarr")
    assert read.attrs["parameters"] == '{"steps": 50}'
    assert attributes.read(read)["parameters"] == {"steps": 50}
    assert (read.status == schema.Status.MISSING).all()
    for name in ("activation", "activation_trace", "latent"):
        assert read[name].isnull().all()
    assert (read.image == 0).all()


def test_size_before_compression():
    extent = toy.template()
    bytes_of_a_unit = 6 * 6 * 3 + 2 * 5 + 4 + 4 * 3 + 1 + 6 * 6
    assert extent.nbytes == 2 * 3 * 12 * bytes_of_a_unit


def test_attributes_are_json(tmp_path):
    with pytest.raises(StudyError, match=r"attributes: expected JSON values, found Object of type PosixPath"):
        cube.create(tmp_path / "a.zarr", toy.template(), {"path": tmp_path})
    with pytest.raises(StudyError, match="attributes: expected JSON values"):
        cube.create(tmp_path / "a.zarr", toy.template(), {"loss": float("nan")})


class TestWriteShard:
    @pytest.mark.parametrize(
        ("name", "change", "message"),
        [
            ("image", lambda a: a.astype(np.float32), r"expected uint8 \(12, 6, 6, 3\), found float32"),
            ("image", lambda a: a[:-1], r"expected uint8 \(12, 6, 6, 3\), found uint8 \(11, 6, 6, 3\)"),
            ("latent", lambda a: a.astype(np.float32), r"expected float16 \(12, 5\), found float32"),
            ("activation", lambda a: a[:, None], r"expected float32 \(12,\), found float32 \(12, 1\)"),
            ("activation_trace", lambda a: a[:, :2], r"expected float32 \(12, 3\), found float32 \(12, 2\)"),
            ("status", lambda a: a * 0, r"unit 0: expected one of \[1, 2, 3\], found 0"),
            ("status", lambda a: a + 6, r"unit 0: expected one of \[1, 2, 3\], found 7"),
            (
                "activation",
                lambda a: np.where(np.arange(12) == 3, np.nan, a).astype(a.dtype),
                "unit 3: .* finite",
            ),
            ("latent", lambda a: a * np.float16(np.inf), "unit 0: .* finite"),
        ],
    )
    def test_what_does_not_fit_is_refused(self, tmp_path, name, change, message):
        cube.create(tmp_path / "a.zarr", toy.template(), {})
        good = toy.shard(ADDRESS)
        bad = dataclasses.replace(good, **{name: change(getattr(good, name))})
        place = f"{name} of condition clrjit, run 1, repeat 1, epoch 8"
        with np.errstate(invalid="ignore"), pytest.raises(StudyError, match=f"{place}.*{message}"):
            cube.write_shard(tmp_path / "a.zarr", ADDRESS, bad)
        assert not list((tmp_path / "a.zarr").rglob("c/0/0/1"))

    @pytest.mark.parametrize(
        ("wrong", "message"),
        [
            ({"epoch": 3}, "epoch: expected one of 0, 2, 8, found 3"),
            ({"condition": "other"}, "condition: expected one of clrjit, found 'other'"),
        ],
    )
    def test_other_address_is_refused(self, store, wrong, message):
        with pytest.raises(StudyError, match=message):
            cube.write_shard(store, ADDRESS._replace(**wrong), toy.shard(ADDRESS))

    def test_arrays_of_the_caller_are_unchanged(self, store):
        shard, same = toy.shard(ADDRESS), toy.shard(ADDRESS)
        cube.write_shard(store, ADDRESS, shard)
        for name, values in vars(same).items():
            assert_array_equal(getattr(shard, name), values)


class TestValidate:
    def test_whole_cube_passes(self, store):
        cube.validate(store)

    def test_missing_cube_is_named(self, tmp_path):
        with pytest.raises(StudyError, match=r"absent\.zarr: expected a file made by an earlier stage"):
            cube.validate(tmp_path / "absent.zarr")

    @pytest.mark.parametrize("name", [variable.name for variable in schema.CUBE.variables])
    def test_missing_shard_is_named(self, store, name):
        cube.shard_file(store, schema.CUBE[name], (0, 0, 1, 2)).unlink()
        message = f"condition clrjit, run 1, repeat 1, epoch 8: .* found no shard of {name}; remove the store"
        with pytest.raises(StudyError, match=message):
            cube.validate(store)

    def test_missing_prototype_is_named(self, store):
        status = zarr.open_array(store / "status", mode="r+")
        states = status[0, 0, 0, 1]
        states[7] = schema.Status.MISSING
        status[0, 0, 0, 1] = states
        with pytest.raises(
            StudyError, match="repeat 0, epoch 2: expected a whole store, found 1 of 12 prototypes missing"
        ):
            cube.validate(store)

    def test_truncated_states_are_an_error(self, store):
        file = cube.shard_file(store, schema.CUBE["status"], (0, 0, 0, 1))
        file.write_bytes(file.read_bytes()[:-3])
        with pytest.raises(StudyError, match=r"repeat 0, epoch 2: .* found status is damaged"):
            cube.validate(store)

    def test_labels_are_distinct(self, tmp_path):
        cube.create(tmp_path / "a.zarr", toy.template(epochs=(0, 8, 8)), {})
        with pytest.raises(StudyError, match=r"epoch: .* found labels that are not distinct: \[0, 8, 8\]"):
            cube.validate(tmp_path / "a.zarr")


class TestFinish:
    def test_what_is_not_whole_gets_no_manifest(self, tmp_path):
        path = tmp_path / "a.zarr"
        cube.create(path, toy.template(epochs=(0, 2)), {})
        for address in toy.addresses(toy.template(epochs=(0,))):
            cube.write_shard(path, address, toy.shard(address))
        with pytest.raises(StudyError, match=r"repeat 0, epoch 2: .* found no shard of activation"):
            cube.finish(path)
        assert not list(path.rglob(manifest.MANIFEST))

    def test_it_can_be_done_again(self, store):
        before = digests(store)
        cube.finish(store)
        assert digests(store) == before

    def test_what_is_known_is_not_read(self, store):
        file = "image/c/0/0/0/0/0/0/0/0"
        cube.finish(store, {file: "0" * 32})
        assert manifest.read(store)[file] == "0" * 32

    def test_what_a_killed_writer_left_is_not_named(self, store):
        (store / "image" / "c" / "0.partial").write_text("junk")
        before = manifest.read(store)
        cube.finish(store)
        assert manifest.read(store) == before


def test_damaged_image_is_an_error(store):
    file = cube.shard_file(store, schema.CUBE["image"], (0, 0, 0, 1))
    damaged = bytearray(file.read_bytes())
    damaged[40] ^= 1
    file.write_bytes(damaged)
    with cube.open_cube(store) as read, pytest.raises((ValueError, RuntimeError)):
        read.image.sel(repeat=0, epoch=2).load()


def test_opening_gives_no_warning(store):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert isinstance(cube.open_cube(store), xr.Dataset)


def test_units_may_be_some_channels_and_epochs_may_have_names(tmp_path):
    """Study B: a sample of the channels of every layer, at stages of training that have names."""
    extent = toy.template(
        epochs=(0, 1), layers={"conv1": (3, 9), "conv2": (0, 1)}, checkpoints=("random", "pretrained")
    )
    path = tmp_path / "cube.zarr"
    cube.create(path, extent, {})
    for address in toy.addresses(extent):
        cube.write_shard(path, address, toy.shard(address, units=4))
    cube.validate(path)
    with cube.open_cube(path) as made:
        assert made.channel.values.tolist() == [3, 9, 0, 1]
        assert made.checkpoint.values.tolist() == ["random", "pretrained"]
        assert made.activation.sel(layer="conv1", channel=9).sizes["epoch"] == 2
        assert cube_linking.read_template(made) == cube.Template(
            **{**vars(extent), "layers": {"conv1": (3, 9), "conv2": 2}}
        )
