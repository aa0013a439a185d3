# %% [markdown]
# # Follow your own training
#
# You train a network and want to see how its features grow up. You need checkpoints from along the training, and
# three calls. This tutorial trains a small network on handwritten digits (8 × 8 px, in shades of grey), which takes
# seconds; with your own network you change nothing but the model and the images.
#
# ## Train, and keep checkpoints
#
# `protoviz.callbacks` has callbacks for Lightning and for transformers. In a loop of your own, call `Checkpoints`
# after each epoch. It decides which epochs are kept: by default evenly spaced on a logarithmic scale, the
# untrained network first.

# %%
import tempfile
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import nn

import protoviz
from protoviz.callbacks import Checkpoints

digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.float32)[:, None] / 16  # (N, 1, 8, 8), in [0, 1]
images = nn.functional.interpolate(images, (16, 16))
labels = torch.tensor(digits.target)


def network() -> nn.Module:
    return nn.Sequential(
        nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2)),
        nn.Sequential(nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2)),
        nn.Flatten(),
        nn.Linear(512, 10),
    )


def train(folder: Path, condition: str, seed: int, epochs: int = 8, flip: bool = False) -> nn.Module:
    torch.manual_seed(seed)
    model, keep = network(), Checkpoints(folder, condition, run=seed, max_epochs=epochs)
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    keep(model, 0)
    for epoch in range(1, epochs + 1):
        model.train()
        for batch in torch.randperm(len(images)).split(128):
            shown = images[batch].flip(-1) if flip and torch.rand(()) < 0.5 else images[batch]
            loss = nn.functional.cross_entropy(model(shown), labels[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        keep(model, epoch)
    return model.eval()


folder = Path(tempfile.mkdtemp())
model = train(folder, "plain", seed=1)
sorted(path.name for path in (folder / "plain" / "run1").iterdir())

# %% [markdown]
# ## From checkpoints to prototypes
#
# `develop` reads one checkpoint at a time and makes the prototypes of the same units at each. The network takes one
# channel, so protoviz makes images in shades of grey. Say how the images were normalised: here not at all.

# %%
files = str(folder / "plain" / "run1" / "epoch_{epoch}.safetensors")
cube = protoviz.develop(
    model,
    files,
    ["0:0-7", "1:0-7"],  # the first eight channels of each block
    size=16,
    mean=[0.0],
    std=[1.0],
    name="plain",
    run=1,
    repeats=2,
    ascent={"steps": 32},
)
dict(cube.sizes)

# %%
axes = protoviz.plot.development(cube, "1", range(6))

# %% [markdown]
# Each row is one unit, from the untrained network to the last epoch.
#
# ## Measure
#
# Distances between prototypes say how diverse a layer is, how fast it changes, and whether two independent searches
# find the same image.

# %%
distances = protoviz.distances(cube)
measures = protoviz.measures(cube, distances)
axes = protoviz.plot.curves(measures, "diversity")

# %%
measures.rate_of_change.sel(embedder="pixels", distance="mse", masking="unmasked").mean("repeat").squeeze(
    drop=True
).to_pandas()

# %% [markdown]
# ## Keep it
#
# `save` writes the cube as a Zarr store that anybody can read with xarray alone. `atlas` builds a page on which you
# can scrub through training.

# %%
protoviz.save(cube, folder / "cube.zarr")
page = protoviz.atlas(cube, folder / "atlas", distances=distances)
page.name

# %% [markdown]
# ## Where next
#
# * A study of many checkpoints, with receptive fields, maps and findings:
#   [Use your own checkpoints](../how-to/checkpoints.md).
# * [Ask the cube a new question](question.py).
# * [Compare two conditions](conditions.py).
