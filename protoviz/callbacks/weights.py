"""The weights of a network in training, or of one of its parts, without its wrappers."""

from torch import Tensor, nn

from protoviz.errors import StudyError
from protoviz.models.readout.wrappers import inner_name, unwrapped

_GATHERED = (
    "keep them from the checkpoints that your trainer writes: protoviz reads those of any trainer as well"
)


def part_of(model: nn.Module, part: str) -> nn.Module:
    """A part of a network by the names of its attributes ("backbone", "model.encoder"); "" is all of it.

    Raises:
        StudyError: it has no such part.
    """
    found = unwrapped(model)
    for name in part.split(".") if part else []:
        inside = dict(found.named_children())
        if name not in inside:
            raise StudyError(
                f"part {part!r} of a {type(unwrapped(model)).__name__}",
                expected=f"one of {', '.join(inside)}" if inside else "nothing, as it has no parts",
                found=f"no {name!r}",
                remedy="name a part of the network, or leave it out to keep all of it",
            )
        found = unwrapped(inside[name])
    return found


def weights(network: nn.Module) -> dict[str, Tensor]:
    """The parameters and buffers of a network on the CPU, by the names that they have without wrappers.

    Each has memory of its own, even if two layers of the network share one.

    Raises:
        StudyError: some of them are in other processes, or not initialised yet.
    """
    inside = [(name, inner_name(module)) for name, module in network.named_modules()]
    wrapped = sorted((f"{name}.{inner}".removeprefix(".") for name, inner in inside if inner), reverse=True)
    state = network.state_dict(keep_vars=True)
    for name, tensor in state.items():
        _require_whole(name, tensor)
    kept = {}
    for name, tensor in state.items():
        for wrapper in wrapped:  # the innermost first
            if name.startswith(f"{wrapper}."):
                outer = wrapper.rpartition(".")[0]
                name = f"{outer}.{name.removeprefix(f'{wrapper}.')}".removeprefix(".")
        kept[name] = tensor.detach().to("cpu", copy=True).contiguous()
    return kept


def _require_whole(name: str, tensor: object) -> None:
    where = f"weights: {name}"
    if not isinstance(tensor, Tensor):
        found = type(tensor).__name__
        raise StudyError(where, expected="tensors alone in its state", found=found, remedy=_GATHERED)
    if nn.parameter.is_lazy(tensor):
        remedy = "run one batch through the network before the training, or begin with epoch 1"
        raise StudyError(where, expected="values", found="a lazy parameter without", remedy=remedy)
    kind = type(tensor).__name__
    if kind in ("DTensor", "FlatParameter") or hasattr(tensor, "ds_id") or tensor.is_meta:
        found = "a part of it, shared out by FSDP, DeepSpeed or the like"
        raise StudyError(where, expected="all of it in this process", found=found, remedy=_GATHERED)
