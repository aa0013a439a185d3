"""Networks by name: torchvision's, timm's, and checkpoints of a study."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from protoviz import seeding
from protoviz.errors import StudyError
from protoviz.models import download, state_dicts
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


def load(name: str, *, state: str | Path | None = None) -> Model:
    """A network by its name, or a checkpoint of a study.

    Args:
        name: "torchvision:resnet18", "timm:seresnext50_32x4d", or the path of a checkpoint.
        state: path or address of the network's state dict (.pt, .pth, .safetensors). Without one, a network
            by name has fresh weights, the same each time.

    Raises:
        StudyError: there is none of this name, the message offers the nearest; or the state dict cannot be
            had, is not that of this network, or holds code.
    """
    library, colon, model = name.partition(":")
    if not colon:
        if state is not None:
            raise StudyError(
                f"model {name!r}",
                expected="no state dict, a checkpoint has its own",
                found=str(state),
                remedy="leave it out, or name a model of torchvision or timm",
            )
        return _checkpoint(name)
    build = lookup({"torchvision": _torchvision, "timm": _timm}, library, "library of models")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeding.seed("model", name))
        found = build(model)
    if state is not None:
        state_dicts.load_into(found.module, download.local(state), name)
    return found


def described(module: nn.Module) -> Model:
    """A module with what it says about its images, as timm's modules do."""
    says: dict[str, Any] = (
        getattr(module, "pretrained_cfg", None) or getattr(module, "default_cfg", None) or {}
    )
    size = says["input_size"] if "input_size" in says else getattr(module, "image_size", DEFAULT_SIZE)
    side = size[-1] if isinstance(size, Sequence) else size
    return Model(module, int(side), says.get("mean"), says.get("std"))


def _checkpoint(path: str) -> Model:
    from protoviz.models import checkpoints

    if not Path(path).is_file():
        raise StudyError(
            f"model {path!r}",
            expected="torchvision:NAME, timm:NAME or the path of a checkpoint",
            found="no such file",
            remedy=f"did you mean 'torchvision:{path}' or 'timm:{path}'?"
            if path.isidentifier()
            else "correct it",
        )
    return Model(checkpoints.load(path)[0], DEFAULT_SIZE)


def _torchvision(name: str) -> Model:
    from torchvision import models

    # Those for detection and segmentation take other inputs, and fetch the weights of their backbone.
    _require(name, models.list_models(module=models), "torchvision")
    return described(models.get_model(name, weights=None))


def _timm(name: str) -> Model:
    import timm

    architecture, dot, _ = name.partition(".")
    _require(architecture, timm.list_models(), "timm")
    if dot:  # the tag of pretrained weights, which says what their images are
        _require(name, timm.list_pretrained(f"{architecture}.*"), "timm")
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
