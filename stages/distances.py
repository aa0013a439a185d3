"""The distances between the prototypes of one network, in every space of `distances.embedders`."""

from threadpoolctl import threadpool_limits

from protoviz import cube, embedders, layout, schema, stores
from protoviz.distances import distances
from protoviz.params import Params
from stages import run_stage


def main(params: Params, condition: str, run: int) -> None:
    """Write the distance store of this condition and run."""
    threadpool_limits(params.compute.threads)
    setting = embedders.Setting(
        encoder=layout.REFERENCE_ENCODER,
        device=params.compute.device,
        threads=params.compute.threads,
        batch_size=params.distances.batch_size,
    )
    spaces = embedders.load(params.distances.embedders, setting)
    masks = stores.open_dataset(layout.receptive_fields(condition, run))
    measured = distances(cube.open_cube(layout.prototypes(condition, run)), masks, spaces)
    stores.write_dataset(layout.distances(condition, run), measured, schema.DISTANCES)


if __name__ == "__main__":
    run_stage(main)
