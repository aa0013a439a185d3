"""Faithfulness that is known, in a store of responses to natural images."""

import numpy as np

from protoviz.store import schema, schema_responses

INNER = ("first", "middle", "last")


def compared(natural, layers, repeats, faithful=lambda _layer, t: 1 - t / 2, seed=0, spread=0.0):
    """The store with `faithfulness` and `faithfulness_along`.

    Args:
        natural: of one network.
        layers: name -> number of units.
        repeats: of the prototypes.
        faithful: (layer, progress of training, 0 to 1) -> the mean of its units.
        seed: of what units differ by.
        spread: how much.
    """
    epochs = natural["epoch"].values
    last = max(epochs) or 1
    table = np.concatenate(
        [
            np.repeat([[faithful(name, epoch / last)] for epoch in epochs], count, axis=1)
            for name, count in layers.items()
        ],
        axis=1,
    )  # (epoch, unit)
    noise = np.random.default_rng(seed).normal(size=(len(repeats), *table.shape))
    values = (table + spread * noise)[None, None].astype(np.float32)
    along = values[..., None] + np.linspace(-0.2, 0.2, len(INNER), dtype=np.float32)
    first = slice(0, next(iter(layers.values())))
    along[..., first, 1:] = np.nan  # the first layer's units see the first layer alone
    dims = ("condition", "run", "repeat", "epoch", "unit")
    named = np.repeat(np.array(list(layers), dtype=schema.TEXT), list(layers.values()))
    return natural.assign(
        {
            schema_responses.FAITHFULNESS: (dims, values),
            schema_responses.ALONG: ((*dims, "inner_layer"), along),
        }
    ).assign_coords(
        repeat=list(repeats),
        unit_layer=("unit", named),
        inner_layer=np.array(INNER, dtype=schema.TEXT),
    )
