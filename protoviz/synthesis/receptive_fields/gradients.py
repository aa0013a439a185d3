"""Receptive fields: where in the image the units of a layer look, estimated from gradients (R1..R3).

There are two estimates, as in the presets. f_c is the response of channel c of a layer at its position:

    as-written  noise from U[0, 1], normalised as any image; for a unit sum_rgb (E_x grad f_c)^2, for a layer
                the sum of that over its channels
    paper       noise from U(-1, 1) in place of normalised images; for a unit mean_rgb E_x |grad f_c|, for a
                layer the same of the mean over its channels, mean_rgb E_x |grad mean_c f_c|

The layer's map of `as-written` is measured without a backward pass for every channel: for signs s_c that
are +1 or -1 with equal chance,

    E_s [(E_x grad sum_c s_c f_c)^2] = sum_c (E_x grad f_c)^2,

as the cross terms have mean zero (Hutchinson 1989). `probes` sign vectors therefore serve any number
of channels; one Gaussian is fitted to what they give, which averages their scatter.

Gradients are taken of the network's own operations on the whole image, whatever network it is; tokens and
vectors have receptive fields as maps do.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from protoviz import compute
from protoviz.config.image_size import sides
from protoviz.config.synthesis import Objective
from protoviz.models.readout.network import Network

NOISE_AT_ONCE = (
    64  # images of noise whose graph is held: their number, not that of the units, sets the memory
)


@dataclass(frozen=True)
class Estimator:
    """How fields are estimated.

    Attributes:
        estimate: see above.
        noise: number of noise images.
        probes: number of random sign vectors over the channels; not used by `paper`.
    """

    estimate: Literal["as-written", "paper"]
    noise: int
    probes: int = 1


def layer_map(
    network: Network,
    layer: str,
    objective: Objective,
    estimator: Estimator,
    generator: np.random.Generator,
    device: torch.device | str = "cpu",
) -> NDArray[np.float32]:
    """The map (H, W) of all units of a layer together.

    Args:
        network: of any kind; its images have H x W px.
        layer: of the units.
        objective: which response is meant: where in the layer, before or after its non-linearity.
        estimator: how.
        generator: of the noise and the signs.
        device: where to compute.

    Raises:
        StudyError: there is no such layer, or no such position in it.
    """
    channels = network.layer(layer).channels
    drawn = _noise(generator, estimator.noise, network)
    if estimator.estimate == "as-written":
        flips = generator.integers(0, 2, (estimator.probes, channels)).astype(np.float32) * 2 - 1
        signs = torch.from_numpy(flips).to(device)
    else:
        signs = torch.ones(1, channels, device=device) / channels  # the mean over channels
    mapped: NDArray[np.float32] = (
        _maps(network, layer, objective, estimator, drawn, signs).mean(0).cpu().numpy()
    )
    return mapped


def unit_maps(
    network: Network,
    layer: str,
    objective: Objective,
    estimator: Estimator,
    generator: np.random.Generator,
    device: torch.device | str = "cpu",
) -> NDArray[np.float32]:
    """The maps (channels, H, W) of the units one by one: a backward pass for each of them.

    The noise is that of `layer_map` with the same generator; arguments and errors as there.
    """
    noise = _noise(generator, estimator.noise, network)
    alone = torch.eye(network.layer(layer).channels, device=device)
    maps: NDArray[np.float32] = _maps(network, layer, objective, estimator, noise, alone).cpu().numpy()
    return maps


def _maps(
    network: Network,
    layer: str,
    objective: Objective,
    estimator: Estimator,
    drawn: NDArray[np.float32],
    mixtures: Tensor,
) -> Tensor:
    """The map (M, H, W) of each mixture (M, C) of channels, on their device."""
    paper = estimator.estimate == "paper"
    respond = network.uncut(layer, objective, torch.float32, mixtures.device)
    sums: list[Tensor] = []
    with compute.whole_float32():
        for batch in _batches(drawn):
            noise = torch.from_numpy(batch).to(mixtures.device)
            pixels = (noise * 2 - 1 if paper else noise).requires_grad_(True)
            response = respond(pixels if paper else network.normalise(pixels))
            for number, mixture in enumerate(mixtures):
                if response.requires_grad:
                    (gradient,) = torch.autograd.grad((response @ mixture).sum(), pixels, retain_graph=True)
                else:  # no path leads from the image to the layer
                    gradient = torch.zeros_like(pixels)
                # A response depends on its own image alone: row b is the gradient of image b.
                total = (gradient.abs() if paper else gradient).sum(0)
                if number == len(sums):
                    sums.append(total)
                else:
                    sums[number] += total
    mean = torch.stack(sums) / estimator.noise
    return mean.mean(1) if paper else mean.square().sum(1)


def _noise(generator: np.random.Generator, count: int, network: Network) -> NDArray[np.float32]:
    return generator.random((count, network.channels, *sides(network.size)), dtype=np.float32)


def _batches(noise: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    for start in range(0, len(noise), NOISE_AT_ONCE):
        yield noise[start : start + NOISE_AT_ONCE]
