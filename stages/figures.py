"""Stage `figures`: G1..G9, the findings, what explains them; PNG, curves also as PDF, one animation."""

from protoviz import files, layout
from protoviz.config.params import Params
from protoviz.data import splits
from protoviz.report import figures
from protoviz.store.cube import open_cube
from protoviz.store.zarr_io import open_dataset
from stages import run_stage


def main(params: Params) -> None:
    """Draw every figure from what the stages before have written."""
    shown, items = params.figures, [(name, run) for name in params.conditions for run in params.runs]
    places = (layout.distances, layout.units, layout.appearance, layout.natural)
    distances, units, appearance, natural = ([open_dataset(of(*item)) for item in items] for of in places)
    made = figures.Artefacts(
        title=params.title,
        cube=open_cube(layout.CUBE),
        masks={
            name: open_dataset(layout.receptive_fields(name, params.runs[0])) for name in params.conditions
        },
        distances=distances,
        units=units,
        appearance=appearance,
        natural=natural,
        accuracies=[row for item in items for row in files.read_csv(layout.probe_curve(*item))],
        classes=len(splits.classes(layout.IMAGES)),
        findings=files.read_json(layout.FINDINGS),
    )
    wanted = figures.Shown(
        shown.grid_units, shown.development_layer, shown.development_units, shown.more_units, shown.dpi
    )
    with files.complete(layout.FIGURES) as folder:
        for name, draw in figures.gallery(made, wanted).items():
            figure = draw()
            figures.save(figure, folder / f"{name}.png", shown.dpi)
            if not figures.has_pictures(figure):  # pixels gain nothing from a vector file
                figures.save(figure, folder / f"{name}.pdf", shown.dpi)
        frames = figures.animation(made.cube, made.masks, shown.animated_layer, shown.grid_units, made.title)
        figures.save_animation(frames, folder / "g9_animation.webp")


if __name__ == "__main__":
    run_stage(main)
