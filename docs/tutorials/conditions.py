# %% [markdown]
# # Compare two conditions
#
# Does an augmentation change what a network's units respond to? You train under both conditions, several runs each,
# and compare. The run is the unit of replication: two units of one network are no independent evidence.
#
# ## Two conditions, two runs
#
# The network and the training are those of [the tutorial before](training.py); the second condition mirrors half of
# the batches.

# %%
import tempfile
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import nn

import protoviz
from protoviz.callbacks import Checkpoints

digits = load_digits()
images = nn.functional.interpolate(torch.tensor(digits.images, dtype=torch.float32)[:, None] / 16, (16, 16))
labels = torch.tensor(digits.target)


def train(folder: Path, condition: str, seed: int, epochs: int = 4) -> nn.Module:
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2)),
        nn.Sequential(nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2)),
        nn.Flatten(),
        nn.Linear(512, 10),
    )
    keep = Checkpoints(folder, condition, run=seed, epochs=[0, 1, 4])
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    keep(model, 0)
    for epoch in range(1, epochs + 1):
        for batch in torch.randperm(len(images)).split(128):
            mirrored = condition == "mirrored" and torch.rand(()) < 0.5
            loss = nn.functional.cross_entropy(
                model(images[batch].flip(-1) if mirrored else images[batch]), labels[batch]
            )
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        keep(model, epoch)
    return model.eval()


folder = Path(tempfile.mkdtemp())
cubes = []
for condition in ("plain", "mirrored"):
    for run in (1, 2):
        model = train(folder, condition, run)
        files = str(folder / condition / f"run{run}" / "epoch_{epoch}.safetensors")
        cubes.append(
            protoviz.develop(
                model,
                files,
                ["0:0-7", "1:0-7"],
                size=16,
                mean=[0.0],
                std=[1.0],
                name=condition,
                run=run,
                repeats=2,
                ascent={"steps": 16},
            )
        )
cube = protoviz.join(*cubes)
dict(cube.sizes)

# %% [markdown]
# ## Measure all networks at once

# %%
distances = protoviz.distances(cube)
measures = protoviz.measures(cube, distances)
axes = protoviz.plot.curves(measures, "diversity", "1")

# %% [markdown]
# One line for each run and repeat, one colour for each condition. A difference is worth a claim only where the runs
# of one condition lie apart from those of the other. With two runs an exact test cannot go below p = 0.33
# (0.5 where the runs are matched): more
# runs, not more units, make a claim stronger. See [Uncertainty with few runs](../explanation/uncertainty.md).
#
# ## As a study
#
# `protoviz init` makes a folder with the same checkpoints as a study: receptive fields, masks, every measure with its
# interval over runs, each pair of conditions compared, figures and the atlas.
#
# ```console
# $ protoviz init study --model nets.py:small --size 16 --mean 0 --std 1 \
#       --checkpoints 'checkpoints/{condition}/run{run}/epoch_{epoch}.safetensors'
# $ cd study && protoviz repro && protoviz atlas
# ```
#
# See [Use your own checkpoints](../how-to/checkpoints.md).
