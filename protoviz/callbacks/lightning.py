"""The callback for Lightning: `lightning` where it is installed or in use, else `pytorch_lightning`."""

import sys
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from protoviz.callbacks.checkpoints import Checkpoints
from protoviz.errors import MissingPackageError

_PACKAGES = {"lightning": "lightning.pytorch", "pytorch_lightning": "pytorch_lightning"}


def _library() -> Any:
    """The package that the user has imported, else one that is installed.

    Raises:
        MissingPackageError: there is none.
    """
    loaded = [name for name, package in _PACKAGES.items() if sys.modules.get(package)]
    installed = loaded or [name for name in _PACKAGES if find_spec(name)]
    if not installed:
        raise MissingPackageError(
            "protoviz.callbacks.Lightning",
            expected="Lightning to be installed",
            found="neither lightning nor pytorch_lightning",
            remedy="run `pip install lightning`; any other loop can call protoviz.callbacks.Checkpoints",
        )
    return import_module(_PACKAGES[installed[0]])


class Lightning(_library().Callback):  # type: ignore[misc]
    """Writes the checkpoints of a training with Lightning; arguments and errors are those of `Checkpoints`.

        Trainer(max_epochs=100, callbacks=[Lightning("checkpoints", "baseline", run=1, part="backbone")])

    Epochs are the trainer's; steps are its `global_step`, which counts those of every optimiser. The last
    epoch or step defaults to the trainer's `max_epochs` or `max_steps`. The trainer's first process writes.
    With `fast_dev_run` nothing is written.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()
        self.checkpoints = Checkpoints(*args, **kwargs)

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Write the untrained network, if the training begins here."""
        keep = self.checkpoints
        keep.end(trainer.max_steps if keep.by_steps else trainer.max_epochs)
        if trainer.global_step == 0 and trainer.current_epoch == 0:
            self._keep(trainer, pl_module, 0)

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
        """Write the network after a step."""
        if (
            self.checkpoints.by_steps and trainer.global_step
        ):  # gradients may have been accumulated without a step
            self._keep(trainer, pl_module, trainer.global_step)

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Write the network after an epoch."""
        if not self.checkpoints.by_steps:
            self._keep(trainer, pl_module, trainer.current_epoch + 1)

    def _keep(self, trainer: Any, pl_module: Any, moment: int) -> None:
        if trainer.is_global_zero and not trainer.fast_dev_run:
            self.checkpoints(pl_module, moment)
