"""What the stages up to the networks' responses have written, of a toy study: inputs of the analysis."""

from pathlib import Path

import numpy as np
import xarray as xr

from protoviz import files, layout
from protoviz.config import params
from protoviz.store import schema, zarr_io
from stages import appearance, distances, findings, matching, metrics
from tests.reference import prototypes as toy
from tests.reference.compared import compared

CONDITIONS, RUNS, EPOCHS = ("clrjit", "keepclr"), (1, 2), (0, 2, 8)


def study():
    """The parameters of the toy study."""
    read = params.load(Path(__file__).parents[2] / "params.yaml")
    shown = {"development_layer": "layer2", "development_units": [0, 3], "more_units": [1], "dpi": 60}
    return read.model_copy(
        update={
            "conditions": {name: read.conditions[name] for name in CONDITIONS},
            "runs": list(RUNS),
            "train": read.train.model_copy(update={"keep": list(EPOCHS)}),
            "distances": read.distances.model_copy(update={"embedders": ["pixels"]}),
            "figures": read.figures.model_copy(update={**shown, "animated_layer": "layer2", "grid_units": 4}),
        }
    )


def write_inputs(condition, run):
    """Prototypes, receptive fields, responses, probe and training of one network."""
    toy.write_cube(layout.prototypes(condition, run), toy.template((condition,), (run,), epochs=EPOCHS))
    rng = np.random.default_rng(run)
    mask = rng.random((1, 1, len(EPOCHS), len(toy.LAYERS), toy.SIZE, toy.SIZE))
    network = {"condition": [condition], "run": [run], "epoch": list(EPOCHS)}
    layers = np.array(list(toy.LAYERS), dtype=schema.TEXT)
    masks = xr.Dataset(
        {
            "mask": (schema.RECEPTIVE_FIELDS["mask"].dims, mask.astype(np.float32)),
            "fixed_mask": (schema.RECEPTIVE_FIELDS["fixed_mask"].dims, mask[0, 0, 0].astype(np.float32)),
        },
        {**network, "layer": layers},
    )
    zarr_io.write_dataset(layout.receptive_fields(condition, run), masks)
    responses = rng.random((1, 1, len(EPOCHS), len(toy.LAYERS)), dtype=np.float32)
    dims = ("condition", "run", "epoch", "layer")
    kept = rng.standard_normal((1, 1, len(EPOCHS), 20, toy.UNITS)).astype(np.float16)
    natural = xr.Dataset(
        {
            "participation_ratio": (dims, 3 * responses),
            "mean_correlation": (dims, responses),
            "response": (("condition", "run", "epoch", "shown", "unit"), kept),
        },
        {**network, "layer": layers, "unit_layer": ("unit", np.repeat(layers, list(toy.LAYERS.values())))},
        {"shown_images": list(range(20))},
    )
    natural = compared(natural, toy.LAYERS, range(2), seed=run, spread=0.2)
    zarr_io.write_dataset(layout.natural(condition, run), natural)
    address = {"condition": condition, "run": run}
    accuracies = {"logistic": 60.0 + run, "untrained_logistic": 40.0}
    files.write_json(layout.probe_metrics(condition, run), {"probe": accuracies})
    curve = [{**address, "epoch": epoch, "readout": "logistic", "accuracy": 50 + epoch} for epoch in EPOCHS]
    files.write_csv(layout.probe_curve(condition, run), curve)
    files.write_csv(layout.training_curve(condition, run), [{**address, "epoch": 1, "loss": 5.0, "lr": 0.1}])


def analyse(study):
    """Run the stages `distances`, `appearance`, `metrics` and `findings` in the working directory."""
    files.write_json(layout.IMAGES / "classes.json", ["a", "b", "c", "d"])
    for condition in CONDITIONS:
        for run in RUNS:
            write_inputs(condition, run)
            distances.main(study, condition, run)
            appearance.main(study, condition, run)
    matching.main(study)
    for condition in CONDITIONS:
        metrics.main(study, condition)
    findings.main(study)
