"""Stage `figures`: the figures of the study as PNG (G1..G4, G6, G7)."""

from protoviz import datasets, figures, files, layout
from protoviz.cube import open_cube
from protoviz.params import Params
from protoviz.stores import open_dataset
from stages import run_stage

UNMASKED_UNITS = 16  # of each layer: without masks the images are all detail, and the file is large


def main(params: Params) -> None:
    """Draw every figure from what the stages before have written."""
    title, shown = params.title, params.figures
    items = [(condition, run) for condition in params.conditions for run in params.runs]
    cube = open_cube(layout.CUBE)
    masks = {name: open_dataset(layout.receptive_fields(name, params.runs[0])) for name in params.conditions}
    distances = [open_dataset(layout.distances(*item)) for item in items]
    accuracies = [row for item in items for row in files.read_csv(layout.probe_curve(*item))]
    classes = len(datasets.classes(layout.IMAGES))
    space = figures.Space(params.distances.embedders[0])

    drawn = {
        "g1_prototypes": figures.prototype_grids(cube, masks, shown.grid_units, title, shown.dpi),
        "g1_prototypes_unmasked": figures.prototype_grids(
            cube, masks, UNMASKED_UNITS, title, shown.dpi, masked=False
        ),
        "g2_diversity": figures.diversity(distances, space, title),
        "g3_development": figures.development(
            cube, masks, shown.development_layer, shown.development_units, title, shown.dpi
        ),
        "g4_probe": figures.probe(accuracies, classes, title),
        "g6_rate_of_change": figures.rate_of_change(distances, space, title),
        "g7_between_repeats": figures.between_repeats(distances, space, title),
    }
    for name, figure in drawn.items():
        figures.save(figure, layout.FIGURES / f"{name}.png", shown.dpi)


if __name__ == "__main__":
    run_stage(main)
