"""Read the files that trainers write, without running any code in them.

A file of torch.save is unpickled by torch's own restricted reader (`weights_only`), which knows tensors and
plain containers. Trainers add a few harmless things, such as their command-line arguments; those are allowed
here by name, and anything else that a file names is refused.
"""

import argparse
import collections
import datetime
import json
import pathlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from protoviz.errors import StudyError

Refusal = Callable[[str], StudyError]  # what was found -> the error that says so

# The files in which a folder such as Hugging Face's checkpoint-500/ holds its weights.
_IN_FOLDERS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)


class _Attributes(dict[str, Any]):
    """A mapping that replaces types of mapping whose keys can be read as attributes."""


def _harmless() -> list[Any]:
    """Types by their names in files; making one of these runs no code of the file."""
    scalar, rebuilt = np._core.multiarray.scalar, np._core.multiarray._reconstruct  # type: ignore[attr-defined]
    named: list[tuple[Any, str]] = [
        (argparse.Namespace, "argparse.Namespace"),
        (collections.Counter, "collections.Counter"),
        (datetime.date, "datetime.date"),
        (datetime.datetime, "datetime.datetime"),
        (datetime.timedelta, "datetime.timedelta"),
        (np.ndarray, "numpy.ndarray"),
        (np.dtype, "numpy.dtype"),
    ]
    for library in ("numpy.core.multiarray", "numpy._core.multiarray"):  # before and since NumPy 2
        named += [(scalar, f"{library}.scalar"), (rebuilt, f"{library}._reconstruct")]
    for library in ("pathlib", "pathlib._local"):  # Python 3.13 says the second
        named += [
            (pathlib.PurePosixPath, f"{library}.{name}") for name in ("PosixPath", "PurePosixPath", "Path")
        ]
        named += [
            (pathlib.PureWindowsPath, f"{library}.{name}") for name in ("WindowsPath", "PureWindowsPath")
        ]
    for library in ("__builtin__", "builtins"):
        named += [(kind, f"{library}.{kind.__name__}") for kind in (set, frozenset, complex)]
    for library in ("pytorch_lightning.utilities.parsing", "lightning.pytorch.utilities.parsing"):
        named.append((_Attributes, f"{library}.AttributeDict"))
    for library in ("lightning.fabric.utilities.data", "lightning_fabric.utilities.data"):
        named.append((_Attributes, f"{library}.AttributeDict"))
    return [*named, *{type(np.dtype(code)) for code in np.typecodes["All"]}]


def contents(path: Path, refusal: Refusal) -> object:
    """What a file holds, on the CPU.

    Args:
        path: a file of torch.save (any suffix), of safetensors (.safetensors), an index of several of these
            (.index.json), or a folder that holds one of them under its usual name.
        refusal: makes the error for a file that cannot be read.

    Raises:
        StudyError: the file holds code, is damaged, is of another kind, or lacks a part.
    """
    if path.is_dir():
        there = [path / name for name in _IN_FOLDERS if (path / name).is_file()]
        if not there:
            raise refusal(f"a folder without {', '.join(_IN_FOLDERS[:-1])} or {_IN_FOLDERS[-1]}")
        return contents(there[0], refusal)
    if path.name.endswith(".index.json"):
        return _sharded(path, refusal)
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except (SafetensorError, OSError) as error:
            raise refusal("a damaged file or one of another kind") from error
    return _unpickled(path, refusal)


def _sharded(index: Path, refusal: Refusal) -> dict[str, Any]:
    """The tensors of all files that an index names."""
    try:
        places = dict(json.loads(index.read_text())["weight_map"])
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise refusal("an index that names no files") from error
    tensors: dict[str, Any] = {}
    for name in sorted(set(map(str, places.values()))):
        if Path(name).name != name:  # an index may not lead out of its folder
            raise refusal(f"an index that names {name}, which is not a file beside it")
        if not (index.parent / name).is_file():
            raise refusal(f"an index that names {name}, which is not there")
        part = contents(index.parent / name, refusal)
        tensors |= part if isinstance(part, dict) else {}
    if missing := sorted(set(places) - set(tensors)):
        raise refusal(f"no {missing[0]} in the files of the index ({len(missing)} missing)")
    return tensors


def _unpickled(path: Path, refusal: Refusal) -> object:
    try:
        with torch.serialization.safe_globals(_harmless()):
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # on a file of another kind, the reader may fail in any way
        text = str(error)
        code = re.search(r"GLOBAL (\S+)", text)
        if code:
            found = f"code that loading would run ({code[1]})"
        elif "TorchScript" in text:
            found = "a TorchScript archive, which holds code"
        elif ".tar format" in text:
            found = "a tar file of PyTorch before 0.1.10; load it there and save it again"
        else:
            found = "a damaged file or one of another kind"
        raise refusal(found) from error
