"""The stage `figures` on a toy study, in stores written by the modules that own them."""

from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
import xarray as xr

from protoviz import cube, files, layout, params, schema, stores
from protoviz.distances import distances
from protoviz.embedders import Setting, pixels
from stages import figures

ROOT = Path(__file__).parents[1]
LAYERS = {"layer1": 4, "layer2": 4}
SIZE, EPOCHS, REPEATS = 8, (0, 1), (0, 1)


def study() -> params.Params:
    whole = params.load(ROOT / "params.yaml")
    shown = whole.figures.model_copy(
        update={"development_layer": "layer2", "development_units": [0, 3], "dpi": 60}
    )
    spaces = whole.distances.model_copy(update={"embedders": ["pixels"]})
    return whole.model_copy(update={"runs": [1], "figures": shown, "distances": spaces})


def write_artefacts(study: params.Params) -> None:
    conditions = tuple(study.conditions)
    template = cube.Template(conditions, (1,), REPEATS, EPOCHS, LAYERS, size=SIZE, components=2, trace=3)
    cube.create(layout.CUBE, template, {})
    rng, units = np.random.default_rng(0), sum(LAYERS.values())
    for condition in conditions:
        for repeat in REPEATS:
            for epoch in EPOCHS:
                cube.write_shard(
                    layout.CUBE,
                    cube.Address(condition, 1, repeat, epoch),
                    cube.Shard(
                        image=rng.integers(0, 256, (units, SIZE, SIZE, 3), dtype=np.uint8),
                        latent=np.zeros((units, 2), np.float16),
                        activation=np.ones(units, np.float32),
                        activation_trace=np.ones((units, 3), np.float32),
                        status=np.full(units, schema.Status.CONVERGED, np.uint8),
                    ),
                )
        fields = xr.Dataset(
            {
                schema.MASK: (
                    schema.RECEPTIVE_FIELDS[schema.MASK].dims,
                    np.ones((1, 1, 2, 2, SIZE, SIZE), "f4"),
                ),
                schema.FIXED_MASK: (
                    schema.RECEPTIVE_FIELDS[schema.FIXED_MASK].dims,
                    np.ones((2, SIZE, SIZE), "f4"),
                ),
            },
            {
                "condition": np.array([condition], dtype=schema.TEXT),
                "run": [1],
                "epoch": list(EPOCHS),
                "layer": np.array(list(LAYERS), dtype=schema.TEXT),
            },
        )
        stores.write_dataset(layout.receptive_fields(condition, 1), fields)
        prototypes = cube.open_cube(layout.CUBE).sel(condition=[condition])
        measured = distances(prototypes, fields, {"pixels": pixels(Setting(Path(), "cpu", 1, 16))})
        stores.write_dataset(layout.distances(condition, 1), measured)
        rows = [
            {"condition": condition, "run": 1, "epoch": epoch, "readout": readout, "accuracy": 40 + epoch}
            for epoch in EPOCHS
            for readout in ("logistic", "svm", "adam")
        ]
        files.write_csv(layout.probe_curve(condition, 1), rows)
    files.write_json(layout.IMAGES / "classes.json", ["a", "b", "c"])


def test_stage_writes_every_figure_and_repeats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_artefacts(study())
    figures.main(study())
    written = sorted(layout.FIGURES.iterdir())
    assert [path.name for path in written] == [
        "g1_prototypes.png",
        "g1_prototypes_unmasked.png",
        "g2_diversity.png",
        "g3_development.png",
        "g4_probe.png",
        "g6_rate_of_change.png",
        "g7_between_repeats.png",
    ]
    assert all(matplotlib.image.imread(path).std() > 0.01 for path in written)
    first = [files.sha256(path) for path in written]
    figures.main(study())
    assert [files.sha256(path) for path in written] == first
