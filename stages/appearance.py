"""How the prototypes of one network look in numbers (F10), and when its units settle (F9)."""

from protoviz import layout
from protoviz.analysis import appearance, metrics, settling
from protoviz.config.study import Study
from protoviz.store import cube, schema, zarr_io
from protoviz.store.schema_appearance import APPEARANCE, SETTLING
from stages import run_stage


def main(_: Study, condition: str, run: int) -> None:
    """Read prototypes, masks and distances of one network, and write two stores."""
    prototypes = cube.open_cube(layout.prototypes(condition, run))
    fields = zarr_io.open_dataset(layout.receptive_fields(condition, run))
    found = appearance.appearance(prototypes, fields)
    zarr_io.write_dataset(layout.appearance(condition, run), found, APPEARANCE)

    distances = zarr_io.open_dataset(layout.distances(condition, run), schema.DISTANCES.large)
    settled = settling.units(distances, metrics.main_space(distances))
    zarr_io.write_dataset(layout.units(condition, run), settled, SETTLING)


if __name__ == "__main__":
    run_stage(main, whole=True)
