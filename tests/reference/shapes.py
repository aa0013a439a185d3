"""A small network of images of any channels and sides: its prototypes as a cube, and its receptive fields."""

import torch
from torch import nn

from protoviz.config import synthesis
from protoviz.config.synthesis import Objective
from protoviz.models.priors import base
from protoviz.models.readout.network import Network
from protoviz.store import cube, schema, zarr_io
from protoviz.synthesis.receptive_fields.dataset import Method, receptive_fields
from protoviz.synthesis.receptive_fields.gradients import Estimator
from protoviz.synthesis.search import prototypes
from tests.reference import networks

CPU = torch.device("cpu")
SHAPES = {
    "grey, wide": (1, (12, 20)),
    "grey": (1, 16),
    "five, high": (5, (20, 12)),
    "two": (2, 16),
    "RGB, wide": (3, (12, 20)),
}
UNITS = {"0": range(4), "3": range(6)}


def module(channels):
    return networks.drawn(
        lambda: nn.Sequential(nn.Conv2d(channels, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 6, 3))
    )


def write(folder, channels, size, *, prior="fourier"):
    """The cube at `cube.zarr` of two epochs and repeats, the fields at `fields.zarr`; return their paths."""
    network = Network(module(channels), size)
    recipe = synthesis.changed("fourier", {"ascent": {"steps": 3}, "start": {"pool": 0}})
    made = base.load(prior, size=network.size, channels=channels)
    extent = cube.Template(
        *(("grown",), (1,), (0, 1), (0, 2)),
        layers={layer: len(some) for layer, some in UNITS.items()},
        size=network.size,
        components=made.latent_size,
        trace=recipe.trace_length,
        channels=channels,
    )
    store, fields = folder / "cube.zarr", folder / "fields.zarr"
    cube.create(store, extent, {})
    for repeat in extent.repeats:
        for epoch in extent.epochs:
            address = cube.Address("grown", 1, repeat, epoch)
            cube.write_shard(
                store, address, prototypes(network, UNITS, made, recipe, address=address, device=CPU)
            )
    cube.finish(store)
    method = Method(Estimator("as-written", 4, 2), Objective(position="centre", activation="pre"))
    of = [(epoch, network) for epoch in extent.epochs]
    zarr_io.write_dataset(
        fields, receptive_fields(of, "grown", 1, layers=list(UNITS), method=method), schema.RECEPTIVE_FIELDS
    )
    return store, fields
