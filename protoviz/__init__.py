"""protoviz: how a network's features grow up, seen through the images that drive its units most.

import protoviz
protoviz.units(model, size=96)                                   # its layers and their channels
protoviz.synthesize(model, "layer4:0-15", size=96).image         # their prototypes
protoviz.open_published("https://host/study").image              # those of a published study
"""

from importlib import import_module
from typing import Any

__version__ = "0.2.0"
_HOMES = {
    "synthesize": "protoviz.api",
    "units": "protoviz.api",
    "open_published": "protoviz.pipeline.remote_store",
}


def __getattr__(name: str) -> Any:
    """The functions for notebooks; what they need, such as torch, is imported when they are first used."""
    if name not in _HOMES:
        raise AttributeError(f"module 'protoviz' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
