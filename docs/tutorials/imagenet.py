# %% [markdown]
# # Look into an ImageNet network
#
# A *prototype* is the image that drives one unit of a network most. In this tutorial you make prototypes of a
# network that comes with protoviz: EfficientNet-Lite0, trained on ImageNet. Nothing is downloaded, and no GPU is
# needed. Everything below runs in about a minute on a laptop.
#
# ## Which units are there?
#
# A unit is one channel of one layer. `protoviz.units` lists the layers that have weights, by their names in
# `named_modules()`; any other layer, such as `relu`, can be named too.

# %%
import protoviz

layers = protoviz.units("imagenet:efficientnet_lite0", size=96)
for layer in layers[:3] + layers[-3:]:
    print(layer.name, layer.channels)

# %% [markdown]
# ## Make prototypes
#
# Ask for six units of an early block and six of a late one. Each image starts from faint noise and climbs the
# unit's response by gradient ascent, for 32 steps here; the default is 128.

# %%
made = protoviz.synthesize(
    "imagenet:efficientnet_lite0",
    ["blocks.1:0-5", "blocks.4:0-5"],
    size=96,
    repeats=1,
    ascent={"steps": 32},
)
made

# %% [markdown]
# The result is an ordinary xarray Dataset. `image` holds the prototypes, `activation` how strongly each drives its
# unit, and `status` whether the search converged.

# %%
made.activation.squeeze(["condition", "run", "repeat", "epoch"], drop=True).to_series()

# %% [markdown]
# ## Look at them

# %%
axes = protoviz.plot.sheet(made, "blocks.1", columns=6)

# %%
axes = protoviz.plot.sheet(made, "blocks.4", columns=6)

# %% [markdown]
# Early units respond to edges and stripes; late ones to textures and parts of objects.
#
# ## One unit, two priors
#
# Which images are possible at all is decided by the *image prior*. The default, `fourier`, builds images from plane
# waves. `natural` is a small decoder that has learnt from photographs. Neither is the truth: compare them.

# %%
natural = protoviz.synthesize(
    "imagenet:efficientnet_lite0", "blocks.4:0-5", prior="natural", size=96, repeats=1, ascent={"steps": 32}
)
axes = protoviz.plot.sheet(natural, "blocks.4", columns=6)

# %% [markdown]
# ## Where next
#
# * The same from a shell: `protoviz synthesize imagenet:efficientnet_lite0 blocks.4:0-15 --size 96`.
# * Any other network: pass an `nn.Module`, or a name such as `"torchvision:resnet18"` with `state="weights.pth"`.
# * [Image priors and which to choose](../explanation/priors.md).
# * [Follow your own training](training.py).
