"""protoviz: how a network's features grow up, seen through the images that drive its units most.

import protoviz
protoviz.units(model, size=96)                                   # its layers and their channels
protoviz.synthesize(model, "layer4:0-15", size=96).image         # their prototypes
protoviz.open_published("https://host/study").image              # those of a published study
protoviz.PRESETS["fast"]                                         # a recipe
protoviz.ImagePrior                                              # what an image prior of your own must have

These five names are what a notebook may rely on. All other modules are internal and may change.
"""

from importlib import import_module
from typing import Any

__version__ = "0.2.0"
__all__ = ["PRESETS", "ImagePrior", "open_published", "synthesize", "units"]
_HOMES = {
    "ImagePrior": "protoviz.models.priors.base",
    "PRESETS": "protoviz.config.synthesis",
    "open_published": "protoviz.pipeline.remote_store",
    "synthesize": "protoviz.api",
    "units": "protoviz.api",
}


def __getattr__(name: str) -> Any:
    """What is exported; what it needs, such as torch, is imported when it is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module 'protoviz' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """The exports, for completion."""
    return [*__all__, "__version__"]
