"""Functions for notebooks: list the units of a network, and make their prototypes as a Dataset."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import xarray as xr
from torch import nn

from protoviz import compute
from protoviz.config import synthesis
from protoviz.config.image_size import Size, checked, sides
from protoviz.errors import StudyError, said
from protoviz.models import importer, zoo
from protoviz.models.importer import Imported
from protoviz.models.priors import base
from protoviz.models.readout import checks, dependence, unit_spec, wrappers
from protoviz.models.readout.layers import Layer
from protoviz.models.readout.network import Network
from protoviz.models.readout.unit_spec import Units
from protoviz.store import cube, schema
from protoviz.store.cube_dataset import dataset
from protoviz.synthesis.search import prototypes


def units(model: nn.Module | str, *, size: Size | None = None) -> list[Layer]:
    """List a network's layers whose channels are units: convolutions, linear layers, and modules of these.

        >>> {layer.name: layer.channels for layer in protoviz.units(network, size=16)}
        {'stem': 4, 'block': 6}

    Args:
        model: a module, or the name of one ("torchvision:resnet18", "imagenet:...", a checkpoint file).
        size: height and width of its images, px: a number, or (H, W); by default the model's own.

    Raises:
        StudyError: there is no such model, or it cannot take images of this size.
    """
    layers = network(model, size=size)[0].layers.values()
    return [layer for layer in layers if layer.weighted]


def synthesize(
    model: nn.Module | str,
    units: Units,
    *,
    prior: str | base.ImagePrior = "fourier",
    preset: str | None = None,
    size: Size | None = None,
    weights: str | Path | None = None,
    state: str | Path | None = None,
    key: str | None = None,
    prefix: str | None = None,
    arguments: Mapping[str, Any] | None = None,
    name: str = "model",
    run: int = 0,
    epoch: int = 0,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    device: str | torch.device = "auto",
    **changes: Any,
) -> xr.Dataset:
    """Make prototypes of units: for each unit, the image that drives it most.

        >>> made = protoviz.synthesize(network, "block:0-3", size=16, repeats=1)
        >>> made.image.sel(layer="block", channel=2).shape  # condition, run, repeat, epoch, y, x, rgb
        (1, 1, 1, 1, 16, 16, 3)

    Networks can be named, units selected and settings changed:

        protoviz.synthesize("imagenet:efficientnet_lite0", "blocks.3:0-7", size=128)
        protoviz.synthesize("timm:resnet50", {"layer2": [3, 5]}, ascent={"steps": 256}, repeats=1)

    Args:
        model: a module that takes normalised images (B, C, H, W), or the name of one, as for `units`. C is
            what its first convolution takes; without a convolution, the length of `mean` and `std`, or 3.
        units: "layer", "layer:3", "layer:0-15", several of these, or a mapping layer -> channels (None: all;
            an array (K, C): directions in the space of the layer's channels).
        prior: what turns latents into images: "fourier", "pixels", "natural", "maco", "generator", "deepsim",
            or any object with `latent_size`, `image_size` and `render` (`protoviz.ImagePrior`).
        preset: "fast", "natural", "gentle", "paper", "as-written", "fourier" or "maco" (`protoviz.PRESETS`);
            by default "fourier" for priors without weights, "gentle" for "natural", "maco" for "maco", "fast"
            for the others.
        size: height and width of the images, px: a number for squares, or (H, W); by default the model's own.
        weights: path or address of the prior's weights, for "generator" and "deepsim", and for "natural" to
            replace those that come with it; for "maco" a spectrum from `protoviz train-prior --prior maco`.
        state: path or address of a file with the model's weights, as a trainer wrote it: a state dict or
            something that holds one, of torch.save or safetensors; or a folder of such files. Weights that
            the units do not depend on may be missing. Without it, a model by name has fresh weights.
        key: key of the state dict within that file, if several fit, such as "state_dict_ema".
        prefix: prefix of the model's names within the state dict, if several fit, such as "encoder_q.".
        arguments: keyword arguments of the function that builds a model by name, such as {"num_classes": 10}.
        name: name of the network. All random numbers are seeded with name, run, epoch and repeat, so that
            the same call gives the same images.
        run: see `name`.
        epoch: see `name`.
        mean: mean of each channel that the network was trained with, for values in [0, 1]; by default its
            own, or else ImageNet's for three channels and 0 for any other number.
        std: standard deviation, likewise; its default is 1 for any number of channels other than three.
        device: "auto", "cpu", "cuda", "cuda:1", ...
        changes: changes to the preset: `repeats`, `precision`, `batch_size`, `rescue`, `keep_transparency`,
            and the parts of `objective`, `start`, `evolution`, `transforms`, `ascent`, each as a mapping.

    Returns:
        A Dataset with the schema of the cube: `image` uint8, `latent`, `activation`, `activation_trace`,
        `status` over (condition, run, repeat, epoch, unit, ...), and `transparency` where it is kept, indexed
        by layer and channel. The last dimension of `image` is `rgb`; if images are not RGB, its labels name
        the channels: grey for a single one, otherwise 0, 1, 2, ... To write the Dataset:
        `.reset_index("unit").to_zarr(path)`.

    Raises:
        StudyError: an argument is wrong; this is checked before any time is spent.
    """
    on = compute.available(str(device))
    recipe = synthesis.changed(preset or _preset(prior), changes)
    subject, taken = network(
        model,
        size=size,
        mean=mean,
        std=std,
        arguments=arguments,
        state=state,
        key=key,
        prefix=prefix,
        units=units,
    )
    chosen = unit_spec.selected(subject, units)
    made = _prior(prior, weights, subject, on)
    addresses = [cube.Address(name, run, repeat, epoch) for repeat in range(recipe.repeats)]
    shards = [prototypes(subject, chosen, made, recipe, address=a, device=on) for a in addresses]
    layers, channels = zip(*((layer, c) for layer, some in chosen.items() for c in some), strict=True)
    attributes = {
        "synthesis": recipe.recorded(),
        "precision": str(compute.precision(recipe.precision, on)).removeprefix("torch."),
        "prior": {
            "name": prior if isinstance(prior, str) else type(prior).__name__,
            "sha256": getattr(made, "sha256", None),
        },
        "versions": compute.versions(),
    }
    if taken is not None:
        attributes["weights"] = str(taken)
    made = dataset(addresses, shards, layers, channels, attributes, _checkpoint(model, state, epoch))
    return made if recipe.keep_latents else made.drop_vars(schema.LATENT)


def network(
    model: nn.Module | str,
    *,
    size: Size | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    arguments: Mapping[str, Any] | None = None,
    state: str | Path | None = None,
    key: str | None = None,
    prefix: str | None = None,
    units: Units | None = None,
) -> tuple[Network, Imported | None]:
    """A network prepared for read-out, from a module or a name, and what was taken from the file `state`.

    The arguments are those of `synthesize`. If `units` are given, weights that they do not depend on may be
    missing from the file.

    Raises:
        StudyError: as for `units`; or mean or deviation do not have one number for each channel; or the
            weights do not belong to the network.
    """
    if isinstance(model, str):
        found = zoo.load(model, arguments=arguments)
    elif isinstance(model, nn.Module):
        found = zoo.described(wrappers.unwrapped(model))
    else:
        raise StudyError(
            "model",
            expected="a torch.nn.Module or a name such as torchvision:resnet18",
            found=type(model).__name__,
            remedy="pass one of these",
        )

    def prepared() -> Network:
        of = found.size if size is None else size
        # What a module says of its images holds only if it takes that many channels: timm's always say RGB.
        count = checks.channel_count(found.module, of)
        says = [values if values and len(values) == count else None for values in (found.mean, found.std)]
        return Network(found.module, of, says[0] if mean is None else mean, says[1] if std is None else std)

    if state is None:
        return prepared(), None
    if isinstance(model, nn.Module):
        found = replace(found, module=deepcopy(found.module))
    elif ":" not in model:
        raise StudyError(
            f"model {model!r}",
            expected="no state dict, a checkpoint has its own",
            found=str(state),
            remedy="leave it out, or name a model of torchvision or timm",
        )
    needed = None
    if units is not None:
        fresh = prepared()
        layers = [name.removesuffix(" directions") for name in unit_spec.selected(fresh, units)]
        example = fresh.normalise(torch.rand(2, fresh.channels, *sides(fresh.size)))
        needed = dependence.weights(found.module, layers, example)
    named = model if isinstance(model, str) else type(model).__name__
    taken = importer.load(found.module, state, named, needed=needed, key=key, prefix=prefix)
    return prepared(), taken


def _checkpoint(model: nn.Module | str, state: str | Path | None, epoch: int) -> str:
    """The name of the weights in the Dataset."""
    if epoch:
        return schema.checkpoint_name(epoch)
    if isinstance(model, nn.Module):
        return "as given"
    if state or ":" not in model:
        return Path(state or model).name
    return "imagenet" if model.startswith("imagenet:") else schema.checkpoint_name(0)


def _preset(prior: str | base.ImagePrior) -> str:
    """The default recipe for a prior."""
    if isinstance(prior, str):
        return synthesis.suited(prior)
    learnt = isinstance(prior, nn.Module) and any(True for _ in prior.parameters())
    return "fast" if learnt else "fourier"


def _prior(
    prior: str | base.ImagePrior, weights: str | Path | None, subject: Network, device: torch.device
) -> base.ImagePrior:
    """Load a prior by its name; return a given prior as it is.

    Raises:
        StudyError: see `base.load`; or the given object is not a prior, or `weights` are given with it.
    """
    if isinstance(prior, str):
        return base.load(prior, weights=weights, size=subject.size, channels=subject.channels, device=device)
    if weights is not None:
        raise StudyError(
            "weights",
            expected="none, as the prior is an object with its own",
            found=str(weights),
            remedy="leave them out, or name the prior: 'natural', 'generator' or 'deepsim'",
        )
    _require_prior(prior, subject.channels, device)
    return prior


def _require_prior(prior: base.ImagePrior, channels: int, device: torch.device) -> None:
    """Check on two latents, one of zeros and one of typical length, that a prior renders what it promises.

    Raises:
        StudyError: it does not.
    """
    latent_size: Any = getattr(prior, "latent_size", None)
    size: Any = getattr(prior, "image_size", None)
    found = f"a latent_size of {latent_size!r} and an image_size of {size!r}"
    shape = f"2, {channels}, {size}, {size}"
    if isinstance(latent_size, int) and latent_size > 0 and _is_size(size):
        wanted = (2, channels, *sides(size))
        shape = ", ".join(map(str, wanted))
        latents = torch.randn(2, latent_size, generator=torch.Generator().manual_seed(0))
        latents[0] = 0
        try:
            with torch.no_grad():
                if isinstance(prior, nn.Module):
                    images = wrappers.frozen(prior).to(device, torch.float32).render(latents.to(device))  # type: ignore[operator]
                else:
                    images = prior.render(latents.to(device))
        except (RuntimeError, AttributeError, TypeError, ValueError, IndexError) as error:
            found = said(error)
        else:
            if tuple(images.shape) == wanted and images.min() >= 0 and images.max() <= 1:
                return
            found = f"{tuple(images.shape)}, values from {images.min():.3g} to {images.max():.3g}"
    raise StudyError(
        f"image prior {type(prior).__name__}",
        expected=f"latents (2, {latent_size}) to render as images ({shape}) in [0, 1]",
        found=found,
        remedy="correct its latent_size, its image_size or its render",
    )


def _is_size(size: Any) -> bool:
    try:
        return bool(checked(size) == size)
    except StudyError:
        return False
