"""The verdicts on the claims of study B."""

import numpy as np
from threadpoolctl import threadpool_limits

from protoviz import files, layout
from protoviz.analysis import embedders, umap_maps
from protoviz.analysis.findings import finetuning
from protoviz.config.params import ParamsWithFinetuning
from protoviz.store import attributes, cube, schema, schema_projection, zarr_io
from stages import run_stage


def main(params: ParamsWithFinetuning) -> None:
    """Compare the prototypes in every space, before and after UMAP; write verdicts and metrics."""
    threadpool_limits(params.compute.threads)
    settings = params.projection
    made = cube.open_cube(layout.STAGES_CUBE)
    alive = (made[schema.STATUS] == schema.Status.CONVERGED).all(schema.EPOCH).to_numpy()[0, 0, 0]
    layers = made[schema.LAYER].to_numpy()[alive].tolist()
    setting = embedders.Setting(
        encoder=layout.REFERENCE_ENCODER,
        device=params.compute.device,
        threads=params.compute.threads,
        batch_size=settings.batch_size,
    )
    spaces = [
        finetuning.Space(name, umap_maps.vectors(made, embed)[0, 0, 0][:, alive])
        for name, embed in embedders.load(settings.embedders, setting).items()
    ]
    maps = zarr_io.open_dataset(layout.projection("stages"))
    places = maps[schema_projection.POSITION_SEEDS].to_numpy()[0, 0, 0][:, alive]
    for k, seed in enumerate(maps[schema_projection.SEED].to_numpy().tolist()):
        name = f"UMAP of {attributes.read(maps)['embedder']}, seed {seed}"
        spaces.append(finetuning.Space(name, places[:, :, k]))
    training = files.read_json(layout.STAGES_TRAINING)
    about = {
        "title": params.training_stages.title,
        "prototypes": int(np.prod(made[schema.STATUS].shape)),
        "units": len(alive),
        "layers": len(set(made[schema.LAYER].to_numpy().tolist())),
        "excluded_percent": round(100 * float(1 - alive.mean()), 2),
        "training": training,
    }
    states = made[schema.CHECKPOINT].to_numpy().tolist()
    found = finetuning.collect(about, spaces, states, layers, settings)
    files.write_json(layout.STAGES_FINDINGS, found)
    files.write_json(layout.STAGES_METRICS, finetuning.metrics(found, training))


if __name__ == "__main__":
    run_stage(main)
