"""Load weights that any trainer has written into a network.

A checkpoint holds the state dict of a network somewhere among other things, and its names often begin with
those of a wrapper: `module.`, `model.`, `backbone.`, `encoder_q.`. The state dict and the prefix are found by
trying all that there are: a combination fits if it has every weight that is needed, in the right shape. If
two that differ fit, the caller has to choose; nothing is guessed.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from protoviz.errors import StudyError
from protoviz.models import download, trained_files
from protoviz.models.weight_candidates import COUNT, Candidate, candidates, cleaned, mappings, problem

_NAMED = 3  # of many names, how many a message shows


@dataclass(frozen=True)
class Imported:
    """What was taken from a file.

    Attributes:
        key: key of the state dict within the file, such as "state_dict"; "" for the file itself.
        prefix: what precedes the network's names in the file, such as "module.".
        names: names of the tensors taken, the network's -> the file's.
        left_out: names in that state dict that were not taken.
        kept: names of the network that keep their weights: not in the file, or of another shape there, and
            not needed.
    """

    key: str
    prefix: str
    names: Mapping[str, str]
    left_out: tuple[str, ...]
    kept: tuple[str, ...]

    def __str__(self) -> str:
        where = ", ".join(
            part for part in (self.key and f"key {self.key}", self.prefix and f"prefix {self.prefix}") if part
        )
        renamed = sum(source != self.prefix + name for name, source in self.names.items())
        parts = [f"{len(self.names)} tensors" + f" ({where})" * bool(where)]
        parts += [f"{renamed} renamed"] * bool(renamed)
        parts += [f"left out: {_some(self.left_out)}"] * bool(self.left_out)
        parts += [f"not in the file and not needed: {_some(self.kept)}"] * bool(self.kept)
        return "; ".join(parts)


def load(
    module: nn.Module,
    source: str | Path,
    name: str,
    *,
    needed: Collection[str] | None = None,
    key: str | None = None,
    prefix: str | None = None,
) -> Imported:
    """Give a network the weights of a trainer's file.

    Args:
        module: its parameters and buffers are overwritten.
        source: path or address of the file, or a folder that holds it (see `trained_files.contents`).
        name: of the network, for errors.
        needed: names of the weights that have to be there; by default all.
        key: key of the state dict within the file, dots between levels, if several fit; "" for the top.
        prefix: prefix of the network's names within it, if several fit; "" for none.

    Raises:
        StudyError: the file cannot be obtained or read; nothing in it fits (the message names the first
            weight that does not); or several different sets of weights fit (the message names them).
    """

    def refusal(found: str) -> StudyError:
        return StudyError(
            str(source),
            expected=f"the weights of {name}",
            found=found,
            remedy="name the network that it was saved from, or write it with "
            "torch.save(network.state_dict(), file)",
        )

    place = Path(source) if Path(str(source)).is_dir() else download.local(source)
    held = trained_files.contents(place, refusal)
    own_names = {cleaned(own): own for own in module.state_dict()}
    asked = own_names.keys() if needed is None else set(map(cleaned, needed))
    required = [own for own in own_names if not own.endswith(COUNT) and own in asked]
    found = list(candidates(held, module))
    if not found:
        raise refusal(_nothing(held))
    if key is not None or prefix is not None:
        found = _asked(found, key, prefix, refusal)
    fitting = [one for one in found if problem(one, required, module) is None]
    if not fitting:
        nearest = max(found, key=lambda one: len(one.agreeing))
        raise refusal(f"{problem(nearest, required, module)}{_where(nearest)}")
    best = max(fitting, key=lambda one: len(one.agreeing))
    rivals = [
        one
        for one in fitting
        if 2 * len(one.agreeing) >= len(best.agreeing) and not one.same_weights(best, required)
    ]
    if rivals:
        named = ", ".join(_description(one) for one in (best, *rivals))
        raise StudyError(
            str(source),
            expected=f"one set of weights that fits {name}",
            found=f"{len(rivals) + 1}: {named}",
            remedy="choose one by --key and --prefix (key=, prefix= in Python)",
        )
    module.load_state_dict(
        {own_names[own]: best.tensors[source] for own, source in best.agreeing.items()}, strict=False
    )
    kept = tuple(own for own in own_names if own not in best.agreeing and not own.endswith(COUNT))
    return Imported(best.key, best.prefix, best.agreeing, best.left_out, kept)


def _asked(
    found: list[Candidate], key: str | None, prefix: str | None, refusal: trained_files.Refusal
) -> list[Candidate]:
    """The candidates with the key and the prefix that the caller names."""
    if prefix:
        prefix = prefix.rstrip(".") + "."
    chosen = [
        one for one in found if (key is None or one.key == key) and (prefix is None or one.prefix == prefix)
    ]
    if not chosen:
        likely = sorted(found, key=lambda one: -len(one.agreeing))[:_NAMED]
        raise refusal(
            f"nothing under key {key!r} and prefix {prefix!r}; there is "
            f"{', '.join(map(_description, likely))}"
        )
    return chosen


def _nothing(held: object) -> str:
    """What a file holds if no name and shape in it agree with the network's."""
    states = [f"{key + ': ' if key else ''}{_some(tuple(tensors))}" for key, tensors in mappings(held)]
    if states:
        return f"other weights ({'; '.join(states[:_NAMED])})"
    keys = tuple(map(str, held)) if isinstance(held, Mapping) else ()
    return f"no tensors by name ({_some(keys) if keys else type(held).__name__})"


def _where(candidate: Candidate) -> str:
    described = [f"key {candidate.key!r}"] * bool(candidate.key)
    described += [f"prefix {candidate.prefix!r}"] * bool(candidate.prefix)
    return f" under {' and '.join(described)}, where most agree" if described else ""


def _description(candidate: Candidate) -> str:
    return f"key {candidate.key!r} prefix {candidate.prefix!r} ({len(candidate.agreeing)} tensors)"


def _some(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
