"""Stores of a made-up study in which every effect is known, by default as the paper has it.

Every quantity is a function of the condition, the layer and the progress of training, 0 (untrained) to 1;
runs, repeats and units differ from it by factors drawn by address.
"""

import itertools
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from protoviz.analysis.findings import Study
from protoviz.store import schema, schema_appearance

DEEP = ("layer3", "layer4")


def diversity(condition, layer, t):
    """Layers 1 and 2 fall at first and grow again, more in keepclr; in 3 and 4 clrjit goes on rising."""
    jit = condition == "clrjit"
    if layer in DEEP:
        return 1 + (1.5 * t if jit else 0.4 * min(1.0, 4 * t))
    fallen = 0.4 if t > 0 else 1.0
    return fallen * (1 + (0.3 if jit else 0.6) * min(1.0, 2.5 * t))


def apart(condition, layer, t):
    """The distance between repeats grows, most in deep layers of clrjit."""
    return 0.1 * (1 + t * (3 if condition == "clrjit" and layer in DEEP else 1))


def learnt(condition, layer, t):
    """What the step that ends at t changes: most at first, more in deep layers of clrjit; hardly later."""
    return (1.0 if t < 0.2 else 0.01) * (1.5 if condition == "clrjit" and layer in DEEP else 1.0)


def looks(condition, _layer, _t):
    """(saturation, warmth, high frequency)."""
    keep = condition == "keepclr"
    return (0.4, 0.6, 0.5) if keep else (0.2, 0.5, 0.3)


def responses(_condition, _layer, t):
    """(participation ratio, mean correlation)."""
    return 5 + 10 * t, 0.5 - 0.3 * t


def modes(condition, layer, t):
    """(mean number of images that drive a unit, chance that two starts meet): more, most in deep clrjit."""
    many = 1.5 + t * (2 if condition == "clrjit" and layer in DEEP else 1)
    return many, 1 / many


def matched(_condition, _layer, t):
    """(share of units with a partner, correlation over that of turned units, agreement)."""
    return 0.4 + 0.5 * t, 1.1 + 0.8 * t, 0.2 + 0.4 * t


def accuracy(t, lead):
    """Of the probe, %: rises with training, and with what the network's diversity is above the others'."""
    return 30 + 20 * t + 40 * t * lead


@dataclass(frozen=True)
class Truth:
    diversity: object = diversity
    apart: object = apart
    learnt: object = learnt
    looks: object = looks
    responses: object = responses
    modes: object = None  # or the function of this name: units are started again
    modes_runs: tuple = None  # of those that are, where not all
    modes_epochs: tuple = None
    matched: object = matched
    accuracy: object = accuracy
    conditions: tuple = ("clrjit", "keepclr")
    runs: tuple = (1, 2, 3, 4)
    repeats: tuple = (0, 1)
    epochs: tuple = (0, 1, 2, 3, 4, 6, 8)
    layers: tuple = (("layer1", 6), ("layer2", 6), ("layer3", 6), ("layer4", 6))
    embedders: tuple = ("reference", "pixels")
    spread: float = 0.02  # of runs
    repeat_spread: float = 0.01
    unit_spread: float = 0.05
    seed: int = 0
    cosine: object = None  # the diversity in cosine distance, if it differs
    opposed_repeats: bool = False  # whether the second repeat's diversity is the mirror image of the first's


PAPER = Truth()


def study(truth=PAPER, draws=60, **changes):
    """A study of these truths."""
    truth = replace(truth, **changes)
    networks = [[(c, r) for r in truth.runs] for c in truth.conditions]
    distances = [[_distances(truth, *item) for item in runs] for runs in networks]
    return Study(
        distances,
        [[_appearance(truth, *item) for item in runs] for runs in networks],
        [[_natural(truth, *item) for item in runs] for runs in networks],
        draws=draws,
        matching=_matching(truth),
        accuracy=_accuracy(truth, distances),
        modes=[
            [_modes(truth, *item) for item in runs if item[1] in (truth.modes_runs or truth.runs)]
            for runs in networks
            if truth.modes
        ],
    )


def _table(truth, function, condition, epochs):
    """(epoch, unit) of the truth."""
    last = max(truth.epochs) or 1
    units = [layer for layer, number in truth.layers for _ in range(number)]
    inner = np.shape(function(condition, units[0], 0.0))
    table = np.empty((len(epochs), len(units), *inner))
    for place in np.ndindex(*table.shape[:2]):
        table[place] = function(condition, units[place[1]], epochs[place[0]] / last)
    return table


def _noisy(truth, table, rng, repeats=True):
    """(repeat, epoch, unit, ...) of the truth times factors of the run, the repeat and the unit."""
    extra = (1,) * (table.ndim - 2)
    count = len(truth.repeats) if repeats else 1
    run = np.exp(truth.spread * rng.normal(size=(1, len(table), 1, *extra)))
    repeat = np.exp(truth.repeat_spread * rng.normal(size=(count, len(table), 1, *extra)))
    unit = np.exp(truth.unit_spread * rng.normal(size=(count, 1, table.shape[1], *extra)))
    return table[None] * run * repeat * unit


def _coordinates(truth, condition, run):
    names, channels = schema.unit_labels(dict(truth.layers))
    return {
        "condition": np.array([condition], dtype=schema.TEXT),
        "run": [run],
        "repeat": list(truth.repeats),
        "epoch": list(truth.epochs),
        "layer": ("unit", names),
        "channel": ("unit", channels),
    }


def _distances(truth, condition, run):
    rng = np.random.default_rng([truth.seed, 1, len(condition), run])
    diverse = _noisy(truth, _table(truth, truth.diversity, condition, truth.epochs), rng)
    cosine = diverse
    if truth.cosine is not None:
        cosine = _noisy(truth, _table(truth, truth.cosine, condition, truth.epochs), rng)
    if truth.opposed_repeats:
        diverse = np.concatenate([diverse[:1], 1 / diverse[:1]])
        cosine = diverse
    between = _noisy(truth, _table(truth, truth.apart, condition, truth.epochs), rng, repeats=False)[0]
    change = _noisy(truth, _table(truth, truth.learnt, condition, truth.epochs[1:]), rng)
    change = change + (between[:-1] + between[1:]) / 2
    if len(truth.repeats) < 2:
        between = between * np.nan

    def spaces(mse, other):
        both = np.stack([mse, other], -1)[None, None, ..., None, :, None]
        shape = (*both.shape[:-3], len(truth.embedders), 2, len(schema.MASKINGS))
        return np.broadcast_to(both, shape).astype(np.float32)

    dims = {v.name: v.dims for v in schema.DISTANCES.variables}
    live = np.array([n for _, n in truth.layers], np.int32)
    live = np.broadcast_to(live, (1, 1, len(truth.repeats), len(truth.epochs), len(live)))
    return xr.Dataset(
        {
            "between_units": (dims["between_units"], spaces(diverse, cosine).copy()),
            "between_epochs": (dims["between_epochs"], spaces(change, change).copy()),
            "between_repeats": (dims["between_repeats"], spaces(between, between).copy()),
            "live_units": (dims["live_units"], live.copy()),
        },
        {
            **_coordinates(truth, condition, run),
            "embedder": np.array(truth.embedders, dtype=schema.TEXT),
            "distance": np.array(["mse", "cosine"], dtype=schema.TEXT),
            "masking": np.array(schema.MASKINGS, dtype=schema.TEXT),
            "step": np.arange(len(truth.epochs) - 1),
            "epoch_from": ("step", list(truth.epochs[:-1])),
            "epoch_to": ("step", list(truth.epochs[1:])),
        },
    )


def _appearance(truth, condition, run):
    rng = np.random.default_rng([truth.seed, 2, len(condition), run])
    seen = _noisy(truth, _table(truth, truth.looks, condition, truth.epochs), rng)[None, None].astype(
        np.float32
    )
    dims = ("condition", "run", "repeat", "epoch", "unit")
    names = (schema_appearance.SATURATION, schema_appearance.WARMTH, schema_appearance.HIGH_FREQUENCY)
    found = {
        schema_appearance.appearance_name(name, masking): (dims, seen[..., k])
        for k, name in enumerate(names)
        for masking in schema.MASKINGS
    }
    return xr.Dataset(found, _coordinates(truth, condition, run))


def _modes(truth, condition, run):
    """The numbers that findings read; units of layer1 that nothing drives have 0 modes."""
    rng = np.random.default_rng([truth.seed, 4, len(condition), run])
    epochs = truth.modes_epochs or truth.epochs
    table = _table(truth, truth.modes, condition, epochs)
    many = 1 + rng.poisson(np.maximum(table[..., 0] - 1, 0) * 20) / 20
    many[:, 0] = 0
    meeting = np.where(many > 0, table[..., 1] * np.exp(0.02 * rng.normal(size=many.shape)), np.nan)
    dims = ("condition", "run", "epoch", "unit")
    return xr.Dataset(
        {
            "modes": (dims, many[None, None]),
            "meeting": (dims, meeting[None, None].astype(np.float32)),
            "reaching": (dims, np.where(many > 0, 8, 0)[None, None]),
            "spread": (dims, (0 * many)[None, None]),
        },
        {**_coordinates(truth, condition, run), "epoch": list(epochs)},
    ).drop_vars("repeat")


def _natural(truth, condition, run):
    rng = np.random.default_rng([truth.seed, 3, len(condition), run])
    last = max(truth.epochs) or 1
    table = np.array(
        [[truth.responses(condition, layer, e / last) for layer, _ in truth.layers] for e in truth.epochs]
    )
    table = (table * np.exp(truth.spread * rng.normal(size=table.shape)))[None, None].astype(np.float32)
    dims = ("condition", "run", "epoch", "layer")
    return xr.Dataset(
        {"participation_ratio": (dims, table[..., 0]), "mean_correlation": (dims, table[..., 1])},
        {
            "condition": np.array([condition], dtype=schema.TEXT),
            "run": [run],
            "epoch": list(truth.epochs),
            "layer": np.array([name for name, _ in truth.layers], dtype=schema.TEXT),
        },
    )


def _matching(truth):
    """Every pair of runs of a condition, and of conditions in a run; each run has a factor of its own."""
    rng = np.random.default_rng([truth.seed, 4])
    runs = {(c, r): truth.spread * rng.normal() for c in truth.conditions for r in truth.runs}
    every = list(itertools.combinations(runs, 2))
    pairs = [p for p in every if p[0][0] == p[1][0]] + [p for p in every if p[0][1] == p[1][1]]
    last, layers = max(truth.epochs) or 1, [layer for layer, _ in truth.layers]
    shape = (len(pairs), len(truth.epochs), len(layers))
    table = np.array(
        [
            [[truth.matched(one[0], layer, e / last) for layer in layers] for e in truth.epochs]
            for one, _ in pairs
        ]
    ).reshape(*shape, 3)
    own = np.array([runs[one] + runs[other] for one, other in pairs])
    table = table * np.exp(own[:, None, None, None] + truth.spread / 2 * rng.normal(size=table.shape))
    chance = np.full(shape, 0.2, np.float32)
    dims = ("pair", "epoch", "layer")
    found = {
        "share_matched": table[..., 0],
        "share_beyond_space": table[..., 0] / 2,
        "matched_correlation": 0.2 * table[..., 1],
        "shuffled_correlation": chance / 4,
        "turned_correlation": chance,
        "agreement": table[..., 2],
        "agreement_by_chance": chance / 4,
        "compared_units": np.broadcast_to([number for _, number in truth.layers], shape).astype(np.int32),
    }
    labels = [np.array([pair[side][0] for pair in pairs], dtype=schema.TEXT) for side in (0, 1)]
    return xr.Dataset(
        {name: (dims, values) for name, values in found.items()},
        {
            "first_condition": ("pair", labels[0]),
            "first_run": ("pair", [pair[0][1] for pair in pairs]),
            "second_condition": ("pair", labels[1]),
            "second_run": ("pair", [pair[1][1] for pair in pairs]),
            "epoch": list(truth.epochs),
            "layer": np.array(layers, dtype=schema.TEXT),
        },
        {"error": 0.05},
    )


def _accuracy(truth, distances):
    """As the truth has it of each network's mean diversity, against that of the others at that epoch."""
    diverse = np.array(
        [
            [np.log(one["between_units"].values[0, 0, ..., 0, 0, 0]).mean((0, 2)) for one in runs]
            for runs in distances
        ]
    )
    lead = diverse - diverse.mean((0, 1))
    last = max(truth.epochs) or 1
    rng = np.random.default_rng([truth.seed, 5])
    values = np.array(
        [
            [[truth.accuracy(e / last, of[k]) for k, e in enumerate(truth.epochs)] for of in runs]
            for runs in lead
        ]
    ) + 0.05 * rng.normal(size=lead.shape)
    axes = {"condition": list(truth.conditions), "run": list(truth.runs), "epoch": list(truth.epochs)}
    return xr.DataArray(values, axes, list(axes), name="logistic")
