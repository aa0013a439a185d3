"""Receptive fields: where in the image the centre units of a layer look (R1..R4, preset `as-written`).

A unit's map is the square of its mean gradient with respect to the pixels, over noise images drawn
from U[0, 1] and normalised as any image, summed over RGB. The map of a layer is the sum over its
channels. It is measured without a backward pass for every channel: for signs s_c that are +1 or -1
with equal chance,

    E_s [(E_x grad sum_c s_c f_c)^2] = sum_c (E_x grad f_c)^2,

as the cross terms have mean zero (Hutchinson 1989). `probes` sign vectors therefore serve any number
of channels; one Gaussian is fitted to what they give, which averages their scatter.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor

from protoviz import backbones, schema, seeding
from protoviz.synthesis.gaussian import GaussianFit, fit_gaussian


def receptive_fields(
    models: Iterable[tuple[int, backbones.Backbone]],
    condition: str,
    run: int,
    *,
    size: int,
    noise: int,
    probes: int,
    device: torch.device | str = "cpu",
) -> xr.Dataset:
    """One Gaussian mask for every layer and checkpoint of a network.

    All networks see the same noise and the same signs, so that masks differ by the networks only.

    Args:
        models: (epoch, network in evaluation mode), in the order of the epochs.
        condition: under which the networks were trained.
        run: seed of their training.
        size: height and width of the images, px.
        noise: number of noise images.
        probes: number of random sign vectors over channels.
        device: where the networks are.

    Returns:
        A data set as `schema.RECEPTIVE_FIELDS` describes.
    """
    epochs: list[int] = []
    layers: list[str] = []
    maps: list[list[NDArray[np.float32]]] = []
    for epoch, model in models:
        epochs.append(epoch)
        layers = list(model.units)
        maps.append(
            [
                gradient_map(
                    model, layer, size, noise, probes, seeding.generator("receptive field", layer), device
                )
                for layer in layers
            ]
        )
    fits = [[fit_gaussian(gradient) for gradient in row] for row in maps]
    return _dataset(condition, run, epochs, layers, maps, fits)


def gradient_map(
    model: backbones.Backbone,
    layer: str,
    size: int,
    noise: int,
    probes: int,
    generator: np.random.Generator,
    device: torch.device | str = "cpu",
) -> NDArray[np.float32]:
    """The receptive-field map (size, size) of a layer's centre units: sum_c sum_rgb (E_x grad f_c)^2.

    Pixels run from 0 to 1. The expectation over signs is estimated without bias by `probes` vectors;
    that over x is the mean of `noise` images.
    """
    images = generator.random((noise, 3, size, size), dtype=np.float32)
    signs = generator.integers(0, 2, (probes, model.units[layer])).astype(np.float32) * 2 - 1
    pixels = torch.from_numpy(images).to(device).requires_grad_(True)
    response = _centre_response(model, layer, pixels)
    total = torch.zeros(size, size, device=pixels.device)
    for sign in torch.from_numpy(signs).to(pixels.device):
        (gradient,) = torch.autograd.grad((response @ sign).mean(), pixels, retain_graph=True)
        # The mean is taken of the response, so the sum over images is the mean gradient.
        total += gradient.sum(0).square().sum(0)
    mapped: NDArray[np.float32] = (total / probes).cpu().numpy()
    return mapped


def _centre_response(model: backbones.Backbone, layer: str, pixels: Tensor) -> Tensor:
    """Pre-activations (B, C) at the centre of the layer's map for images in [0, 1]."""
    maps = model.pre_activation(backbones.normalise(pixels), layer)
    row, column = backbones.centre_unit(*maps.shape[-2:])
    return maps[:, :, row, column]


def _dataset(
    condition: str,
    run: int,
    epochs: list[int],
    layers: list[str],
    maps: list[list[NDArray[np.float32]]],
    fits: list[list[GaussianFit]],
) -> xr.Dataset:
    """Maps and fits, epoch by layer, as one data set."""

    def gathered(values: list[list[Any]], name: str) -> tuple[tuple[str, ...], NDArray[Any]]:
        variable = schema.RECEPTIVE_FIELDS[name]
        return variable.dims, np.array(values, dtype=variable.dtype)[np.newaxis, np.newaxis]

    def of_fits(attribute: str, name: str) -> tuple[tuple[str, ...], NDArray[Any]]:
        return gathered([[getattr(fit, attribute) for fit in row] for row in fits], name)

    return xr.Dataset(
        {
            schema.MASK: of_fits("mask", schema.MASK),
            schema.GRADIENT: gathered(maps, schema.GRADIENT),
            schema.GAUSSIAN: of_fits("parameters", schema.GAUSSIAN),
            schema.R_SQUARED: of_fits("r_squared", schema.R_SQUARED),
            schema.FIT_STATUS: of_fits("status", schema.FIT_STATUS),
        },
        {
            schema.CONDITION: np.array([condition], dtype=schema.TEXT),
            schema.RUN: np.array([run], dtype=schema.INTEGER),
            schema.EPOCH: np.array(epochs, dtype=schema.INTEGER),
            schema.LAYER: np.array(layers, dtype=schema.TEXT),
            schema.PARAMETER: np.array(schema.GAUSSIAN_PARAMETERS, dtype=schema.TEXT),
        },
    )
