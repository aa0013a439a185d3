"""Checkpoints: one safetensors file for every kept epoch, with the metadata that identifies it."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from protoviz import backbones, files
from protoviz.errors import StudyError

_KEY = "protoviz"


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
    return Path(directory) / f"epoch_{epoch:04d}.safetensors"


def weights_digest(model: nn.Module) -> str:
    """SHA-256 of all parameters and buffers, by name, as bytes."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def save(target: str | Path, model: nn.Module, identity: Checkpoint) -> None:
    """Write a network's weights and identity; the same input gives the same bytes."""
    tensors: dict[str, Tensor] = {
        name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()
    }
    # One entry only: safetensors writes several in an order that changes from run to run.
    metadata = {_KEY: json.dumps(asdict(identity), sort_keys=True)}
    with files.complete(target) as partial:
        save_file(tensors, partial, metadata)


def load(source: str | Path, device: torch.device | str = "cpu") -> tuple[backbones.ResNet18, Checkpoint]:
    """Read a checkpoint as a frozen network in evaluation mode.

    Raises:
        StudyError: no such file, a damaged one, one that protoviz did not write, or weights that do
            not fit the network that the file names.
    """
    if not Path(source).is_file():
        raise files.missing(source)
    try:
        with safe_open(source, framework="pt", device=str(device)) as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        identity = Checkpoint(**json.loads(metadata[_KEY]))
        model = backbones.build(identity.backbone, identity.width)
        model.load_state_dict(tensors)
    except (SafetensorError, KeyError, TypeError, RuntimeError) as error:
        raise StudyError(
            str(source),
            expected="a checkpoint written by protoviz",
            found=" ".join(str(error).split())[:200],
            remedy="run its stage again",
        ) from error
    return model.to(device).eval().requires_grad_(False), identity
