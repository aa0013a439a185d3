"""Layer means of a made-up study in which every measure is known, by default as the paper has it."""

import numpy as np
import xarray as xr

CONDITIONS, RUNS, REPEATS, EPOCHS = ("clrjit", "keepclr"), (1, 2), (0, 1), (0, 1, 2, 4, 8)
LAYERS = {"layer1": 4, "layer2": 8, "layer3": 8, "layer4": 16}
EMBEDDERS = ("reference", "pixels")


def as_in_the_paper(condition, layer, progress):
    """(diversity, distance between repeats) at a progress of 0 (untrained) to 1 (trained)."""
    jit, deep = condition == "clrjit", layer in ("layer3", "layer4")
    fallen = 0.0 if progress == 0 else 1.0
    shallow = 1 - 0.5 * fallen + (0.2 if jit else 0.3) * progress
    rising = 1 + (progress if jit else 0.4 * min(1.0, 4 * progress))
    return (rising if deep else shallow), 0.1 * (1 + progress * (3 if jit and deep else 1))


def means(
    measure=as_in_the_paper,
    first_step=1.0,
    conditions=CONDITIONS,
    runs=RUNS,
    repeats=REPEATS,
    epochs=EPOCHS,
    layers=LAYERS,
    embedders=EMBEDDERS,
    noise=0.001,
):
    """Layer means in all spaces, with a little noise by address.

    Args:
        measure: (condition, layer, progress) -> (diversity, distance between repeats).
        first_step: rate of change of the first step; later ones are 0.5, 0.4, ...
    """
    rng = np.random.default_rng(0)
    shape = (len(conditions), len(runs), len(repeats), len(epochs), len(layers), len(embedders), 2, 2)
    dims = ("condition", "run", "repeat", "epoch", "layer", "embedder", "distance", "masking")
    known = np.array(
        [[[measure(c, layer, e / max(epochs)) if max(epochs) else measure(c, layer, 0) for layer in layers]
          for e in epochs] for c in conditions]
    )  # fmt: skip
    spread = np.ones(shape) * known[:, None, None, :, :, None, None, None, 0]
    apart = np.ones((*shape[:2], *shape[3:])) * known[:, None, :, :, None, None, None, 1]
    if len(repeats) < 2:
        apart = apart * np.nan
    steps = np.array([first_step, *(0.5 - 0.1 * np.arange(len(epochs)))])[: len(epochs) - 1]
    change = np.ones((*shape[:3], len(steps), *shape[4:])) * steps[:, None, None, None, None]
    step_dims = tuple("step" if d == "epoch" else d for d in dims)
    noisy = [a + noise * rng.normal(size=a.shape) for a in (spread, change, apart)]
    live = np.ones(shape[:5], np.int32) * np.array(list(layers.values()), np.int32)
    return xr.Dataset(
        {
            "diversity": (dims, noisy[0]),
            "rate_of_change": (step_dims, noisy[1]),
            "between_repeats": (tuple(d for d in dims if d != "repeat"), noisy[2]),
            "live_units": (dims[:5], live),
            "units": ("layer", list(layers.values())),
        },
        {
            "condition": np.array(conditions, dtype=object),
            "run": list(runs),
            "repeat": list(repeats),
            "epoch": list(epochs),
            "layer": np.array(list(layers), dtype=object),
            "embedder": np.array(embedders, dtype=object),
            "distance": np.array(["mse", "cosine"], dtype=object),
            "masking": np.array(["masked", "unmasked"], dtype=object),
            "epoch_from": ("step", list(epochs[:-1])),
            "epoch_to": ("step", list(epochs[1:])),
        },
    )
