# %% [markdown]
# # Ask the cube a new question
#
# Prototypes lie in one labelled cube: condition, run, repeat, epoch, and unit (layer and channel). You need nothing
# but xarray to read it. This tutorial makes a small cube, and then forgets protoviz.

# %%
import tempfile
from pathlib import Path

import protoviz

folder = Path(tempfile.mkdtemp())
made = protoviz.synthesize(
    "imagenet:efficientnet_lite0",
    ["blocks.1:0-7", "blocks.3:0-7", "blocks.4:0-7"],
    size=64,
    repeats=2,
    ascent={"steps": 16},
)
protoviz.save(made, folder / "cube.zarr")

# %% [markdown]
# ## Open
#
# The study of the repository writes the same thing to `data/cube.zarr`.

# %%
import xarray as xr

cube = xr.open_zarr(folder / "cube.zarr", chunks=None).set_xindex(["layer", "channel"])
cube

# %% [markdown]
# ## Select
#
# Labels, never positions or file names.

# %%
one = cube.image.sel(condition="model", run=0, repeat=0, epoch=0, layer="blocks.3", channel=5)
one.shape, str(one.dtype)

# %% [markdown]
# ## Question 1: how colourful is each layer?
#
# The spread of the three colours at each pixel, averaged over a prototype. Leave out units whose search has not
# converged (`status` 1).

# %%
spread = cube.image.astype(float).max("rgb") - cube.image.astype(float).min("rgb")
colourful = spread.mean(["y", "x"]).where(cube.status == 1)
colourful.groupby("layer").mean(...).to_series()

# %% [markdown]
# ## Question 2: which units have an image of their own?
#
# Two repeats start from different noise. Where both end in the same image, the unit knows what it wants. Compare
# the distance between repeats with the distance to other units.

# %%
pixels = cube.image.squeeze(["condition", "run", "epoch"], drop=True).astype(float) / 255
between_repeats = ((pixels.isel(repeat=0) - pixels.isel(repeat=1)) ** 2).mean(["y", "x", "rgb"])
between_repeats.groupby("layer").mean().to_series()

# %% [markdown]
# Other libraries take it as it is: `to_series()` and `to_dataframe()` for pandas, `.values` for scikit-learn.

# %%
from sklearn.decomposition import PCA

flat = pixels.isel(repeat=0).values.reshape(pixels.sizes["unit"], -1)
places = PCA(2).fit_transform(flat)
places.shape

# %% [markdown]
# ## Where next
#
# * What each variable means: [the data dictionary](../reference/stores.md).
# * A published study, without a clone: `protoviz.open_published("https://host/study")`, see
#   [Publish and fetch](../how-to/publish.md).
