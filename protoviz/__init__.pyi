"""The types of what `protoviz/__init__.py` imports when it is first used."""

from protoviz import callbacks as callbacks
from protoviz.api import synthesize as synthesize
from protoviz.api import units as units
from protoviz.config.synthesis import PRESETS as PRESETS
from protoviz.models.priors.base import ImagePrior as ImagePrior
from protoviz.notebook import plot as plot
from protoviz.notebook.atlas import atlas as atlas
from protoviz.notebook.develop import develop as develop
from protoviz.notebook.develop import receptive_fields as receptive_fields
from protoviz.notebook.measures import distances as distances
from protoviz.notebook.measures import measures as measures
from protoviz.notebook.modes import modes as modes
from protoviz.notebook.natural import natural as natural
from protoviz.notebook.partners import matching as matching
from protoviz.notebook.stores import join as join
from protoviz.notebook.stores import save as save
from protoviz.pipeline.remote_store import open_published as open_published

__version__: str
__all__ = [
    "PRESETS",
    "ImagePrior",
    "atlas",
    "callbacks",
    "develop",
    "distances",
    "join",
    "matching",
    "measures",
    "modes",
    "natural",
    "open_published",
    "plot",
    "receptive_fields",
    "save",
    "synthesize",
    "units",
]

def __dir__() -> list[str]: ...
