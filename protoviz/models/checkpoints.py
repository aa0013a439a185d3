"""Checkpoints: one safetensors file for every kept epoch, with the metadata that identifies it."""

import copy
import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from protoviz import layout
from protoviz.errors import StudyError
from protoviz.models import resnet, safetensors_io

_KIND = "checkpoint"


@dataclass(frozen=True)
class Checkpoint:
    """What identifies a checkpoint.

    Attributes:
        condition: augmentation condition ("reference" for the reference encoder).
        run: seed of the run.
        epoch: epochs of training behind it; 0 = untrained.
        backbone: name in the registry of backbones.
        width: channels of its first layer.
        initial_weights: digest of the weights that the run started from (T7).
    """

    condition: str
    run: int
    epoch: int
    backbone: str
    width: int
    initial_weights: str


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
        identity: what it says of itself.
        kept_as: "float32", or "float16" for half the size: the filters and matrices are rounded, and what
            is read again is the rounded network. Normalisation keeps its single precision.

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
    safetensors_io.write(target, model, _KIND, asdict(identity))


def load(source: str | Path, device: torch.device | str = "cpu") -> tuple[resnet.ResNet18, Checkpoint]:
    """Read a checkpoint as a frozen network in evaluation mode.

    Raises:
        StudyError: no such file, a damaged one, one that protoviz did not write, or weights that do
            not fit the network that the file names.
    """
    tensors, about = safetensors_io.read(source, _KIND, device)
    try:
        identity = Checkpoint(**about)
        model = resnet.build(identity.backbone, identity.width)
        model.load_state_dict(tensors)
    except (TypeError, RuntimeError) as error:
        raise safetensors_io.unfit(source, _KIND, error) from error
    return model.to(device).eval().requires_grad_(False), identity
