"""Networks by name: torchvision's, timm's, and checkpoints of a study."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from protoviz.errors import StudyError
from protoviz.registry import lookup

DEFAULT_SIZE = 224  # px, what most networks were trained on


@dataclass(frozen=True)
class Model:
    """A network and what is known of its images.

    Attributes:
        module: the network.
        size: height and width of its images, px.
        mean, std: of the RGB values in [0, 1]; None where it does not say.
    """

    module: nn.Module
    size: int
    mean: Sequence[float] | None = None
    std: Sequence[float] | None = None


def load(name: str) -> Model:
    """A network by its name, with fresh weights, or a checkpoint of a study.

    Args:
        name: "torchvision:resnet18", "timm:seresnext50_32x4d", or the path of a checkpoint.

    Raises:
        StudyError: there is none of this name; the message offers the nearest.
    """
    library, colon, model = name.partition(":")
    if not colon:
        return _checkpoint(name)
    return lookup({"torchvision": _torchvision, "timm": _timm}, library, "library of models")(model)


def described(module: nn.Module) -> Model:
    """A module with what it says about its images, as timm's modules do."""
    says: dict[str, Any] = (
        getattr(module, "pretrained_cfg", None) or getattr(module, "default_cfg", None) or {}
    )
    size = says["input_size"][-1] if "input_size" in says else getattr(module, "image_size", DEFAULT_SIZE)
    return Model(module, int(size), says.get("mean"), says.get("std"))


def _checkpoint(path: str) -> Model:
    from protoviz import checkpoints

    if not Path(path).is_file():
        raise StudyError(
            f"model {path!r}",
            expected="torchvision:NAME, timm:NAME or the path of a checkpoint",
            found="no such file",
            remedy="correct the name",
        )
    return Model(checkpoints.load(path)[0], DEFAULT_SIZE)


def _torchvision(name: str) -> Model:
    from torchvision.models import get_model, list_models

    _require(name, list_models(), "torchvision")
    return described(get_model(name, weights=None))


def _timm(name: str) -> Model:
    import timm

    _require(name.partition(".")[0], timm.list_models(), "timm")
    return described(timm.create_model(name, pretrained=False))


def _require(name: str, names: Sequence[str], library: str) -> None:
    if name not in names:
        near = difflib.get_close_matches(name, names, n=3)
        raise StudyError(
            f"model {name!r} of {library}",
            expected=f"one of its {len(names)} models",
            found="no such name",
            remedy=f"did you mean {' or '.join(near)}?" if near else "look it up in its documentation",
        )
