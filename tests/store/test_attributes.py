"""Attributes: what every format holds, and the same again when it is read."""

import numpy as np
import pytest
import xarray as xr

from protoviz.errors import StudyError
from protoviz.store import attributes


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        (3, 3),
        (0.5, 0.5),
        ("words", "words"),
        ([1, 2.5], [1, 2.5]),
        (np.float32(0.5), 0.5),
        (np.arange(2), [0, 1]),
        (None, "null"),
        (True, "true"),
        ([], "[]"),
        ([True, 1], "[true, 1]"),
        (["a", "b"], '["a", "b"]'),
        ({"a": {"b": [1, None]}}, '{"a": {"b": [1, null]}}'),
    ],
)
def test_stored_and_read(given, stored):
    (value,) = attributes.encoded({"it": given}, "here").values()
    assert value == stored
    assert type(value) is type(stored)
    read = attributes.read(xr.Dataset(attrs={"it": value}))["it"]
    assert np.array_equal(read, given) if isinstance(given, np.ndarray) else read == given


def test_what_is_encoded_stays_as_it_is():
    once = attributes.encoded({"recipe": {"a": 1}, "nothing": None, "it": "words"}, "here")
    assert attributes.encoded(once, "here") == once


@pytest.mark.parametrize("words", ["[in brackets]", "{", "nullable", "3", ""])
def test_words_stay_words(words):
    stored = attributes.encoded({"it": words}, "here")
    assert stored == {"it": words}
    assert attributes.read(xr.DataArray(0, attrs=stored)) == {"it": words}


@pytest.mark.parametrize("wrong", [object(), {"a": {1, 2}}, float("nan"), [float("inf")], 1j])
def test_what_is_no_json_is_refused(wrong):
    with pytest.raises(StudyError, match="here: attributes: expected JSON values"):
        attributes.encoded({"it": wrong}, "here")
