"""Make the maps of a study's prototypes: all epochs on one map, and maps aligned along training."""

from threadpoolctl import threadpool_limits

from protoviz import layout
from protoviz.analysis import embedders, umap_maps
from protoviz.config.study import Study
from protoviz.store import cube, schema, schema_projection, zarr_io
from stages import run_stage


def main(params: Study) -> None:
    """Write the maps of the first runs and repeats of all conditions."""
    threadpool_limits(params.compute.threads)
    settings = params.projection
    shown = cube.open_cube(layout.CUBE).isel(
        {schema.RUN: slice(settings.runs), schema.REPEAT: slice(settings.repeats)}
    )
    setting = embedders.Setting(
        encoder=layout.REFERENCE_ENCODER,
        device=params.compute.device,
        threads=params.compute.threads,
        batch_size=settings.batch_size,
    )
    ((name, embed),) = embedders.load(settings.embedders[:1], setting).items()
    vectors = umap_maps.vectors(shown, embed)
    if umap_maps.enough(vectors):
        made = umap_maps.maps(shown, vectors, settings.umap, settings.seeds[:1])
    else:
        print(f"no map: it needs {umap_maps.FEWEST} prototypes that converged; the atlas shows none")
        made = umap_maps.nowhere(shown, settings.seeds[:1])
    made.attrs = {"embedder": name, "umap": settings.umap.model_dump(mode="json")}
    zarr_io.write_dataset(layout.projection("study"), made, schema_projection.PROJECTION)


if __name__ == "__main__":
    run_stage(main)
