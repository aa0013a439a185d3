"""While training: write the checkpoints from which a study of your own network is made.

    from protoviz.callbacks import Lightning              # for Trainer(callbacks=[...]) of Lightning
    from protoviz.callbacks import HuggingFace            # for Trainer(callbacks=[...]) of transformers
    from protoviz.callbacks import Checkpoints            # for any other loop

    Trainer(max_epochs=100, callbacks=[Lightning("checkpoints", "baseline", run=1)])

All three write the weights alone, as safetensors, each file whole or not at all, under

    checkpoints/<condition>/run<run>/epoch_<epoch>.safetensors

at epochs that are evenly spaced on a logarithmic scale, the untrained network (epoch 0) first, or at those
that are named. What is there is never written again, so that a training that is resumed goes on where it was.
A study reads them by the pattern `checkpoints/{condition}/run{run}/epoch_{epoch}.safetensors`. Epoch 0 says
that it is the untrained network, unless its callback was told `pretrained=True`, as one has to be whose
training begins with weights that were trained before.

`from protoviz.callbacks import *` gives those whose library is installed; asking for another by its name
raises an ImportError, which says what to install.
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
    """What is exported; the library that it belongs to is imported when it is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module 'protoviz.callbacks' has no attribute {name!r}")
    return getattr(import_module(f"protoviz.callbacks.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    """The exports, for completion."""
    return list(__all__)
