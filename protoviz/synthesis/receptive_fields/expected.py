"""Where the units of a layer look by the architecture alone: the mask that is the same for every network.

Masks fitted to each network differ in width, and a wider mask alone makes images look more diverse. The
fixed mask takes that away: it depends on nothing but the architecture, the image size and the position that
is read, so it is the same for all conditions, runs and epochs, and a new condition changes no other one's.

It is the squared gradient that a network has on average over random weights, in closed form: with
independent weights of mean zero, each convolution spreads the squared gradient evenly over its kernel, a
maximum passes it to one of its inputs with equal chance, a rectifier halves it everywhere alike, and where
two branches meet both receive it, with equal gain. So it counts the paths from each pixel to the unit
(Luo et al. 2016, "Understanding the effective receptive field"). The mask is the Gaussian fitted to that
map, as for every network. The theoretical field, the box beyond which no path leads, would mask nothing in
the deep layers, whose boxes are wider than the image.
"""

import copy
import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from protoviz.models import resnet
from protoviz.synthesis.receptive_fields.gradients import responder


def expected_map(
    model: resnet.Backbone, layer: str, size: int, position: tuple[int, ...] | None
) -> NDArray[np.float64]:
    """The share of the paths to a layer's unit that begin at each pixel, (size, size); sums to 1.

    Args:
        model: its architecture; its weights do not matter.
        layer: of the unit.
        size: height and width of the images, px.
        position: row and column in the layer's map; None for the mean over it.
    """
    counting = _counting(model)
    pixels = torch.ones(1, 3, size, size, dtype=torch.float64, requires_grad=True)
    # Nothing is negative, so that rectifiers pass everything.
    response = responder(counting, layer, position, "pre")(pixels)
    (gradient,) = torch.autograd.grad(response.sum(), pixels)
    paths: NDArray[np.float64] = gradient.sum((0, 1)).numpy()
    return paths / paths.sum()


def _counting(model: resnet.Backbone) -> resnet.Backbone:
    """The architecture as a network whose gradients count paths."""
    assert isinstance(model, nn.Module)
    counting = copy.deepcopy(model).cpu().double().eval().requires_grad_(False)
    for parent in list(counting.modules()):
        for name, part in list(parent.named_children()):
            if isinstance(part, nn.MaxPool2d):
                mean = nn.AvgPool2d(part.kernel_size, part.stride, part.padding, count_include_pad=False)
                setattr(parent, name, mean)
            elif isinstance(part, nn.BatchNorm2d):
                setattr(parent, name, nn.Identity())
            elif isinstance(part, nn.Conv2d):
                nn.init.constant_(part.weight, 1 / math.prod(part.weight.shape[1:]))
                if part.bias is not None:
                    nn.init.zeros_(part.bias)
    return counting
