"""Attributes of stores: one writer that brings them to a form every format holds, one reader that undoes it.

NetCDF and HDF5 hold numbers, text and lists of numbers. Whatever else there is to say, such as a recipe of
nested settings, a truth value or nothing, is written as JSON text:

    json.loads(cube.attrs["synthesis"])["ascent"]["steps"]
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from protoviz.errors import StudyError

_WORDS = ("null", "true", "false")


def encoded(values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Attributes as they are stored: numbers, text and lists of numbers as they are, else JSON text.

    Args:
        values: JSON values or NumPy numbers; what is already encoded stays as it is.
        where: what they belong to, for messages.

    Raises:
        StudyError: they are not JSON, or hold a number that is not finite.
    """
    try:
        text = json.dumps(dict(values), allow_nan=False, default=_plain)
    except (TypeError, ValueError) as error:
        where, remedy = f"{where}: attributes", "give plain values"
        raise StudyError(where, expected="JSON values", found=str(error), remedy=remedy) from error
    return {name: value if _is_held(value) else json.dumps(value) for name, value in json.loads(text).items()}


def read(of: xr.Dataset | xr.DataArray) -> dict[str, Any]:
    """The attributes of a data set or an array, with JSON text decoded."""
    return {str(name): _decoded(value) for name, value in of.attrs.items()}


def _decoded(value: Any) -> Any:
    if isinstance(value, str) and (value.startswith(("{", "[")) or value in _WORDS):
        try:
            return json.loads(value)
        except ValueError:  # words that begin with a bracket
            return value
    return value


def _is_held(value: Any) -> bool:
    if isinstance(value, list):
        return bool(value) and all(map(_is_number, value))
    return isinstance(value, str) or _is_number(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")
