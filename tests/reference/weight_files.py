"""Weight files of ImageNet networks as torchvision publishes them, with random numbers for weights.

The names are those of the published files, old ones included: DenseNet's "norm.1", and batch normalisations
without their counts. The end of the file's name is the beginning of its SHA-256.
"""

import hashlib
import re

import torch

from protoviz.models import imagenet

DRAWN = 1_000_003  # numbers drawn for a tensor; a larger one repeats them, at other places of its rows


def write(folder, name):
    """Write the file of a network to a folder and return its path."""
    with torch.device("meta"):
        wanted = imagenet._build(name).state_dict()
    generator = torch.Generator().manual_seed(0)
    state = {}
    for key, tensor in wanted.items():
        if key.endswith("num_batches_tracked"):
            continue
        if name.startswith("densenet"):
            key = re.sub(r"(denselayer\d+\.(?:norm|conv))([12])\.", r"\1.\2.", key)
        state[key] = _values(key, tensor.shape, generator)
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(state, folder / "unnamed")
    return rename(folder / "unnamed", name)


def rename(path, name):
    """Give a file the name that torchvision would give it, and return it."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    return path.rename(path.with_name(f"{imagenet.NETWORKS[name].stem}-{digest}.pth"))


def _values(key, shape, generator):
    """Numbers with which images still differ at the end of a deep network."""
    if key.endswith("running_var") or (key.endswith("weight") and len(shape) == 1):
        return torch.ones(shape)
    if len(shape) < 2:
        return torch.zeros(shape)
    fan_in = shape[1:].numel()
    drawn = torch.randn(min(shape.numel(), DRAWN), generator=generator) * (2 / fan_in) ** 0.5
    return drawn.repeat(-(-shape.numel() // DRAWN))[: shape.numel()].reshape(shape).clone()
