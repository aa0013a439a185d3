"""One trainer's checkpoint as a network of a study."""

from pathlib import Path

import torch
from torch import nn

from protoviz.config.image_size import checked, sides
from protoviz.config.series import Series
from protoviz.models import checkpoints, importer, zoo
from protoviz.models.importer import Imported
from protoviz.models.readout import dependence
from protoviz.models.readout.network import Network


def imported(asked: Series, source: Path, initial: str | None) -> tuple[nn.Module, str, Imported]:
    """The network with the weights of a file.

    Weights that the study's layers do not depend on may be missing from it; they are fresh then.

    Args:
        asked: of the study.
        source: the file.
        initial: digest of the weights of the series' first file; None: this is the first.

    Returns:
        The network, the digest of the series' first weights, and what was taken.

    Raises:
        StudyError: see `importer.load`; or the network does not have a layer of the study.
    """
    module = zoo.load(asked.network, arguments=asked.arguments).module
    network = Network(module, checked(asked.size), asked.mean, asked.std)
    for layer in asked.layers:
        network.layer(layer)
    example = network.normalise(torch.rand(2, network.channels, *sides(network.size)))
    needed = dependence.weights(module, asked.layers, example)
    taken = importer.load(module, source, asked.network, needed=needed, key=asked.key, prefix=asked.prefix)
    return module, initial or checkpoints.weights_digest(module), taken
