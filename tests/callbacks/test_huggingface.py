"""The callback for transformers in real trainings, where that is installed."""

import re
import warnings
from importlib.util import find_spec

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from protoviz.models import beginnings

INSTALLED = find_spec("transformers") is not None and find_spec("accelerate") is not None


class Classifier(nn.Module):
    """What a Trainer takes: arguments by name, a mapping with the loss."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.backbone = nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten())
        self.head = nn.Linear(8, 2)

    def forward(self, pixel_values, labels):
        scores = self.head(self.backbone(pixel_values))
        return {"loss": nn.functional.cross_entropy(scores, labels), "logits": scores}


def images():
    torch.manual_seed(1)
    return [{"pixel_values": torch.rand(3, 4, 4), "labels": k % 2} for k in range(12)]


def train(folder, callbacks, resume=False, **arguments):
    from transformers import Trainer, TrainingArguments

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        how = TrainingArguments(
            str(folder / "trainer"),
            per_device_train_batch_size=4,
            report_to=[],
            use_cpu=True,
            disable_tqdm=True,
            seed=0,
            **{"save_strategy": "no", **arguments},
        )
        trainer = Trainer(Classifier(), how, train_dataset=images(), callbacks=callbacks)
        trainer.train(resume_from_checkpoint=resume or None)
    return trainer.model


def kept(folder):
    return {int(re.findall(r"\d+", path.stem)[0]): load_file(path) for path in folder.rglob("*.safetensors")}


@pytest.mark.skipif(not INSTALLED, reason="needs transformers and accelerate")
class TestTraining:
    """Trainings of twelve images in three batches."""

    def test_epochs(self, tmp_path):
        from protoviz.callbacks import HuggingFace

        model = train(tmp_path, [HuggingFace(tmp_path / "kept", "blue", 1)], num_train_epochs=5)
        found = kept(tmp_path / "kept" / "blue" / "run1")
        assert sorted(found) == [0, 1, 2, 4, 5]
        assert torch.equal(found[0]["head.weight"], Classifier().head.weight)
        assert torch.equal(found[5]["head.weight"], model.head.weight)
        assert not torch.equal(found[4]["head.weight"], model.head.weight)

    def test_steps_of_a_part(self, tmp_path):
        from protoviz.callbacks import HuggingFace

        train(tmp_path, [HuggingFace(tmp_path / "kept", steps="log", part="backbone")], max_steps=5)
        found = kept(tmp_path / "kept")
        assert sorted(found) == [0, 1, 2, 4, 5]
        assert found[1].keys() == {"0.weight", "0.bias"}

    def test_a_resumed_training_goes_on_where_it_was(self, tmp_path):
        from protoviz.callbacks import HuggingFace

        keep = tmp_path / "kept"
        train(
            tmp_path,
            [HuggingFace(keep)],
            num_train_epochs=2,
            save_strategy="epoch",
            lr_scheduler_type="constant",
        )
        before = {path: path.stat().st_mtime_ns for path in keep.rglob("*.safetensors")}
        again = {"num_train_epochs": 4, "save_strategy": "epoch", "lr_scheduler_type": "constant"}
        train(tmp_path, [HuggingFace(keep)], resume=True, **again)
        assert sorted(kept(keep)) == [0, 1, 2, 4]
        assert before == {path: path.stat().st_mtime_ns for path in before}

    @pytest.mark.parametrize(
        ("came_from", "given", "untrained"),
        [
            (None, {}, True),
            ("", {}, True),
            ("some/model", {}, False),
            ("some/model", {"pretrained": False}, True),
        ],
    )
    def test_a_network_that_came_from_somewhere_is_not_untrained(
        self, tmp_path, monkeypatch, came_from, given, untrained
    ):
        from protoviz.callbacks import HuggingFace

        if came_from is not None:  # as `from_pretrained` leaves it
            monkeypatch.setattr(Classifier, "name_or_path", came_from, raising=False)
        keep = HuggingFace(tmp_path / "kept", **given)
        train(tmp_path, [keep], num_train_epochs=1)
        assert beginnings.untrained(keep.checkpoints.path(0)) is untrained
        assert beginnings.untrained(keep.checkpoints.path(1)) is False
