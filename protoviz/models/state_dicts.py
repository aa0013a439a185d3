"""Weights that others have saved: tensors by name, never code, and exactly those that a network has."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from protoviz.errors import StudyError

Refusal = Callable[[str], StudyError]  # what was found -> the error that says so


def read(path: Path, refusal: Refusal) -> dict[str, Tensor]:
    """The tensors of a file of torch.save, or of one that ends in .safetensors, on the CPU.

    Args:
        path: a file that exists.
        refusal: makes the error for a file that does not hold them.

    Raises:
        StudyError: the file holds code, is damaged, is of another kind, or holds something else.
    """
    state: object
    if path.suffix == ".safetensors":
        try:
            state = load_file(path)
        except (SafetensorError, OSError) as error:
            raise refusal("a damaged file or one of another kind") from error
    else:
        state = _unpickled(path, refusal)
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        keys = list(map(str, state))[:3] if isinstance(state, Mapping) else []
        named = f" (it has {', '.join(keys)})" if keys else ""
        raise refusal(f"something else than tensors by name{named}")
    return {str(name): tensor for name, tensor in state.items()}


def require_fit(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor], refusal: Refusal) -> None:
    """Check that all tensors are there, none beside them, of the right shapes and kinds, and finite.

    Args:
        found: name -> tensor.
        wanted: of the network, name -> tensor; their values do not matter, they may be on the meta device.
        refusal: makes the error.

    Raises:
        StudyError: naming the first that is missing, unexpected or unfit.
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


def load_into(module: nn.Module, path: Path, name: str) -> None:
    """Give a network the weights of a file.

    Args:
        module: its parameters and buffers are overwritten.
        path: a file that exists.
        name: of the network, for errors.

    Raises:
        StudyError: see `read` and `require_fit`.
    """

    def refusal(found: str) -> StudyError:
        return StudyError(
            str(path),
            expected=f"the state dict of {name}",
            found=found,
            remedy="write it with torch.save(network.state_dict(), file)",
        )

    wanted = module.state_dict()
    # How many batches a normalisation has seen: older files do not say, and nothing here uses it.
    counts = {key: tensor for key, tensor in wanted.items() if key.endswith("num_batches_tracked")}
    found = counts | read(path, refusal)
    require_fit(found, wanted, refusal)
    module.load_state_dict(found)


def _unpickled(path: Path, refusal: Refusal) -> object:
    """What a file of torch.save holds, if it is tensors and plain containers."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # on a file of another kind, the reader fails in any way there is
        code = re.search(r"GLOBAL (\S+)", str(error))
        found = (
            f"code that loading would run ({code[1]})" if code else "a damaged file or one of another kind"
        )
        raise refusal(found) from error


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
