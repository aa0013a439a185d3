"""Stores of studies of many shapes, up to the cube, and the stages to its right run on them.

Each shape lacks what another has: a probe, images, a second condition, run, repeat or epoch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from protoviz import files, layout
from protoviz.config import params
from protoviz.config.finetuning import Maps
from protoviz.config.series import SeriesStudy
from protoviz.store import cube, schema, zarr_io
from stages import appearance, atlas, dataset_card, distances, figures, findings, matching, metrics
from stages import cube as whole

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Shape:
    """A study of networks that were trained elsewhere."""

    conditions: tuple[str, ...] = ("plain", "blur")
    runs: tuple[int, ...] = (1, 2, 3)
    repeats: tuple[int, ...] = (0, 1)
    epochs: tuple[int, ...] = (0, 100, 1000, 5000)
    layers: tuple[tuple[str, tuple[int, ...]], ...] = (
        ("blocks.0", (3, 17, 40, 121, 190)),
        ("blocks.3", (0, 1, 2, 55, 90)),
    )
    size: int = 16
    images: bool = False
    probe: bool = False
    dead: tuple[str, int] | None = None  # a layer and an epoch in which no unit lives

    @property
    def units(self) -> int:
        return sum(len(channels) for _, channels in self.layers)


def study(shape: Shape) -> SeriesStudy:
    """Its parameters: those of a series of checkpoints, with what else is needed from the default's."""
    read = params.load(ROOT / "params.yaml").model_dump(mode="json")
    shown = ("development_layer", "development_units", "more_units", "animated_layer")
    series = {
        "network": "somebody.networks:network",
        "arguments": {},
        "files": "{condition}/{run}/{epoch}.pt",
        "key": None,
        "prefix": None,
        "epochs": list(shape.epochs),
        "starts_untrained": True,
        "layers": [layer for layer, _ in shape.layers],
        "channels": None,
        "size": shape.size,
        "mean": [0.5] * 3,
        "std": [0.25] * 3,
    }
    same = ("compute", "receptive_fields", "synthesis", "distances", "matching", "modes")
    images = {**read["images"], "size": shape.size} if shape.images else None
    maps = {**read["projection"], "embedders": ["pixels"]}
    maps = {name: maps[name] for name in Maps.model_fields}
    return SeriesStudy.model_validate(
        {
            **{name: read[name] for name in same},
            "atlas": {**read["atlas"], "runs": None},
            "title": "somebody's networks",
            "checkpoints": series,
            "conditions": {name: {} for name in shape.conditions},
            "runs": list(shape.runs),
            "images": images,
            "prior": {"name": "fourier", "weights": None, "sha256": None},
            "distances": {**read["distances"], "embedders": ["pixels"]},
            "natural": read["natural"] if shape.images else None,
            "probe": read["probe"] if shape.probe else None,
            "projection": maps,
            "figures": {**read["figures"], **dict.fromkeys(shown), "grid_units": 4, "dpi": 40},
        }
    )


def write(shape: Shape) -> None:
    """What the stages up to the cube write, in the working directory."""
    for condition in shape.conditions:
        for run in shape.runs:
            _prototypes(shape, condition, run)
            zarr_io.write_dataset(layout.receptive_fields(condition, run), _fields(shape, condition, run))
            if shape.images:
                zarr_io.write_dataset(layout.natural(condition, run), _natural(shape, condition, run))
            if shape.probe:
                _probe(shape, condition, run)
    if shape.images or shape.probe:
        files.write_json(layout.IMAGES / "classes.json", ["a", "b"])


def analyse(shape: Shape) -> SeriesStudy:
    """Write the stores and run the stages that measure."""
    made = study(shape)
    write(shape)
    for condition in shape.conditions:
        for run in shape.runs:
            distances.main(made, condition, run)
            appearance.main(made, condition, run)
    matching.main(made)
    for condition in shape.conditions:
        metrics.main(made, condition)
    findings.main(made)
    return made


def show(made: SeriesStudy) -> None:
    """Run the stages that people look at the results of."""
    for stage in (whole, figures, atlas, dataset_card):
        stage.main(made)


def _address(shape: Shape, condition: str, run: int) -> dict[str, Sequence[object]]:
    return {
        "condition": np.array([condition], dtype=schema.TEXT),
        "run": [run],
        "epoch": list(shape.epochs),
    }


def _prototypes(shape: Shape, condition: str, run: int) -> None:
    """Noise on a colour of the condition, more of it at later epochs and in the first condition."""
    layers = {name: list(channels) for name, channels in shape.layers}
    template = cube.Template(
        (condition,), (run,), shape.repeats, shape.epochs, layers, shape.size, components=2, trace=3
    )
    path = layout.prototypes(condition, run)
    cube.create(path, template, {"prior": {"name": "fourier"}})
    place = shape.conditions.index(condition)
    for repeat in shape.repeats:
        for number, epoch in enumerate(shape.epochs):
            rng = np.random.default_rng([place, run, repeat, epoch])
            contrast = 20 + 60 * (number + 1) / len(shape.epochs) / (1 + place)
            noise = contrast * rng.standard_normal((shape.units, shape.size, shape.size, 3))
            status = np.full(shape.units, schema.Status.CONVERGED, np.uint8)
            if shape.dead and epoch == shape.dead[1]:
                named = np.repeat(list(layers), [len(channels) for channels in layers.values()])
                status[named == shape.dead[0]] = schema.Status.DEAD
            shard = cube.Shard(
                image=np.clip(128 + noise + [0, 30 * place, 0], 0, 255).astype(np.uint8),
                latent=np.zeros((shape.units, 2), np.float16),
                activation=rng.random(shape.units, dtype=np.float32),
                activation_trace=np.ones((shape.units, 3), np.float32),
                status=status,
            )
            cube.write_shard(path, cube.Address(condition, run, repeat, epoch), shard)
    cube.finish(path)


def _fields(shape: Shape, condition: str, run: int) -> xr.Dataset:
    y, x = np.indices((shape.size, shape.size)) - shape.size / 2
    widths = np.linspace(3, shape.size, len(shape.layers))
    fixed = np.exp(-(y**2 + x**2) / (2 * widths[:, None, None] ** 2)).astype(np.float32)
    own = np.broadcast_to(fixed, (1, 1, len(shape.epochs), *fixed.shape))
    return xr.Dataset(
        {
            schema.MASK: (schema.RECEPTIVE_FIELDS[schema.MASK].dims, own.copy()),
            schema.FIXED_MASK: ((schema.LAYER, schema.Y, schema.X), fixed),
        },
        {**_address(shape, condition, run), "layer": _names(shape)},
    )


def _names(shape: Shape) -> np.ndarray:
    return np.array([name for name, _ in shape.layers], dtype=schema.TEXT)


def _natural(shape: Shape, condition: str, run: int) -> xr.Dataset:
    rng = np.random.default_rng(run)
    dims = ("condition", "run", "epoch", "layer")
    values = 1 + rng.random((1, 1, len(shape.epochs), len(shape.layers)), dtype=np.float32)
    top = np.full((1, 1, len(shape.epochs), shape.units, 2), -1, np.int32)  # no image drives a unit
    units = np.repeat(_names(shape), [len(channels) for _, channels in shape.layers])
    kept = rng.standard_normal((1, 1, len(shape.epochs), 30, shape.units)).astype(np.float16)
    return xr.Dataset(
        {
            "participation_ratio": (dims, values),
            "mean_correlation": (dims, values / 3),
            "top_image": (("condition", "run", "epoch", "unit", "rank"), top),
            "response": (("condition", "run", "epoch", "shown", "unit"), kept),
        },
        {**_address(shape, condition, run), "layer": _names(shape), "unit_layer": ("unit", units)},
        {"shown_images": list(range(30))},
    )


def _probe(shape: Shape, condition: str, run: int) -> None:
    address = {"condition": condition, "run": run}
    accuracies = {"logistic": 60.0 + run, "untrained_logistic": 40.0}
    files.write_json(layout.probe_metrics(condition, run), {"probe": accuracies})
    rows = [
        {**address, "epoch": e, "readout": "logistic", "accuracy": 50 + k + 0.1 * run * k}
        for k, e in enumerate(shape.epochs)
    ]
    files.write_csv(layout.probe_curve(condition, run), rows)


FIVE = ("plain", "blur", "a_condition_with_a_very_long_name", "crop", "flip")
DEEP = tuple((f"features.denseblock{k}.denselayer{k}.conv2", (k, 30 + k)) for k in range(1, 7))
SHAPES = {
    "least": Shape(("only",), (7,), (0,), (300,), (("head", (5,)),)),
    "one condition": Shape(("only",)),
    "two": Shape(),
    "five conditions": Shape(FIVE, runs=(1, 2), layers=DEEP),
    "images": Shape(runs=(1, 2), images=True, probe=True),
    "a dead layer": Shape(runs=(1, 2), dead=("blocks.3", 5000)),
    "two epochs": Shape(
        runs=(1, 2), repeats=(0,), epochs=(0, 90), layers=(("features.7.conv", tuple(range(9))),)
    ),
    "many layers": Shape(("only",), (1,), (0,), (0, 1), tuple((f"{k}", (0, 2)) for k in range(30)), size=8),
}
