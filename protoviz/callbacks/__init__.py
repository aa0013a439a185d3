"""Callbacks that write checkpoints during training, for a study of your own network.

    from protoviz.callbacks import Lightning              # for Trainer(callbacks=[...]) of Lightning
    from protoviz.callbacks import HuggingFace            # for Trainer(callbacks=[...]) of transformers
    from protoviz.callbacks import Checkpoints            # for any other loop

    Trainer(max_epochs=100, callbacks=[Lightning("checkpoints", "baseline", run=1)])

All three write the weights alone, as safetensors, each file whole or not at all, under

    checkpoints/<condition>/run<run>/epoch_<epoch>.safetensors

at epochs that are evenly spaced on a logarithmic scale, starting with the untrained network (epoch 0), or at
the epochs that you name. Existing files are never overwritten, so a resumed training continues its series.
A study reads them by the pattern `checkpoints/{condition}/run{run}/epoch_{epoch}.safetensors`. The file of
epoch 0 is marked as the untrained network; give the callback `pretrained=True` if your training begins with
pretrained weights.

`from protoviz.callbacks import *` imports those whose library is installed; importing another by its name
raises an ImportError that says what to install.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

_HOMES = {
    "Checkpoints": "checkpoints",
    "HuggingFace": "huggingface",
    "Lightning": "lightning",
    "log_spaced": "schedule",
}
_NEED_ONE_OF = {"HuggingFace": ("transformers",), "Lightning": ("lightning", "pytorch_lightning")}
__all__ = [
    name for name in _HOMES if name not in _NEED_ONE_OF or any(find_spec(one) for one in _NEED_ONE_OF[name])
]


def __getattr__(name: str) -> Any:
    """Return an export; the library that it belongs to is imported on first use."""
    if name not in _HOMES:
        raise AttributeError(f"module 'protoviz.callbacks' has no attribute {name!r}")
    return getattr(import_module(f"protoviz.callbacks.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    """The exports, for completion."""
    return list(__all__)
