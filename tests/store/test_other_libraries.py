"""What a user does with a store next, of every kind, with no module of ours: none of it fails or warns.

The warnings of all these calls are errors, as in every test here.
"""

import pickle
import warnings

import numpy as np
import pytest
import xarray as xr
import zarr
from sklearn.metrics import silhouette_score
from sklearn.preprocessing import LabelEncoder

import protoviz
from protoviz.store import attributes, cube, kinds, schema, schema_matching
from protoviz.store.cube_dataset import dataset
from protoviz.store.cube_linking import link_cube
from tests.reference import prototypes as toy
from tests.reference import servers, stores
from tests.reference.dvc_remote import publish

KINDS = {kind.title: kind for kind in kinds.STORES}
BY_LAYER = [  # those whose units are labelled by `layer`, not by `unit_layer`
    title
    for title, kind in KINDS.items()
    if any(axis.name == schema.LAYER and axis.dims == (schema.UNIT,) for axis in kind.coordinates)
]


def linked(folder):
    """The cube as the pipeline makes it: filled shard by shard, then linked."""
    parts = [
        toy.write_cube(folder / f"{run}.zarr", toy.template(runs=(run,)), stores.ATTRIBUTES) for run in (1, 3)
    ]
    link_cube(folder / "cube.zarr", parts)
    return folder / "cube.zarr"


def from_notebook(folder):
    """What `protoviz.synthesize` returns, written by the user."""
    address = cube.Address("model", 0, 0, 0)
    channels = [*range(4), *range(8)]
    layers = [layer for layer, count in toy.LAYERS.items() for _ in range(count)]
    made = dataset([address], [toy.shard(address)], layers, channels, stores.ATTRIBUTES, "as given")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Consolidated metadata")
        made.reset_index("unit").to_zarr(folder / "made.zarr")
    return folder / "made.zarr"


OTHERS = {"linked cube": linked, "notebook": from_notebook}


@pytest.fixture(scope="module", params=[*KINDS, *OTHERS])
def store(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    if request.param in OTHERS:
        return OTHERS[request.param](folder)
    return stores.write(folder / "a.zarr", KINDS[request.param])


@pytest.fixture
def read(store):
    return xr.open_zarr(store, chunks=None)


def outermost(read):
    """The dimension of networks: their conditions, or pairs of them."""
    return schema.CONDITION if schema.CONDITION in read.dims else schema_matching.PAIR


def label(read):
    """The coordinate that names conditions."""
    return schema.CONDITION if schema.CONDITION in read.dims else schema_matching.FIRST[0]


def texts(read):
    return {name: labels for name, labels in read.coords.items() if labels.dtype.kind not in "if"}


def per_unit(read):
    """A variable along the units."""
    found = [name for name, array in read.data_vars.items() if schema.UNIT in array.dims]
    return read[found[0]].astype(np.float64).fillna(0).transpose(schema.UNIT, ...)


def same(read, again):
    """Labels, values and what is said of them."""
    assert set(again.variables) == set(read.variables)
    for name, array in read.variables.items():
        assert again[name].dims == array.dims
        np.testing.assert_array_equal(again[name].to_numpy(), array.to_numpy())
    assert {name: list(np.ravel(value)) for name, value in again.attrs.items()} == {
        name: list(np.ravel(value)) for name, value in read.attrs.items()
    }


def test_labels_are_strings(read):
    assert label(read) in texts(read)
    for labels in texts(read).values():
        assert labels.dtype == object
        assert all(type(label) is str for label in labels.to_numpy())
        assert labels.to_numpy().astype(str).dtype.kind == "U"
        assert labels.isin(labels.to_numpy()[:1]).any()
        assert "missing_value" not in labels.attrs


def test_attributes_are_numbers_text_and_lists_of_numbers(read):
    for said in (read.attrs, *(array.attrs for array in read.variables.values())):
        for value in said.values():
            numbers = value if isinstance(value, list) else [value]
            assert isinstance(value, str) or all(type(number) in (int, float) for number in numbers)


def test_attributes_are_read_as_they_were_given(read):
    assert attributes.read(read) == {"title": read.attrs["title"], **stores.ATTRIBUTES}


def test_pandas(read):
    for name, array in read.data_vars.items():
        if outermost(read) not in array.dims:
            continue
        series = array.to_series()
        assert len(series) == array.size
        frame = array.to_dataframe()
        groups = frame.groupby(label(read))[name].count()
        assert groups.index.tolist() == sorted(set(read[label(read)].values))
        assert frame.reset_index().to_csv()
    name = next(name for name, array in read.data_vars.items() if outermost(read) in array.dims)
    frame = read[[name]].to_dataframe().reset_index()
    assert set(texts(read)) & set(frame.columns)
    again = frame.set_index([*read[name].dims]).to_xarray()
    assert again[outermost(read)].values.tolist() == read[outermost(read)].values.tolist()


def test_groups_of_xarray(read):
    values = per_unit(read)
    layer = schema.LAYER if values.coords.get(schema.LAYER, values).dims == (schema.UNIT,) else "unit_layer"
    means = values.groupby(layer).mean()
    assert means[layer].values.tolist() == sorted(set(read[layer].values))


def test_scikit_learn(read):
    values = per_unit(read)
    layer = schema.LAYER if values.coords.get(schema.LAYER, values).dims == (schema.UNIT,) else "unit_layer"
    labels = values[layer].values
    flat = values.to_numpy().reshape(len(labels), -1)
    assert -1 <= silhouette_score(flat, labels) <= 1
    encoder = LabelEncoder().fit(labels)
    assert encoder.inverse_transform(encoder.transform(labels)).tolist() == labels.tolist()


@pytest.mark.parametrize("store", [*BY_LAYER, *OTHERS], indirect=True)
def test_units_are_selected_by_layer_and_channel(read):
    indexed = read.set_xindex([schema.LAYER, schema.CHANNEL])
    last = {name: read[name].values[-1] for name in (schema.LAYER, schema.CHANNEL)}
    condition = read[schema.CONDITION].values[0]
    one, where = indexed.sel(condition=condition, **last), {schema.UNIT: -1, schema.CONDITION: 0}
    for name, array in read.data_vars.items():
        there = {dim: at for dim, at in where.items() if dim in array.dims}
        np.testing.assert_array_equal(one[name].squeeze(), array.isel(there).squeeze())
    same(read.drop_attrs(), indexed.reset_index(schema.UNIT).drop_attrs())


def test_pickle_and_copies(read):
    same(read, pickle.loads(pickle.dumps(read)))
    same(read, pickle.loads(pickle.dumps(read.load())))
    same(read, read.copy(deep=True))


def test_netcdf(read, tmp_path):
    """By SciPy; the casts are those that the module docstring of zarr_io tells."""
    casts = {np.dtype("float16"): "float32", np.dtype("uint8"): "int16"}
    read = read.assign({name: one.astype(casts.get(one.dtype, one.dtype)) for name, one in read.items()})
    read.to_netcdf(tmp_path / "a.nc")
    with xr.open_dataset(tmp_path / "a.nc") as again:
        same(read, again)
        assert attributes.read(again)["synthesis"] == stores.ATTRIBUTES["synthesis"]
    read.isel({outermost(read): 0}).to_netcdf(tmp_path / "b.nc")


def test_zarr_again(read, tmp_path):
    read.to_zarr(tmp_path / "a.zarr", consolidated=False)
    again = xr.open_zarr(tmp_path / "a.zarr", chunks=None, consolidated=False)
    same(read, again)
    assert {name: array.dtype for name, array in again.variables.items()} == {
        name: array.dtype for name, array in read.variables.items()
    }
    read.isel({outermost(read): [0]}).load().to_zarr(tmp_path / "b.zarr", consolidated=False)
    with warnings.catch_warnings(record=True) as caught:  # without the option: of zarr's own making
        warnings.simplefilter("always")
        read.to_zarr(tmp_path / "c.zarr")
    assert {str(warning.message)[:21] for warning in caught} == {"Consolidated metadata"}


def test_dask(store):
    read = xr.open_zarr(store, chunks={})
    same(xr.open_zarr(store, chunks=None), read.compute())


@pytest.mark.parametrize("store", [*KINDS, "linked cube"], indirect=True)  # those of the pipeline
def test_published(store, tmp_path):
    publish(tmp_path, store, "data/a.zarr")
    with servers.small(tmp_path) as (url, _):
        opened = protoviz.open_published(url, "data/a.zarr")
        assert all(labels.dtype == object for labels in texts(opened).values())
        indexed = opened.reset_index(schema.UNIT) if schema.UNIT in opened.indexes else opened
        same(xr.open_zarr(store, chunks=None), indexed.load())


def test_zarr_does_not_see_the_manifest(store):
    """Nor anything else that it would warn of: opened by all ways, listed, gathered."""
    group = zarr.open_group(store, mode="r")
    assert set(dict(group.arrays())) == set(xr.open_zarr(store, chunks=None).variables)
    bare = zarr.open_group(store, mode="a", use_consolidated=False)
    assert dict(bare.members(max_depth=None)).keys() == dict(group.members(max_depth=None)).keys()
    same(xr.open_zarr(store, chunks=None), xr.open_zarr(store, chunks=None, consolidated=False))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        zarr.consolidate_metadata(store)
    assert {str(warning.message)[:21] for warning in caught} <= {"Consolidated metadata"}
