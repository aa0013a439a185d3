"""A toy cube with planted prototypes: every pixel tells its own address."""

import numpy as np

from protoviz.store import cube, schema

LAYERS = {"layer1": 4, "layer2": 8}
SIZE, COMPONENTS, TRACE = 6, 5, 3
UNITS = sum(LAYERS.values())


def template(conditions=("clrjit",), runs=(1,), repeats=(0, 1), epochs=(0, 2, 8), **other):
    extent = {"layers": LAYERS, "size": SIZE, "components": COMPONENTS, "trace": TRACE, "transparency": True}
    extent |= other
    return cube.Template(conditions, runs, repeats, epochs, **extent)


def shard(address, units=UNITS, size=SIZE):
    """The pixels of a unit are drawn from its address, and its activation is their mean."""
    seed = [len(address.condition), address.run, address.repeat, address.epoch]
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (units, size, size, 3), dtype=np.uint8)
    return cube.Shard(
        image,
        rng.standard_normal((units, COMPONENTS)).astype(np.float16),
        image.mean((1, 2, 3), dtype=np.float64).astype(np.float32),
        rng.standard_normal((units, TRACE)).astype(np.float32),
        np.full(units, schema.Status.CONVERGED, dtype=np.uint8),
        rng.integers(0, 256, (units, size, size), dtype=np.uint8),
    )


def addresses(extent):
    return [
        cube.Address(condition, run, repeat, epoch)
        for condition in extent.conditions
        for run in extent.runs
        for repeat in extent.repeats
        for epoch in extent.epochs
    ]


def write_cube(path, extent=None, attributes=None):
    """A complete cube."""
    extent = extent or template()
    cube.create(path, extent, attributes or {})
    for address in addresses(extent):
        cube.write_shard(path, address, shard(address, sum(extent.layers.values()), extent.size))
    cube.finish(path)
    return path
