"""The preset of study B as its abstract has it: SE-ResNeXt50, weights from a file, a domain of one's own.

It runs end to end on small images in the true formats. Sizes, counts and steps are reduced, places are named,
and nothing else is changed.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from ruamel.yaml import YAML

from protoviz import files, layout
from protoviz.config import params
from protoviz.models import finetuned
from protoviz.store import cube
from stages import (
    dataset,
    domain,
    figures_stages,
    findings_stages,
    projection_stages,
    synthesize_stages,
    train_stages,
)
from tests.reference.miniature import merged

ROOT = Path(__file__).parents[2]
SIZE = 32
CLASSES = ("a", "b", "c", "d", "e")
REDUCED: dict[str, Any] = {
    "title": "paper-b",
    "compute": {"device": "cpu"},
    "images": {"size": SIZE, "unlabeled": 1, "train": 10, "test": 10},
    "figures": {"dpi": 50},
    "training_stages": {
        "network": {"size": SIZE},
        "finetune": {"epochs": 1, "view_size": SIZE, "batch_size": 5},
        "units": {"per_layer": 1, "layers_at_once": 8},
        "synthesis": {"ascent": {"steps": 1}, "rescue": 0},
    },
    "projection": {"embedders": ["pixels"], "umap": {"epochs": 10}, "permutations": 19, "resamples": 20},
}

STAGES = (
    *(dataset, domain, train_stages, synthesize_stages),
    *(projection_stages, findings_stages, figures_stages),
)

pytestmark = pytest.mark.slow


def own_images(folder: Path) -> Path:
    """A folder of the user's own: five classes, split by the user."""
    rng = np.random.default_rng(0)
    for part, count in (("train", 2), ("test", 1)):
        for name in CLASSES:
            (folder / part / name).mkdir(parents=True)
            for k in range(count):
                pixels = rng.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / part / name / f"{k}.png")
    return folder


def test_the_preset_runs_from_weights_to_verdicts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = YAML(typ="safe").load(ROOT / "presets" / "paper-b.yaml")
    model = raw["training_stages"]["network"]["model"]
    weights = tmp_path / "weights.pth"
    torch.save(finetuned.initial(model, None, 7).state_dict(), weights)
    small = merged(raw, REDUCED)
    small["training_stages"]["pretrain"] |= {"weights": str(weights), "sha256": files.sha256(weights)[:8]}
    small["training_stages"]["domain"] |= {"path": str(own_images(tmp_path / "own"))}
    study = params.parse(small, "paper-b")
    monkeypatch.chdir(tmp_path)
    for stage in (
        dataset,
        domain,
        train_stages,
        synthesize_stages,
        projection_stages,
        findings_stages,
        figures_stages,
    ):
        stage.main(study)
    made = cube.open_cube(layout.STAGES_CUBE)
    assert len(set(made.layer.values.tolist())) == 53
    assert made.checkpoint.values.tolist() == list(finetuned.STATES)
    folder = layout.stages_checkpoints(study.training_stages.network.seed)
    network, said = finetuned.load(finetuned.path(folder, "pretrained"))
    assert (said.model, said.classes) == (model, 1000)
    kept = torch.load(weights, weights_only=True)
    assert all(torch.equal(value, kept[name]) for name, value in network.state_dict().items())
    assert files.read_json(layout.STAGES_TRAINING)["pretrained"] == {}, "of ImageNet's images there are none"
    assert {each["id"] for each in files.read_json(layout.STAGES_FINDINGS)["findings"]} >= {"Q7a", "Q7b"}
