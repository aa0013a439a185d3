"""Read weights that others have saved: tensors by name, never code, and exactly those that a network has."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from protoviz.models import trained_files
from protoviz.models.trained_files import Refusal


def read(path: Path, refusal: Refusal) -> dict[str, Tensor]:
    """The tensors of a file of torch.save, or of one that ends in .safetensors, on the CPU.

    Args:
        path: a file that exists.
        refusal: makes the error for a file that does not hold them.

    Raises:
        StudyError: the file holds code, is damaged, is of another kind, or holds something else.
    """
    state = trained_files.contents(path, refusal)
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        keys = list(map(str, state))[:3] if isinstance(state, Mapping) else []
        named = f" (it has {', '.join(keys)})" if keys else ""
        raise refusal(f"something else than tensors by name{named}")
    return {str(name): tensor for name, tensor in state.items()}


def require_fit(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor], refusal: Refusal) -> None:
    """Check that all tensors and no others are there, with the right shapes and kinds, and finite.

    Args:
        found: name -> tensor.
        wanted: of the network, name -> tensor; values do not matter, so they may be on the meta device.
        refusal: makes the error.

    Raises:
        StudyError: one is missing, unexpected or unfit; the message names the first.
    """
    if missing := [name for name in wanted if name not in found]:
        raise refusal(f"no {missing[0]} ({len(missing)} missing of {len(wanted)})")
    if unexpected := [name for name in found if name not in wanted]:
        raise refusal(f"also {unexpected[0]} ({len(unexpected)} too many)")
    for name, expected in wanted.items():
        tensor = found[name]
        if tensor.shape != expected.shape:
            raise refusal(f"{name} of shape {tuple(tensor.shape)} (not {tuple(expected.shape)})")
        if tensor.is_floating_point() != expected.is_floating_point():
            kind = "floating point" if expected.is_floating_point() else _short(expected.dtype)
            raise refusal(f"{name} of {_short(tensor.dtype)} (not {kind})")
        if not tensor.isfinite().all():
            raise refusal(f"{name} with NaN or infinity")


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
