"""The types of what `protoviz/callbacks/__init__.py` imports when it is first used."""

from protoviz.callbacks.checkpoints import Checkpoints as Checkpoints
from protoviz.callbacks.huggingface import HuggingFace as HuggingFace
from protoviz.callbacks.lightning import Lightning as Lightning
from protoviz.callbacks.schedule import log_spaced as log_spaced

__all__ = ["Checkpoints", "HuggingFace", "Lightning", "log_spaced"]

def __dir__() -> list[str]: ...
