"""The schema: chunks that do not mix layers, labels of the units, and the data dictionary."""

import numpy as np
import pytest

from protoviz.store import data_dictionary, schema


@pytest.mark.parametrize(
    ("layers", "limit", "expected"),
    [
        ((16, 32, 64, 128), 64, 16),
        ((64, 128, 256, 512), 64, 64),
        ((256, 512, 1024, 2048), 64, 64),
        ((100, 200), 64, 50),
        ((7, 5), 64, 1),
        ((12,), 5, 4),
    ],
)
def test_no_chunk_mixes_layers(layers, limit, expected):
    size = schema.unit_chunk(layers, limit)
    assert size == expected
    assert all(boundary % size == 0 for boundary in np.cumsum(layers))


def test_units_are_labelled_layer_after_layer():
    layer, channel = schema.unit_labels({"layer2": 3, "layer1": 2})
    assert layer.tolist() == ["layer2"] * 3 + ["layer1"] * 2
    assert channel.tolist() == [0, 1, 2, 0, 1]


def test_untrained_checkpoint_has_a_name():
    assert [schema.checkpoint_name(epoch) for epoch in (0, 8)] == ["untrained", "epoch 8"]


@pytest.mark.parametrize("store", data_dictionary.STORES, ids=lambda store: store.title)
def test_data_dictionary_tells_every_name(store):
    rows = data_dictionary.data_dictionary().splitlines()
    for named in (*store.coordinates, *store.variables):
        assert any(row.startswith(f"| `{named.name}` |") and named.description in row for row in rows)


def test_data_dictionary_names_the_states():
    assert "`status`: 0 missing, 1 converged, 2 dead, 3 diverged." in data_dictionary.data_dictionary()


@pytest.mark.parametrize("store", data_dictionary.STORES, ids=lambda store: store.title)
def test_absent_values_are_nan_or_named_missing(store):
    for variable in store.variables:
        if variable.dtype.kind == "f":
            assert np.isnan(variable.fill)
        if variable.states is not None:
            assert variable.states(int(variable.fill)).name == "MISSING"
            assert variable.attributes()["flag_meanings"].split()[0] == "missing"
