"""Read and write the files of a study of checkpoints."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from protoviz import files
from protoviz.config.validation_errors import yaml_problem
from protoviz.errors import StudyError


def write(path: Path, text: str) -> None:
    """Write a file, whole or not at all.

    Raises:
        StudyError: the folder cannot be written to, or the disk is full.
    """
    try:
        with files.complete(path) as partial:
            partial.write_text(text)
    except OSError as error:
        raise StudyError.of(
            error,
            str(path),
            expected="a file that can be written",
            remedy="make room, or change permissions",
        ) from error


def yaml(values: Mapping[str, Any]) -> str:
    """Values as YAML; values that come from `read` keep their comments and their order."""
    text = io.StringIO()
    _yaml().dump(values, text)
    return text.getvalue()


def read(path: Path) -> Any:
    """Read a YAML file with its comments.

    Raises:
        StudyError: it does not exist, or is not YAML.
    """
    try:
        return _yaml().load(path)
    except OSError as error:
        raise StudyError.of(
            error, str(path), expected="a file of the study", remedy="go to the folder of the study"
        ) from error
    except YAMLError as error:
        raise StudyError(
            str(path), expected="YAML", found=yaml_problem(error), remedy="correct the line"
        ) from error


def code(network: str) -> list[str]:
    """The user's own file that builds a network, on which stages depend; none for "timm:resnet18"."""
    home = network.rpartition(":")[0]
    return [home] if home.endswith(".py") else []


def _yaml() -> YAML:
    made = YAML()
    made.default_flow_style = None
    made.width = 110
    return made
