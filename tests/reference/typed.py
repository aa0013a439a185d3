"""A user's script, never run: mypy reads it (see pyproject.toml), and fails where an export has no type."""

from pathlib import Path
from typing import assert_type

import xarray as xr
from matplotlib.axes import Axes
from torch import nn

import protoviz
from protoviz.callbacks import Checkpoints, log_spaced
from protoviz.models.readout.layers import Layer


def explore(network: nn.Module) -> None:
    """Each export, and what it gives."""
    assert_type(protoviz.units(network, size=64), list[Layer])
    cube = assert_type(protoviz.synthesize(network, "layer4:0-3", size=64), xr.Dataset)
    cube = assert_type(protoviz.develop(network, "epoch_{epoch}.safetensors", "layer4:0-3"), xr.Dataset)
    fields = assert_type(protoviz.receptive_fields(network, cube), xr.Dataset)
    distances = assert_type(protoviz.distances(cube, fields), xr.Dataset)
    found = assert_type(protoviz.measures(cube, distances), xr.Dataset)
    assert_type(protoviz.plot.curves(found, "diversity"), Axes)
    assert_type(protoviz.atlas(protoviz.join(cube, cube), "atlas"), Path)
    protoviz.save(cube, "cube.zarr")
    assert_type(log_spaced(8), list[int])
    assert_type(protoviz.callbacks.Checkpoints("checkpoints"), Checkpoints)
    protoviz.synthesise(network, "layer4")  # type: ignore[attr-defined]  # mypy says that there is none
