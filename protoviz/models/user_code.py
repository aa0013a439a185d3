"""Networks that the user's own code builds: "package.module:callable" or "path/to/file.py:callable".

This is the only place where protoviz runs code that it is pointed to. The code runs unchecked, with the
rights of the calling user.
"""

import importlib
import importlib.util
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from protoviz.errors import StudyError


def built(name: str, arguments: Mapping[str, Any], libraries: Sequence[str] = ()) -> nn.Module:
    """What the callable returns.

    Args:
        name: module or file, a colon, and the callable in it, such as "models.py:small" or
            "lab.nets:Encoder". Modules are looked for in the current folder, too; a file may import those
            beside it.
        arguments: its keyword arguments.
        libraries: libraries of networks by name, for the message about an unknown module.

    Raises:
        StudyError: there is no such module, file or callable; the code fails; or it returns no module.
    """
    home, _, called = name.rpartition(":")
    module = _from_file(name, Path(home)) if home.endswith(".py") else _imported(name, home, libraries)
    build: Any = module
    for part in called.split("."):
        build = getattr(build, part, None)
    if not callable(build):
        offered = [key for key, value in vars(module).items() if callable(value) and key[0] != "_"]
        raise StudyError(
            f"model {name!r}",
            expected=f"a callable {called!r} in {home}",
            found=f"none; it has {', '.join(offered[:8])}" if offered else "none",
            remedy="correct the name after the colon",
        )
    try:
        network = build(**arguments)
    except Exception as error:  # whatever the user's code raises
        given = ", ".join(f"{key}={value!r}" for key, value in arguments.items())
        raise StudyError.of(
            error, f"model {name!r}", expected=f"{called}({given}) to return a network", remedy="correct it"
        ) from error
    if not isinstance(network, nn.Module):
        raise StudyError(
            f"model {name!r}",
            expected=f"{called} to return a torch.nn.Module",
            found=type(network).__name__,
            remedy="return the network itself",
        )
    return network


def _from_file(name: str, path: Path) -> ModuleType:
    if not path.is_file():
        raise StudyError(
            f"model {name!r}", expected=f"a file {path}", found="nothing", remedy="correct the path"
        )
    found = importlib.util.spec_from_file_location(path.stem, path)
    assert found is not None  # the name ends in .py
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    folder = str(path.absolute().parent)
    sys.path.insert(0, folder)  # as `python path/to/file.py` does
    try:
        found.loader.exec_module(module)
    except Exception as error:
        raise StudyError.of(
            error, f"model {name!r}", expected="a file of Python that can be run", remedy="correct it"
        ) from error
    finally:
        sys.path.remove(folder)
    return module


def _imported(name: str, module: str, libraries: Sequence[str]) -> ModuleType:
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        return importlib.import_module(module)
    except Exception as error:
        known = "".join(f"{library}:NAME, " for library in libraries)
        raise StudyError.of(
            error,
            f"model {name!r}",
            expected=f"{known}package.module:CALLABLE or path/to/file.py:CALLABLE",
            remedy="correct what stands before the colon",
        ) from error
    finally:
        sys.path.remove(here)
