"""Weight files in safetensors: the tensors of a network and a description of it, whole or absent."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from protoviz import files
from protoviz.errors import StudyError


def write(target: str | Path, network: nn.Module, kind: str, about: Mapping[str, Any]) -> None:
    """Write a network's parameters and buffers; the same input gives the same bytes.

    Args:
        target: the file.
        network: on any device.
        kind: what the file holds, such as "checkpoint"; `read` asks for the same.
        about: what identifies or rebuilds the network, JSON values.

    Raises:
        StudyError: the disk is full or not writable.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    # One entry only: safetensors writes several in an order that changes from run to run.
    content = save(tensors, {f"protoviz {kind}": json.dumps(about, sort_keys=True)})
    with files.complete(target) as partial:
        partial.write_bytes(content)


def read(
    source: str | Path, kind: str, device: torch.device | str
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the description that `write` wrote.

    Raises:
        StudyError: there is no such file, it is damaged, or it is of another kind.
    """
    if not Path(source).is_file():
        raise files.missing(source)
    try:
        with safe_open(source, framework="pt", device=str(device)) as file:
            about = json.loads((file.metadata() or {})[f"protoviz {kind}"])
            return {name: file.get_tensor(name) for name in file.keys()}, about  # noqa: SIM118 (not a dict)
    except (SafetensorError, KeyError) as error:
        raise unfit(source, kind, error) from error


def verified(source: str | Path, sha256: str | None, remedy: str) -> str:
    """The SHA-256 of a file.

    Args:
        source: the file.
        sha256: hex digest that it must have; None: any.
        remedy: what to do if it has another one.

    Raises:
        StudyError: there is no such file, or it has another digest.
    """
    if not Path(source).is_file():
        raise StudyError(str(source), expected="a weight file", found="nothing", remedy=remedy)
    found = files.sha256(source)
    if sha256 is not None and found != sha256.lower():
        raise StudyError(str(source), expected=f"SHA-256 {sha256}", found=found, remedy=remedy)
    return found


def told(source: str | Path, kind: str) -> dict[str, Any] | None:
    """The description that a file holds, without its tensors; None if it is not a file of this kind."""
    try:
        with safe_open(source, framework="pt") as file:
            found = json.loads((file.metadata() or {})[f"protoviz {kind}"])
    except (SafetensorError, KeyError, ValueError, OSError):
        return None
    return found if isinstance(found, dict) else None


def unfit(source: str | Path, kind: str, error: Exception) -> StudyError:
    """The error for a file that is not what its reader expected."""
    return StudyError.of(
        error,
        str(source),
        expected=f"a {kind} written by protoviz",
        remedy="run its stage again",
    )
