"""Checkpoints: one safetensors file for every kept epoch, with the metadata that identifies it."""

import copy
import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from protoviz import layout
from protoviz.errors import StudyError
from protoviz.models import resnet, safetensors_io, zoo

_KIND = "checkpoint"


@dataclass(frozen=True)
class Checkpoint:
    """What identifies a checkpoint.

    Attributes:
        condition: augmentation condition ("reference" for the reference encoder).
        run: seed of the run.
        epoch: epochs of training behind it; 0 = untrained.
        backbone: name in the registry of backbones, or of another network, as `zoo.load` takes it.
        width: channels of its first layer; only for networks of the registry.
        initial_weights: digest of the weights that the run started from (T7), or of the first known ones.
        arguments: keyword arguments with which a network by name is built, such as {"num_classes": 10}.
    """

    condition: str
    run: int
    epoch: int
    backbone: str
    width: int | None = None
    initial_weights: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)


def identity(
    condition: str, run: int, epoch: int, network: str, arguments: Mapping[str, Any], initial: str
) -> Checkpoint:
    """What identifies a checkpoint of any network.

    Args:
        condition: see `Checkpoint`, as for the next two.
        run: seed.
        epoch: of training.
        network: its name, as `zoo.load` takes it; "protoviz:NAME" is one of the registry of backbones.
        arguments: keyword arguments with which it is built.
        initial: digest of the series' first weights.
    """
    library, _, name = network.partition(":")
    if library == "protoviz":
        return Checkpoint(condition, run, epoch, name, arguments.get("width"), initial)
    return Checkpoint(condition, run, epoch, network, initial_weights=initial, arguments=arguments)


def path(directory: str | Path, epoch: int) -> Path:
    """Where the checkpoint of an epoch lies within a run's directory."""
    return Path(directory) / layout.checkpoint(epoch)


def weights_digest(model: nn.Module) -> str:
    """SHA-256 of all parameters and buffers, by name, as bytes."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def save(
    target: str | Path,
    model: nn.Module,
    identity: Checkpoint,
    kept_as: Literal["float32", "float16"] = "float32",
) -> None:
    """Write a network's weights and identity; the same input gives the same bytes.

    Args:
        target: the file.
        model: on any device.
        identity: what is written about it.
        kept_as: "float32", or "float16" for half the size: the filters and matrices are rounded, so reading
            the file gives the rounded network. Normalisation keeps single precision.

    Raises:
        StudyError: the disk is full or not writable, or a weight is too large for float16.
    """
    if kept_as == "float16":
        model = copy.deepcopy(model)
        for name, weight in model.named_parameters():
            if weight.dim() > 1:
                weight.data = weight.data.half()
                if not weight.isfinite().all():
                    raise StudyError(
                        f"{target}: {name}",
                        expected="weights up to 65,504, as float16 holds them",
                        found="greater ones",
                        remedy="set train.kept_as to float32, or train with a smaller train.lr",
                    )
    own = identity.backbone in resnet.BACKBONES
    about = {name: one for name, one in asdict(identity).items() if name != ("arguments" if own else "width")}
    safetensors_io.write(target, model, _KIND, about)


def network(source: str | Path, device: torch.device | str = "cpu") -> tuple[nn.Module, Checkpoint]:
    """Read a checkpoint of any network, frozen, in evaluation mode.

    Raises:
        StudyError: there is no such file, it is damaged, protoviz did not write it, or its weights do not fit
            the network that it names; or the network's own code fails.
    """
    tensors, about = safetensors_io.read(source, _KIND, device)
    try:
        identity = Checkpoint(**about)
        if identity.width is None:
            model = zoo.load(identity.backbone, arguments=identity.arguments).module
        else:
            model = resnet.build(identity.backbone, identity.width)
        model.load_state_dict(tensors)
    except (TypeError, RuntimeError) as error:
        raise safetensors_io.unfit(source, _KIND, error) from error
    return model.to(device).eval().requires_grad_(False), identity


def load(source: str | Path, device: torch.device | str = "cpu") -> tuple[resnet.ResNet18, Checkpoint]:
    """Read a checkpoint of a network of the registry of backbones, frozen, in evaluation mode.

    Raises:
        StudyError: as for `network`; or it is another network.
    """
    model, identity = network(source, device)
    if not isinstance(model, resnet.ResNet18):
        raise StudyError(
            str(source),
            expected=f"a network of the registry: {', '.join(resnet.BACKBONES)}",
            found=identity.backbone,
            remedy="name a checkpoint of a study that trains its networks",
        )
    return model, identity
