"""What a notebook needs: the units of a network, and their prototypes as a Dataset."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
import xarray as xr
from torch import nn

from protoviz import backbones, compute, cube, models, recipes
from protoviz.cube_dataset import dataset
from protoviz.errors import StudyError
from protoviz.priors import base
from protoviz.synthesis.hybrid import prototypes
from protoviz.synthesis.network import Network
from protoviz.synthesis.trace import Layer

Units = str | Sequence[str] | Mapping[str, int | Iterable[int] | None]


def units(model: nn.Module | str, *, size: int | None = None) -> list[Layer]:
    """The layers of a network whose channels are units: convolutions, linear layers, and what they make up.

    Args:
        model: a module, or the name of one ("torchvision:resnet18", "timm:...", a checkpoint file).
        size: height and width of its images, px; by default the model's own.

    Raises:
        StudyError: no such model, or one that cannot take images of this size.
    """
    layers = network(model, size=size).layers.values()
    return [layer for layer in layers if layer.weighted]


def synthesize(
    model: nn.Module | str,
    units: Units,
    *,
    prior: str | base.ImagePrior = "fourier",
    preset: str | None = None,
    size: int | None = None,
    weights: str | None = None,
    name: str = "model",
    run: int = 0,
    epoch: int = 0,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    device: str = "auto",
    **changes: Any,
) -> xr.Dataset:
    """Prototypes of units: for each the image that drives it most.

        protoviz.synthesize(model, "layer4:0-15", size=96)
        protoviz.synthesize("timm:resnet50", {"layer2": [3, 5]}, ascent={"steps": 256}, repeats=1)

    Args:
        model: a module that takes normalised images (B, 3, size, size), or the name of one, as for `units`.
        units: "layer", "layer:3", "layer:0-15", several of these, or a mapping layer -> channels (None: all).
        prior: what makes images of latents: "fourier", "pixels", "generator", "deepsim", or any object with
            `latent_size`, `image_size` and `render` (`protoviz.priors.base.ImagePrior`).
        preset: "fast", "paper", "as-written" or "fourier" (`protoviz.recipes.PRESETS`); by default "fourier"
            for priors without weights, "fast" for the others.
        size: height and width of the images, px; by default the model's own.
        weights: of the prior, a path or URL, for "generator" and "deepsim".
        name: of the network; with run, epoch and repeat the address that all random numbers come from, so
            that the same call gives the same images.
        run: see `name`.
        epoch: see `name`.
        mean: of the RGB values that the network was trained with; by default its own or ImageNet's.
        std: their deviation.
        device: "auto", "cpu", "cuda", "cuda:1", ...
        changes: of the preset: `repeats`, `precision`, `batch_size`, `rescue`, and the parts of `objective`,
            `start`, `evolution`, `transforms`, `ascent`, each as a mapping.

    Returns:
        A Dataset with the schema of the cube: `image` uint8, `latent`, `activation`, `activation_trace`,
        `status` over (condition, run, repeat, epoch, unit, ...), indexed by layer and channel.

    Raises:
        StudyError: whatever is wrong with these, before any time is spent.
    """
    subject = network(model, size=size, mean=mean, std=std)
    chosen = _channels(subject, units)
    on = compute.available(device)
    learnt = prior in ("generator", "deepsim") if isinstance(prior, str) else isinstance(prior, nn.Module)
    recipe = recipes.changed(preset or ("fast" if learnt else "fourier"), changes)
    made = (
        base.load(prior, weights=weights, size=None if learnt else subject.size, device=on)
        if isinstance(prior, str)
        else prior
    )
    _require_prior(made)
    addresses = [cube.Address(name, run, repeat, epoch) for repeat in range(recipe.repeats)]
    shards = [prototypes(subject, chosen, made, recipe, address=a, device=on) for a in addresses]
    layers, channels = zip(*((layer, c) for layer, some in chosen.items() for c in some), strict=True)
    attributes = {"synthesis": recipe.model_dump_json(), **compute.versions()}
    return dataset(addresses, shards, layers, channels, attributes)


def network(
    model: nn.Module | str,
    *,
    size: int | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> Network:
    """A network prepared for read-out, from a module or a name.

    Raises:
        StudyError: as `units`.
    """
    found = models.load(model) if isinstance(model, str) else models.described(model)
    return Network(
        found.module,
        size or found.size,
        mean or found.mean or backbones.IMAGENET_MEAN,
        std or found.std or backbones.IMAGENET_STD,
    )


def _channels(subject: Network, units: Units) -> dict[str, Sequence[int]]:
    """Layer -> channels, each once, as asked for."""
    if not isinstance(units, Mapping):
        named: list[tuple[str, Iterable[int] | None]] = [
            _parsed(text) for text in ([units] if isinstance(units, str) else units)
        ]
    else:
        named = [(layer, [some] if isinstance(some, int) else some) for layer, some in units.items()]
    chosen: dict[str, list[int]] = {}
    for layer, some in named:
        count = subject.layer(layer).channels
        channels = list(range(count)) if some is None else [int(channel) for channel in some]
        subject.require_channels(layer, channels)
        chosen[layer] = list(dict.fromkeys([*chosen.get(layer, []), *channels]))
    if not any(chosen.values()):
        raise StudyError(
            "units", expected="at least one", found="none", remedy="name a layer, such as 'layer4:0-15'"
        )
    return dict(chosen)


def _parsed(text: str) -> tuple[str, Iterable[int] | None]:
    """The layer and the channels of "layer", "layer:3", "layer:3,5" or "layer:0-15" (both included)."""
    layer, colon, rest = text.partition(":")
    if not colon:
        return layer, None
    channels: list[int] = []
    for part in rest.split(","):
        match = re.fullmatch(r"(\d+)(?:-(\d+))?", part.strip())
        if not match:
            raise StudyError(
                f"units {text!r}",
                expected="layer, layer:3, layer:3,5 or layer:0-15",
                found=repr(part),
                remedy="write channels as numbers",
            )
        channels += range(int(match[1]), int(match[2] or match[1]) + 1)
    return layer, channels


def _require_prior(prior: base.ImagePrior) -> None:
    """Check that a prior renders what it says, by one latent.

    Raises:
        StudyError: it does not.
    """
    side = prior.image_size
    latent = torch.zeros(1, prior.latent_size)
    if isinstance(prior, nn.Module):
        latent = latent.to(next((p.device for p in prior.parameters()), torch.device("cpu")))
    try:
        with torch.no_grad():
            shape = tuple(prior.render(latent).shape)
    except RuntimeError as error:
        found = " ".join(str(error).split())[:200]
    else:
        if shape == (1, 3, side, side):
            return
        found = str(shape)
    raise StudyError(
        f"image prior {type(prior).__name__}",
        expected=f"latents (B, {prior.latent_size}) to render as images (B, 3, {side}, {side})",
        found=found,
        remedy="correct its latent_size, its image_size or its render",
    )
