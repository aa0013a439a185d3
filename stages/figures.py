"""Stage `figures`: G1..G9, the findings and what explains them, as PNG; curves also as PDF; one animation."""

from itertools import chain

from protoviz import files, layout
from protoviz.analysis.networks import Networks
from protoviz.config.study import Study
from protoviz.data import splits
from protoviz.report import figures
from protoviz.store.cube import open_cube
from protoviz.store.zarr_io import open_dataset
from stages import run_stage


def main(params: Study) -> None:
    """Draw every figure for which earlier stages have written the data."""
    shown, items = params.figures, [(name, run) for name in params.conditions for run in params.runs]
    networks = Networks.opened(list(params.conditions), params.runs, params.modes.runs)
    accuracies = files.all_or_none(layout.probe_curve(*item) for item in items)
    made = figures.Artefacts(
        title=params.title,
        cube=open_cube(layout.CUBE),
        masks={
            name: open_dataset(layout.receptive_fields(name, params.runs[0])) for name in params.conditions
        },
        distances=list(chain(*networks.distances)),
        units=list(chain(*networks.units)),
        appearance=list(chain(*networks.appearance)),
        natural=list(chain(*networks.natural)),
        accuracies=[row for path in accuracies for row in files.read_csv(path)],
        classes=len(splits.classes(layout.IMAGES)) if accuracies else None,
        findings=files.read_json(layout.FINDINGS),
        matching=networks.matching,
        modes=list(chain(*networks.modes)),
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
        moving = shown.animated_layer or figures.middle_layer(made.cube)
        frames = figures.animation(made.cube, made.masks, moving, shown.grid_units, made.title)
        figures.save_animation(frames, folder / "g9_animation.webp")
        if absent := figures.left_out(made, wanted):
            said = "".join(f"{name} is not drawn: {why}\n" for name, why in absent.items())
            (folder / "left_out.txt").write_text(said)
            print(said, end="")


if __name__ == "__main__":
    run_stage(main)
