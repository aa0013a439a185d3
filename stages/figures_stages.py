"""The figures of study B as PNG (Q6, Q7)."""

from protoviz import layout
from protoviz.config.params import ParamsWithFinetuning
from protoviz.report import figures
from protoviz.report.figures import finetuning as drawing
from protoviz.store import cube, schema_projection, zarr_io
from stages import run_stage

LAYERS = 16  # of the grid: as many as a page shows at full size


def main(params: ParamsWithFinetuning) -> None:
    """Draw every figure from what earlier stages have written."""
    title, dpi = params.training_stages.title, params.figures.dpi
    made, maps = cube.open_cube(layout.STAGES_CUBE), zarr_io.open_dataset(layout.projection("stages"))
    drawn = {
        "q6_stages": drawing.state_grid(made, LAYERS, title, dpi),
        "q7_map": drawing.state_maps(made, maps, schema_projection.POSITION, title),
        "q7_map_prototypes": drawing.state_maps(made, maps, schema_projection.POSITION, title, pictures=True),
        "q7_map_each": drawing.state_maps(made, maps, schema_projection.POSITION_ALONE, title),
        "q7_map_aligned": drawing.state_maps(made, maps, schema_projection.POSITION_ALIGNED, title),
    }
    for name, figure in drawn.items():
        figures.save(figure, layout.FIGURES_STAGES / f"{name}.png", dpi)


if __name__ == "__main__":
    run_stage(main)
