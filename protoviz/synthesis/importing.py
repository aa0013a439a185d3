"""Imports a trainer's checkpoint as a network of a study."""

from pathlib import Path

import torch
from torch import nn

from protoviz.config.image_size import checked, sides
from protoviz.config.series import Series
from protoviz.models import importer, zoo
from protoviz.models.importer import Imported
from protoviz.models.readout import dependence
from protoviz.models.readout.network import Network


class Importer:
    """Brings the files of one series into the network, one after the other.

    Weights that the study's layers do not depend on may be missing from a file; they are then initialised
    afresh.

    Args:
        asked: the series of checkpoints of the study.
        module: the network, with any weights.
        network: the same, prepared for read-out.

    Raises:
        StudyError: the network does not have a layer of the study.
    """

    def __init__(self, asked: Series, module: nn.Module, network: Network) -> None:
        self._asked = asked
        for layer in asked.layers:
            network.layer(layer)
        example = network.normalise(torch.rand(2, network.channels, *sides(network.size)))
        self._needed = dependence.weights(module, asked.layers, example)

    @classmethod
    def of(cls, asked: Series) -> "Importer":
        """The importer of a study.

        Raises:
            StudyError: the network cannot be built or read, or does not have a layer of the study.
        """
        module = zoo.load(asked.network, arguments=asked.arguments).module
        return cls(asked, module, Network(module, checked(asked.size), asked.mean, asked.std))

    def __call__(self, source: Path) -> tuple[nn.Module, Imported]:
        """The network with the weights of a file, and what was taken.

        Raises:
            StudyError: see `importer.load`.
        """
        asked = self._asked
        module = zoo.load(asked.network, arguments=asked.arguments).module
        named = {"key": asked.key, "prefix": asked.prefix}
        return module, importer.load(module, source, asked.network, needed=self._needed, **named)
