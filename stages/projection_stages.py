"""The maps of study B's prototypes: all training states on one, each on its own, and aligned."""

from threadpoolctl import threadpool_limits

from protoviz import layout
from protoviz.analysis import embedders, umap_maps
from protoviz.config.params import ParamsWithFinetuning
from protoviz.store import cube, schema_projection, zarr_io
from stages import run_stage


def main(params: ParamsWithFinetuning) -> None:
    """Write the maps; that of all states is made for every seed."""
    threadpool_limits(params.compute.threads)
    settings = params.projection
    shown = cube.open_cube(layout.STAGES_CUBE)
    setting = embedders.Setting(
        encoder=layout.REFERENCE_ENCODER,
        device=params.compute.device,
        threads=params.compute.threads,
        batch_size=settings.batch_size,
    )
    ((name, embed),) = embedders.load(settings.embedders[:1], setting).items()
    made = umap_maps.maps(shown, umap_maps.vectors(shown, embed), settings.umap, settings.seeds)
    made.attrs = {"embedder": name, "umap": settings.umap.model_dump(mode="json")}
    zarr_io.write_dataset(layout.projection("stages"), made, schema_projection.PROJECTION)


if __name__ == "__main__":
    run_stage(main)
