"""The distances between the prototypes of one network, in every space of `distances.embedders`."""

from pathlib import Path

from threadpoolctl import threadpool_limits

from protoviz import layout
from protoviz.analysis import embedders, metrics, vectors
from protoviz.analysis import masks as masking
from protoviz.analysis.distances import measured, require_complete
from protoviz.analysis.embedding import Embedding, circumstances
from protoviz.config.study import Study
from protoviz.pipeline import executor, resume
from protoviz.store import cube, schema, zarr_io
from stages import run_stage


def main(params: Study, condition: str, run: int) -> None:
    """Embed the prototypes, one task for each (repeat, epoch), then write the distance store."""
    threadpool_limits(params.compute.threads)
    asked = params.distances
    setting = embedders.Setting(
        encoder=layout.REFERENCE_ENCODER.absolute(),
        device=params.compute.device,
        threads=params.compute.threads,
        batch_size=asked.batch_size,
        precision=asked.precision,
        weights=Path(asked.weights).absolute() if asked.weights else None,
    )
    place, fields = layout.prototypes(condition, run), layout.receptive_fields(condition, run)
    masks = zarr_io.open_dataset(fields)
    prototypes = cube.open_cube(place)
    require_complete(prototypes)
    masking.Masks(prototypes, masks).require_all(list(schema.layer_slices(prototypes[schema.LAYER].values)))
    target = layout.distances(condition, run)
    with resume.pieces(target, circumstances(asked.embedders, setting)) as folder:
        # Workers may have another current folder.
        work = Embedding(place.absolute(), fields.absolute(), tuple(asked.embedders), setting, folder)
        title = f"{condition} run {run}: epochs x repeats embedded"
        executor.run(work, work.items(), title=title, done=work.done, slots=work.slots())
        found = measured(prototypes, asked.embedders, work.read)
        if asked.keep_vectors:
            found = found.assign(vectors.kept(prototypes, metrics.main_space(found), work.read, folder))
        zarr_io.write_dataset(target, found, schema.DISTANCES)


if __name__ == "__main__":
    run_stage(main)
