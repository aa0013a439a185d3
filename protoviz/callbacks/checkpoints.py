"""Checkpoints of a training, written at the epochs or steps that a study will look at."""

import json
import os
from collections.abc import Iterable
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from protoviz import files
from protoviz.callbacks import schedule
from protoviz.callbacks.weights import part_of, weights
from protoviz.errors import StudyError
from protoviz.models import beginnings

_BEGINNING = "a training that begins needs a folder or a run of its own; one that goes on, its own checkpoint"


class Checkpoints:
    """Writes the checkpoints of one training, for a training loop of your own.

        >>> keep = Checkpoints("checkpoints", "baseline", run=1, max_epochs=100)
        >>> kept = [keep(network, 0)]
        >>> for epoch in range(1, 101):
        ...     # train for an epoch, and then:
        ...     kept.append(keep(network, epoch))
        >>> sum(path is not None for path in kept)
        9

    It does nothing for an epoch that is not kept or whose file exists. Call it with 0 when a training
    begins: it then checks that the files in its folder do not belong to another training. With several
    processes, call it in each of them; the first one writes.

    Args:
        folder: folder of the checkpoints of all conditions and runs.
        condition: name of the training condition; a folder in `folder`.
        run: number of the training, such as its seed; a folder in the condition's.
        epochs: epochs to keep, where 0 is the network before training; by default `log_spaced(max_epochs)`.
        steps: optimiser steps to keep instead of epochs, or "log" for logarithmically spaced ones. The files
            are then called step_<step>.
        max_epochs: number of the last epoch, or of the last step if steps are kept. Without it, all powers
            of two are kept.
        part: part of the network to keep, by the names of its attributes ("backbone", "model.encoder"); by
            default all of it. Wrappers (DistributedDataParallel, torch.compile) are removed.
        pretrained: whether the training begins with pretrained weights. Epoch 0 is then not marked as the
            untrained network, which a study compares with.

    Attributes:
        by_steps: whether steps are counted.
        pretrained: as given; it is recorded in every file written from now on.
        pattern: pattern of the files of all conditions and runs, as a study takes it.

    Raises:
        StudyError: epochs or steps are not numbers, or both are given; the name of the condition cannot be
            the name of a folder.
    """

    def __init__(
        self,
        folder: str | Path,
        condition: str = "model",
        run: int = 0,
        *,
        epochs: Iterable[int] | None = None,
        steps: Iterable[int] | str | None = None,
        max_epochs: int | None = None,
        part: str = "",
        pretrained: bool = False,
    ) -> None:
        if epochs is not None and steps is not None:
            raise StudyError(
                "epochs and steps", expected="one of the two", found="both", remedy="leave out one"
            )
        if not condition or condition.startswith(".") or set(condition) & set("/\\{}*?[]"):
            raise StudyError(
                f"condition {condition!r}",
                expected="a name that a folder may have",
                found="another",
                remedy="use letters, digits, - and _",
            )
        self.condition, self.run, self.part = condition, schedule.whole("run", run, least=0), part
        self.by_steps, self.pretrained = steps is not None, pretrained
        self._given = None if max_epochs is None else schedule.whole("max_epochs", max_epochs, least=0)
        self._last = self._given
        self._wanted = schedule.moments("steps" if self.by_steps else "epochs", _listed(epochs, steps))
        self._counted, self._digits = ("step", 8) if self.by_steps else ("epoch", 4)
        self._directory = Path(folder) / condition / f"run{self.run}"
        self.pattern = str(
            Path(folder) / "{condition}" / "run{run}" / f"{self._counted}_{{epoch}}.safetensors"
        )
        self._seen: int | None = None

    def path(self, moment: int) -> Path:
        """The file of an epoch or a step."""
        return self._directory / f"{self._counted}_{moment:0{self._digits}d}.safetensors"

    def keeps(self, moment: int) -> bool:
        """Whether the network is kept after this many epochs or steps."""
        if self._wanted is None:
            return schedule.is_log_spaced(moment, self._last)
        return moment in self._wanted

    def end(self, last: int | None) -> None:
        """Set the last epoch or step, as a trainer knows it; `max_epochs`, if given, takes precedence.

        Args:
            last: its number; None or below 1 if that is not known.
        """
        known = last if last is not None and last > 0 else None
        self._last = known if self._given is None else self._given

    def __call__(self, network: nn.Module, moment: int) -> Path | None:
        """Write the weights of a network after this many epochs or steps, if they are to be kept.

        A trainer that counts several steps at once (one for each of its optimisers) may skip a step that is
        to be kept: the next step that it reaches is then kept instead, under its own number.

        Args:
            network: on any device, wrapped or not.
            moment: the number of epochs, or steps, completed.

        Returns:
            The file, if this call has written it.

        Raises:
            StudyError: the network has no such part, or some of its weights are in other processes; at 0,
                there are files of another training; the disk is full or not writable.
        """
        moment = schedule.whole(self._counted, moment, least=0)
        before = moment - 1 if self._seen is None or self._seen >= moment else self._seen
        self._seen = moment
        if not _is_first():
            return None
        wanted = any(self.keeps(passed) for passed in range(before + 1, moment + 1))
        if moment and (not wanted or self.path(moment).exists()):
            return None
        tensors = weights(part_of(network, self.part))
        if not moment and self._is_begun(tensors):
            return None
        if wanted:
            self._write(self.path(moment), tensors, moment)
        return self.path(moment) if wanted else None

    def _is_begun(self, tensors: dict[str, Tensor]) -> bool:
        """Whether the folder already holds this untrained network.

        Raises:
            StudyError: it holds another one, or checkpoints without one.
        """
        first = self.path(0)
        others = sorted(self._directory.glob(f"{self._counted}_*.safetensors"))
        if not first.exists():
            if others:
                found = f"{len(others)} of another training, the first {others[0].name}"
                raise StudyError(
                    str(self._directory), expected="no checkpoints yet", found=found, remedy=_BEGINNING
                )
            return False
        try:
            there = load_file(first)
        except SafetensorError as error:
            raise StudyError.of(error, str(first), expected="a checkpoint", remedy="remove it") from error
        if there.keys() != tensors.keys() or not all(_same(there[name], tensors[name]) for name in there):
            found = "those of another untrained network"
            raise StudyError(
                str(first),
                expected="the weights with which this training begins",
                found=found,
                remedy=_BEGINNING,
            )
        return True

    def _write(self, target: Path, tensors: dict[str, Tensor], moment: int) -> None:
        about = {
            "condition": self.condition,
            "run": self.run,
            self._counted: moment,
            "part": self.part,
            beginnings.UNTRAINED: moment == 0 and not self.pretrained,
        }
        # One entry only: safetensors writes several in an order that changes from run to run.
        content = save(tensors, {f"protoviz {beginnings.KIND}": json.dumps(about, sort_keys=True)})
        with files.complete(target) as partial:
            partial.write_bytes(content)


def _listed(epochs: Iterable[int] | None, steps: Iterable[int] | str | None) -> Iterable[int] | None:
    """The moments that are named; None stands for evenly spaced ones."""
    if not isinstance(steps, str):
        return epochs if steps is None else steps
    if steps != "log":
        raise StudyError("steps", expected="numbers, or 'log'", found=repr(steps), remedy="correct it")
    return None


def _same(a: Tensor, b: Tensor) -> bool:
    """Bit for bit, NaN included."""
    return a.dtype == b.dtype and a.shape == b.shape and torch.equal(_bytes(a), _bytes(b))


def _bytes(tensor: Tensor) -> Tensor:
    return tensor.contiguous().reshape(-1).view(torch.uint8)


def _is_first() -> bool:
    """Whether this is the first of the processes that train together, or the only one."""
    distributed = torch.distributed
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank() == 0
    return int(os.environ.get("RANK", 0)) == 0  # of torchrun, before the processes have met
