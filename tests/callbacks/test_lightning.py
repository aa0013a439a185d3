"""The callback in real trainings with Lightning."""

import subprocess
import sys
import warnings

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

lightning = pytest.importorskip("pytorch_lightning")

from protoviz.callbacks import Lightning  # noqa: E402


class Training(lightning.LightningModule):
    """Three batches an epoch; remembers its weights at the end of each epoch and step."""

    def __init__(self, optimisers=1):
        super().__init__()
        torch.manual_seed(0)
        self.backbone = nn.Sequential(nn.Conv2d(3, 2, 3), nn.BatchNorm2d(2), nn.Flatten())
        self.head = nn.Linear(8, 2)
        self.epochs, self.steps, self.optimisers = [self.weight()], {0: self.weight()}, optimisers
        self.automatic_optimization = optimisers == 1

    def weight(self):
        return self.backbone[0].weight.detach().clone()

    def training_step(self, batch, _):
        loss = nn.functional.cross_entropy(self.head(self.backbone(batch[0])), batch[1])
        if not self.automatic_optimization:
            for optimiser in self.optimizers():
                optimiser.zero_grad()
            self.manual_backward(loss)
            for optimiser in self.optimizers():
                optimiser.step()
        return loss

    def validation_step(self, batch, _):
        self.backbone(batch[0])

    def configure_optimizers(self):
        if self.optimisers == 1:
            return torch.optim.SGD(self.parameters(), 0.1)
        return [torch.optim.SGD(part.parameters(), 0.1) for part in (self.backbone, self.head)]

    def on_train_batch_end(self, *_):
        self.steps.setdefault(self.trainer.global_step, self.weight())

    def on_train_epoch_end(self):
        self.epochs.append(self.weight())


def data():
    torch.manual_seed(1)
    images = torch.utils.data.TensorDataset(torch.rand(12, 3, 4, 4), torch.arange(12) % 2)
    return torch.utils.data.DataLoader(images, 4)


def fit(folder, module, callbacks, resume=None, validate=False, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = lightning.Trainer(
            **{"accelerator": "cpu", "logger": False, "enable_progress_bar": False, **kwargs},
            enable_model_summary=False,
            enable_checkpointing=False,
            callbacks=callbacks,
            default_root_dir=folder,
        )
        trainer.fit(module, data(), data() if validate else None, ckpt_path=resume)
    return trainer


def kept(folder):
    return {path.name: load_file(path) for path in sorted(folder.rglob("*.safetensors"))}


@pytest.mark.parametrize("validate", [False, True])
def test_epochs_are_kept_evenly_spaced_and_as_they_were(tmp_path, validate):
    module = Training()
    fit(tmp_path, module, [Lightning(tmp_path / "kept", "blue", 2)], max_epochs=5, validate=validate)
    found = kept(tmp_path / "kept" / "blue" / "run2")
    assert list(found) == [f"epoch_{epoch:04d}.safetensors" for epoch in (0, 1, 2, 4, 5)]
    for epoch, tensors in zip((0, 1, 2, 4, 5), found.values(), strict=True):
        assert tensors.keys() == module.state_dict().keys()
        assert torch.equal(tensors["backbone.0.weight"], module.epochs[epoch])
        assert tensors["backbone.1.num_batches_tracked"].item() == 3 * epoch


def test_steps_of_a_part(tmp_path):
    """Two batches make a step: it is kept when it is made, not when the next batch has passed."""
    module = Training()
    keep = Lightning(tmp_path / "kept", steps="log", part="backbone")
    fit(tmp_path, module, [keep], max_steps=5, accumulate_grad_batches=2)
    found = kept(tmp_path / "kept")
    assert list(found) == [f"step_{step:08d}.safetensors" for step in (0, 1, 2, 4, 5)]
    for step, tensors in zip((0, 1, 2, 4, 5), found.values(), strict=True):
        assert tensors.keys() == module.backbone.state_dict().keys()
        assert torch.equal(tensors["0.weight"], module.steps[step])


def test_steps_of_two_optimisers_count_both(tmp_path):
    module = Training(optimisers=2)
    fit(tmp_path, module, [Lightning(tmp_path / "kept", steps=[0, 1, 4])], max_epochs=1)
    found = kept(tmp_path / "kept")
    assert list(found) == [f"step_{step:08d}.safetensors" for step in (0, 2, 4)]
    assert torch.equal(found["step_00000002.safetensors"]["backbone.0.weight"], module.steps[2])


def test_a_resumed_training_goes_on_where_it_was(tmp_path):
    trainer = fit(tmp_path, Training(), [Lightning(tmp_path / "kept")], max_epochs=2)
    trainer.save_checkpoint(tmp_path / "state.ckpt")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "kept").rglob("*.safetensors")}
    fit(tmp_path, Training(), [Lightning(tmp_path / "kept")], tmp_path / "state.ckpt", max_epochs=6)
    assert list(kept(tmp_path / "kept")) == [f"epoch_{e:04d}.safetensors" for e in (0, 1, 2, 4, 6)]
    assert before == {path: path.stat().st_mtime_ns for path in before}
    whole = Training()
    fit(tmp_path, whole, [Lightning(tmp_path / "whole")], max_epochs=6)
    for name, tensors in kept(tmp_path / "kept").items():
        other = kept(tmp_path / "whole")[name]
        assert all(torch.equal(tensors[key], other[key]) for key in tensors), name


def test_a_second_fit_of_the_same_trainer_has_another_end(tmp_path):
    keep = Lightning(tmp_path / "kept")
    trainer = fit(tmp_path, Training(), [keep], max_epochs=1)
    trainer.fit_loop.max_epochs = 3
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer.fit(trainer.lightning_module, data())
    assert list(kept(tmp_path / "kept")) == [f"epoch_{e:04d}.safetensors" for e in (0, 1, 2, 3)]


def test_one_trainer_may_keep_several_parts(tmp_path):
    parts = [Lightning(tmp_path / part, part=part, epochs=[1]) for part in ("backbone", "head")]
    fit(tmp_path, Training(), parts, max_epochs=1)
    assert [list(kept(tmp_path / part)["epoch_0001.safetensors"]) for part in ("head",)] == [
        ["bias", "weight"]
    ]
    assert len(kept(tmp_path / "backbone")) == 1


def test_a_trial_run_writes_nothing(tmp_path):
    fit(tmp_path, Training(), [Lightning(tmp_path / "kept")], fast_dev_run=True)
    assert not (tmp_path / "kept").exists()


def test_nothing_of_it_is_imported_before_it_is_used():
    code = (
        "import sys, protoviz.callbacks as c; c.Checkpoints; assert not {'pytorch_lightning', 'lightning',"
        " 'transformers'} & set(sys.modules); c.Lightning; assert 'pytorch_lightning' in sys.modules or"
        " 'lightning.pytorch' in sys.modules"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)
