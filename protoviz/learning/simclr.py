"""SimCLR training (Chen et al. 2020) with lightly's loss and head under Lightning's Trainer (T1, T4-T8)."""

import logging
import sys
import time
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from protoviz import files, seeding
from protoviz.config.learning import Augment, SimClr
from protoviz.errors import MissingPackageError, StudyError
from protoviz.learning import batches
from protoviz.learning.augment import draw_views
from protoviz.models import resnet

try:
    import pytorch_lightning as lightning
    from lightly.loss import NTXentLoss
    from lightly.models.modules.heads import SimCLRProjectionHead
    from pytorch_lightning.callbacks import TQDMProgressBar
    from pytorch_lightning.plugins.environments import LightningEnvironment  # type: ignore[attr-defined]
except ImportError as error:
    raise MissingPackageError.of(
        error,
        "training by SimCLR",
        expected="lightly and pytorch-lightning to be installed",
        remedy="install protoviz with its extra: pip install 'protoviz[train]'",
    ) from error


@dataclass(frozen=True)
class Epoch:
    """What one epoch of training was: its mean loss per batch and its learning rate."""

    epoch: int
    loss: float
    lr: float


OnEpoch = Callable[[int, nn.Module], None]


def train(
    images: npt.NDArray[np.uint8],
    network: resnet.ResNet18,
    settings: SimClr,
    augment: Augment,
    *,
    condition: str,
    run: int,
    device: torch.device,
    on_epoch: OnEpoch,
    state: Path | None = None,
) -> list[Epoch]:
    """Train a network in place; an interrupted training that left its state is resumed.

    The order of the images, the initial weights of the head and the random numbers of the views
    depend on the run alone: conditions of one run see the same crops of the same images in the same order,
    and differ only in the augmentation that their names stand for.

    Args:
        images: uint8 (N, H, W, 3).
        network: the backbone, with its initial weights.
        settings: epochs, batch size, optimiser.
        augment: how views are drawn.
        condition: name of the condition, for messages.
        run: seed of the run.
        device: where to compute.
        on_epoch: called with (epoch, network) before training as epoch 0, and after every epoch; not again
            for the epochs before the state.
        state: a file that holds the state after the last completed epoch: weights, optimiser, schedule,
            history. Random numbers need none, as they come from the address (run, epoch, batch). By
            default nothing is kept.

    Returns:
        One entry for each epoch, from 1.

    Raises:
        StudyError: there are fewer images than one batch, the loss is no longer finite, or the state cannot
            be read.
    """
    if len(images) < settings.batch_size:
        raise StudyError(
            f"{condition} run {run}",
            expected=f"at least one batch of {settings.batch_size} images",
            found=f"{len(images)}",
            remedy="use more images or a smaller batch_size in params.yaml",
        )
    _quieten_lightning()
    loader = batches.shuffled(images, settings.batch_size, run)
    module = _SimClr(network, settings, augment, condition, run)
    recorder = _Recorder(module, on_epoch, state)
    on_terminal = sys.stderr.isatty()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The `srun` command")  # where Slurm is installed
        trainer = lightning.Trainer(
            accelerator="gpu" if device.type == "cuda" else "cpu",
            devices=[device.index or 0] if device.type == "cuda" else 1,
            max_epochs=settings.epochs,
            logger=False,
            enable_checkpointing=False,
            enable_model_summary=False,
            enable_progress_bar=on_terminal,
            plugins=[LightningEnvironment()],  # this process trains alone, also where Slurm is installed
            callbacks=[
                recorder,
                TQDMProgressBar() if on_terminal else _LogLines(f"{condition} run {run}", recorder),
            ],
        )
        try:
            trainer.fit(module, loader, ckpt_path=_sound(state), weights_only=True)
        except SystemExit:  # which Lightning makes of Ctrl-C
            raise KeyboardInterrupt from None
    return recorder.history


def _sound(state: Path | None) -> Path | None:
    """The file to resume from, if there is one whose checksums hold."""
    if state is None or not state.is_file():
        return None
    try:
        with zipfile.ZipFile(state) as archive:
            damaged = archive.testzip()
    except zipfile.BadZipFile as error:
        damaged = str(error)
    if damaged:
        raise StudyError(
            str(state),
            expected="the state of a training",
            found=f"a damaged file ({damaged})",
            remedy="remove it; the training begins anew",
        )
    return state


class _SimClr(lightning.LightningModule):
    """Two views of every image, pulled together against all others of the batch (NT-Xent)."""

    def __init__(
        self, network: resnet.ResNet18, settings: SimClr, augment: Augment, condition: str, run: int
    ) -> None:
        super().__init__()
        # On CPUs a step takes 0.36 ms a view instead of 0.46 (width 8, 48 px); it is fastest on GPUs, too.
        self.network = network.to(memory_format=torch.channels_last)
        self.settings, self.augment = settings, augment
        self.address = (condition, run)
        features = network.units["layer4"]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seeding.seed("projection head", run))
            self.head = SimCLRProjectionHead(features, features, settings.projection_dim)
        self.loss = NTXentLoss(temperature=settings.temperature)

    def training_step(self, batch: Tensor, batch_index: int) -> Tensor:
        """NT-Xent loss of one batch, uint8 (B, H, W, 3)."""
        draws = torch.Generator(self.device)
        draws.manual_seed(seeding.seed("views", self.address[1], self.current_epoch, batch_index))
        first, second = (self.head(self.network(self._view(batch, draws))) for _ in range(2))
        loss: Tensor = self.loss(first, second)
        if not torch.isfinite(loss):
            raise StudyError(
                f"{self.address[0]} run {self.address[1]} epoch {self.current_epoch + 1}",
                expected="a finite loss",
                found=f"{loss.item()}",
                remedy="lower train.lr in params.yaml",
            )
        return loss

    def _view(self, batch: Tensor, draws: torch.Generator) -> Tensor:
        views = draw_views(batch, self.augment, self.settings.view_size, draws)
        return views.contiguous(memory_format=torch.channels_last)

    def configure_optimizers(self) -> Any:
        """SGD over all parameters and a cosine to zero, stepped once an epoch (T4)."""
        s = self.settings
        optimizer = torch.optim.SGD(
            self.parameters(), lr=s.lr, momentum=s.momentum, weight_decay=s.weight_decay
        )
        return [optimizer], [torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=s.epochs)]


class _Recorder(lightning.Callback):
    """Records the loss, passes the network on after every epoch, and then saves the state."""

    def __init__(self, module: _SimClr, on_epoch: OnEpoch, state: Path | None) -> None:
        self.module, self.on_epoch, self.state = module, on_epoch, state
        self.history: list[Epoch] = []
        self.losses: list[Tensor] = []
        self.lr = module.settings.lr

    def state_dict(self) -> dict[str, Any]:
        return {"history": [asdict(past) for past in self.history]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.history = [Epoch(**past) for past in state_dict["history"]]

    def on_fit_start(self, *_: Any) -> None:
        if not self.history:
            self.on_epoch(0, self.module.network)

    def on_train_epoch_start(self, trainer: lightning.Trainer, *_: Any) -> None:
        self.losses.clear()
        self.lr = trainer.optimizers[0].param_groups[0]["lr"]

    def on_train_batch_end(self, _trainer: Any, _module: Any, outputs: Any, *_: Any) -> None:
        self.losses.append(outputs["loss"].detach())

    def on_train_epoch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        done = trainer.current_epoch + 1
        self.history.append(Epoch(done, torch.stack(self.losses).double().mean().item(), self.lr))
        self.on_epoch(done, self.module.network)
        if self.state is not None:
            with files.complete(self.state) as partial:
                trainer.save_checkpoint(partial)


class _LogLines(lightning.Callback):
    """Logs one line for every epoch: its number, its loss, and the time left."""

    def __init__(self, what: str, recorder: _Recorder) -> None:
        self.what, self.recorder = what, recorder

    def on_train_start(self, *_: Any) -> None:
        self.start, self.before = time.monotonic(), len(self.recorder.history)
        if self.before:
            kept = f"{self.before} of {self.recorder.module.settings.epochs} epochs"
            print(f"{self.what}: {kept} kept from an earlier run", file=sys.stderr, flush=True)

    def on_train_epoch_end(self, *_: Any) -> None:
        last, total = self.recorder.history[-1], self.recorder.module.settings.epochs
        left = (time.monotonic() - self.start) / (last.epoch - self.before) * (total - last.epoch)
        print(
            f"{self.what}: epoch {last.epoch} of {total}, loss {last.loss:.3f}, {left:.0f} s left",
            file=sys.stderr,
            flush=True,
        )


def _quieten_lightning() -> None:
    """Leave out Lightning's notices about hardware, loader processes and torch's internals."""
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message=".*LeafSpec.*")
    warnings.filterwarnings("ignore", message=".*log_every_n_steps.*|.*logging interval.*")
