"""Where the units of a layer look by the architecture alone: the mask that is the same for every network.

Masks fitted to each network differ in width, and a wider mask alone makes images look more diverse. The fixed
mask removes that effect: it depends only on the architecture, the image size and the position that is read,
so it is the same for all conditions, runs and epochs, and a new condition changes no other one's.

It is the squared gradient that a network has on average over random weights, in closed form: with
independent weights of mean zero, each convolution spreads the squared gradient evenly over its kernel, a
maximum passes it to one of its inputs with equal chance, a rectifier halves it everywhere alike, and where
two branches meet both receive it, with equal gain. So it counts the paths from each pixel to the unit
(Luo et al. 2016, "Understanding the effective receptive field"); `paths` says how, for networks of any
kind, and what is approximate. The mask is the Gaussian fitted to that map, as for every network. The
theoretical field, the box beyond which no path leads, would mask nothing in the deep layers, whose boxes are
wider than the image.
"""

import numpy as np
import torch
from numpy.typing import NDArray

from protoviz.config.image_size import sides
from protoviz.config.synthesis import Objective
from protoviz.models.readout.network import Network
from protoviz.synthesis.receptive_fields.paths import CountingPaths

_HOW = torch.float64, torch.device("cpu")


def expected_map(network: Network, layer: str, objective: Objective) -> NDArray[np.float64]:
    """The share of the paths to a layer's unit that begin at each pixel, (H, W); sums to 1.

    NaN everywhere, so that the mask fitted to it is 1 everywhere, if the paths cannot be counted: none leads
    to the image, or their number is not finite.

    Args:
        network: its architecture; its weights do not matter.
        layer: of the unit.
        objective: where in the layer; paths before and after its non-linearity are the same.

    Raises:
        StudyError: there is no such layer, or no such position in it.
    """
    pixels = torch.ones(1, network.channels, *sides(network.size), dtype=torch.float64, requires_grad=True)
    respond = network.uncut(layer, objective, *_HOW)
    with CountingPaths():
        response = respond(pixels)
    unknown = np.full(sides(network.size), np.nan)
    if not response.requires_grad:
        return unknown
    (gradient,) = torch.autograd.grad(response.sum(), pixels)
    paths: NDArray[np.float64] = gradient.sum((0, 1)).numpy()
    total = paths.sum()
    return paths / total if np.isfinite(total) and total > 0 else unknown
