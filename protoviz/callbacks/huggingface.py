"""The callback for the Trainer of Hugging Face's transformers, where that is installed."""

from importlib.util import find_spec
from typing import Any

from protoviz.callbacks.checkpoints import Checkpoints
from protoviz.errors import MissingPackageError
from protoviz.models.readout.wrappers import unwrapped


def _base() -> Any:
    """`transformers.TrainerCallback`.

    Raises:
        MissingPackageError: transformers is not installed.
    """
    if find_spec("transformers") is None:
        raise MissingPackageError(
            "protoviz.callbacks.HuggingFace",
            expected="transformers to be installed",
            found="no such package",
            remedy="run `pip install transformers`; any other loop can call protoviz.callbacks.Checkpoints",
        )
    from transformers import TrainerCallback

    return TrainerCallback


class HuggingFace(_base()):  # type: ignore[misc]
    """Writes the checkpoints of a `transformers.Trainer`; arguments and errors are those of `Checkpoints`.

        Trainer(model, args, train_dataset=images, callbacks=[HuggingFace("checkpoints", "baseline", run=1)])

    Steps are those of the optimiser (`state.global_step`). The last epoch or step defaults to the trainer's.
    The trainer's first process writes. `pretrained` defaults to whether the network or its configuration was
    loaded by `from_pretrained`.
    """

    def __init__(self, *args: Any, pretrained: bool | None = None, **kwargs: Any) -> None:
        super().__init__()
        self.checkpoints = Checkpoints(*args, pretrained=bool(pretrained), **kwargs)
        self._says_itself = pretrained is None

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Write the untrained network, if the training begins here."""
        del args, control
        keep = self.checkpoints
        # The number of epochs may be a fraction: an incomplete last epoch is not kept.
        keep.end(state.max_steps if keep.by_steps else int(state.num_train_epochs))
        if self._says_itself:
            keep.pretrained = bool(getattr(unwrapped(kwargs["model"]), "name_or_path", ""))
        if state.global_step == 0:
            self._keep(state, kwargs, 0)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Write the network after a step."""
        del args, control
        if self.checkpoints.by_steps:
            self._keep(state, kwargs, state.global_step)

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Write the network after an epoch."""
        del args, control
        if not self.checkpoints.by_steps:
            self._keep(state, kwargs, round(state.epoch))

    def _keep(self, state: Any, given: dict[str, Any], moment: int) -> None:
        if state.is_world_process_zero:
            self.checkpoints(given["model"], moment)
