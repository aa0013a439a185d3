"""How the files of a study of checkpoints are written."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from protoviz import files


def write(path: Path, text: str) -> None:
    """Write a file, whole or not at all."""
    with files.complete(path) as partial:
        partial.write_text(text)


def yaml(values: Mapping[str, Any]) -> str:
    """Values as YAML; what was read with `read` keeps its comments and its order."""
    text = io.StringIO()
    _yaml().dump(values, text)
    return text.getvalue()


def read(path: Path) -> Any:
    """A file of YAML, with its comments."""
    return _yaml().load(path)


def code(network: str) -> list[str]:
    """The user's own file that a network is built by, which stages depend on; none for "timm:resnet18"."""
    home = network.rpartition(":")[0]
    return [home] if home.endswith(".py") else []


def _yaml() -> YAML:
    made = YAML()
    made.default_flow_style = None
    made.width = 110
    return made
