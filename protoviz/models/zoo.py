"""Networks by name: torchvision's, timm's, trained ones, the user's own, and checkpoints of a study."""

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from protoviz import seeding
from protoviz.errors import StudyError
from protoviz.models import efficientnet_lite0, resnet, user_code
from protoviz.models.readout import wrappers
from protoviz.registry import lookup

Colours = tuple[Sequence[float], Sequence[float]]  # mean and deviation of RGB values in [0, 1]

DEFAULT_SIZE = 224  # px, what most networks were trained on


@dataclass(frozen=True)
class Model:
    """A network and what is known of its images.

    Attributes:
        module: the network.
        size: height and width of its images, px.
        mean, std: of the RGB values in [0, 1]; None if the network does not say.
    """

    module: nn.Module
    size: int
    mean: Sequence[float] | None = None
    std: Sequence[float] | None = None


def load(name: str, *, arguments: Mapping[str, Any] | None = None) -> Model:
    """A network by its name, or a checkpoint of a study.

    Args:
        name: "torchvision:resnet18", "timm:seresnext50_32x4d", "imagenet:efficientnet_lite0",
            "package.module:callable" or "path/to/file.py:callable", whose code is run and returns the
            network, or the path of a checkpoint. Networks of "imagenet:" have the weights of an installed
            package; others by name have fresh weights, the same each time (`importer.load` replaces them by
            those of a file).
        arguments: keyword arguments with which the network is built, such as {"num_classes": 10}.

    Raises:
        StudyError: no network has this name (the message offers the nearest), or the user's code fails.
    """
    library, colon, model = name.partition(":")
    given = dict(arguments or {})
    if not colon:
        if given:
            raise StudyError(
                f"model {name!r}",
                expected="no arguments",
                found=str(given),
                remedy="leave them out, or name a model of torchvision or timm",
            )
        return _checkpoint(name)
    libraries = {"torchvision": _torchvision, "timm": _timm, "imagenet": _imagenet, "protoviz": _ours}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeding.seed("model", name))
        # A typing error, unlike the user's own imagenet/main.py.
        slip = library.isidentifier() and difflib.get_close_matches(library, libraries, cutoff=0.8)
        if library in libraries or slip:
            return lookup(libraries, library, "library of models")(model, given)
        return described(wrappers.unwrapped(user_code.built(name, given, tuple(libraries))))


def described(module: nn.Module) -> Model:
    """A module with what it says about its images; timm's modules do."""
    says: dict[str, Any] = (
        getattr(module, "pretrained_cfg", None) or getattr(module, "default_cfg", None) or {}
    )
    size = says["input_size"] if "input_size" in says else getattr(module, "image_size", DEFAULT_SIZE)
    side = size[-1] if isinstance(size, Sequence) else size
    return Model(module, int(side), says.get("mean"), says.get("std"))


def colours(module: nn.Module) -> Colours:
    """What a module says about the RGB values it was trained with; ImageNet's if it says nothing."""
    said = described(module)
    return said.mean or resnet.IMAGENET_MEAN, said.std or resnet.IMAGENET_STD


def _checkpoint(path: str) -> Model:
    from protoviz.models import checkpoints

    if not Path(path).is_file():
        raise StudyError(
            f"model {path!r}",
            expected="torchvision:NAME, timm:NAME, imagenet:NAME, file.py:CALLABLE or a checkpoint's path",
            found="no such file",
            remedy=f"did you mean 'torchvision:{path}' or 'timm:{path}'?"
            if path.isidentifier()
            else "correct it",
        )
    return Model(checkpoints.network(path)[0], DEFAULT_SIZE)


def _ours(name: str, arguments: Mapping[str, Any]) -> Model:
    build: Callable[..., nn.Module] = lookup(resnet.BACKBONES, name, "backbone")
    return Model(_made(name, arguments, lambda: build(**arguments)), DEFAULT_SIZE)


def _imagenet(name: str, arguments: Mapping[str, Any]) -> Model:
    build: Callable[..., nn.Module] = lookup(
        {"efficientnet_lite0": efficientnet_lite0.load}, name, "network that comes with weights of ImageNet"
    )
    if arguments:
        raise StudyError(
            f"model 'imagenet:{name}'",
            expected="no arguments, its weights are those of one network",
            found=", ".join(arguments),
            remedy="leave them out, or name a model of torchvision or timm",
        )
    return described(build())


def _torchvision(name: str, arguments: Mapping[str, Any]) -> Model:
    from torchvision import models

    # Those for detection and segmentation take other inputs, and fetch the weights of their backbone.
    _require(name, models.list_models(module=models), "torchvision")
    return described(_made(name, arguments, lambda: models.get_model(name, weights=None, **arguments)))


def _timm(name: str, arguments: Mapping[str, Any]) -> Model:
    import timm

    architecture, dot, _ = name.partition(".")
    _require(architecture, timm.list_models(), "timm")
    if dot:  # the tag of pretrained weights, which says what their images are
        _require(name, timm.list_pretrained(f"{architecture}.*"), "timm")
    return described(_made(name, arguments, lambda: timm.create_model(name, pretrained=False, **arguments)))


def _made(name: str, arguments: Mapping[str, Any], build: Callable[[], nn.Module]) -> nn.Module:
    """What a library builds.

    Raises:
        StudyError: it does not take the arguments.
    """
    try:
        return build()
    except (TypeError, ValueError, RuntimeError) as error:
        if not arguments:
            raise
        raise StudyError.of(
            error,
            f"model {name!r} with {', '.join(f'{key}={value!r}' for key, value in arguments.items())}",
            expected="arguments that it takes",
            remedy="correct them",
        ) from error


def _require(name: str, names: Sequence[str], library: str) -> None:
    if name not in names:
        near = difflib.get_close_matches(name, names, n=3)
        raise StudyError(
            f"model {name!r} of {library}",
            expected=f"one of its {len(names)} models",
            found="no such name",
            remedy=f"did you mean {' or '.join(near)}?" if near else "look it up in its documentation",
        )
