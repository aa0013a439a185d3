"""protoviz: how a network's features grow up, seen through the images that drive its units most.

import protoviz
protoviz.units(model, size=96)                                   # its layers and their channels
protoviz.synthesize(model, "layer4:0-15", size=96).image         # their prototypes
protoviz.open_published("https://host/study").image              # those of a published study
protoviz.PRESETS["fast"]                                         # a recipe
protoviz.ImagePrior                                              # what an image prior of your own must have

cube = protoviz.develop(model, "runs/a/epoch_{epoch}.safetensors", "layer4:0-15")   # at all its checkpoints
fields = protoviz.receptive_fields(model, cube, "runs/a/epoch_{epoch}.safetensors") # where its units look
distances = protoviz.distances(cube, fields)                     # between units, epochs, repeats
protoviz.measures(cube, distances, fields)                       # diversity, rate of change, ... of layers
protoviz.modes(model, cube, "runs/a/epoch_{epoch}.safetensors", fields)             # images that drive units
protoviz.natural(model, cube, images, "runs/a/epoch_{epoch}.safetensors")           # are they faithful?
protoviz.matching(cube, natural)                                 # the same unit in the other runs
protoviz.plot.development(cube, "layer4")                        # pictures on Matplotlib's axes
protoviz.atlas(cube, "atlas", receptive_fields=fields, distances=distances)         # a page to look at it all
protoviz.join(cube, another)                                     # those of several networks
protoviz.save(cube, "cube.zarr")                                 # any of these as a store
protoviz.callbacks                                               # checkpoints, written while you train

Notebooks may rely on these names. All other modules are internal and may change.
"""

from importlib import import_module
from typing import Any

__version__ = "0.2.0"
__all__ = [
    *("ImagePrior", "PRESETS", "atlas", "callbacks", "develop", "distances", "join", "matching", "measures"),
    *("modes", "natural"),
    *("open_published", "plot", "receptive_fields", "save", "synthesize", "units"),
]
_HOMES = {
    "ImagePrior": "protoviz.models.priors.base",
    "PRESETS": "protoviz.config.synthesis",
    "atlas": "protoviz.notebook.atlas",
    "callbacks": "protoviz",
    "develop": "protoviz.notebook.develop",
    "distances": "protoviz.notebook.measures",
    "join": "protoviz.notebook.stores",
    "matching": "protoviz.notebook.partners",
    "measures": "protoviz.notebook.measures",
    "modes": "protoviz.notebook.modes",
    "natural": "protoviz.notebook.natural",
    "open_published": "protoviz.pipeline.remote_store",
    "plot": "protoviz.notebook",
    "receptive_fields": "protoviz.notebook.develop",
    "save": "protoviz.notebook.stores",
    "synthesize": "protoviz.api",
    "units": "protoviz.api",
}
_MODULES = ("callbacks", "plot")


def __getattr__(name: str) -> Any:
    """Return an export; what it needs, such as torch, is imported on first use."""
    if name not in _HOMES:
        raise AttributeError(f"module 'protoviz' has no attribute {name!r}")
    if name in _MODULES:
        return import_module(f"{_HOMES[name]}.{name}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """The exports, for completion."""
    return [*__all__, "__version__"]
