"""The checkpoints of one network that somebody else has trained, as the study keeps them."""

from protoviz import files, layout
from protoviz.config.series import SeriesStudy
from protoviz.models import checkpoints, series
from protoviz.progress import track
from protoviz.synthesis import importing
from stages import run_stage


def main(study: SeriesStudy, condition: str, run: int) -> None:
    """Read the trainer's files one by one, and write the study's own."""
    asked = study.checkpoints
    sources = series.chosen(asked.files, study.named(condition), run, asked.epochs)
    with files.complete(layout.checkpoints(condition, run)) as folder:
        folder.mkdir()
        imported, initial = importing.Importer.of(asked), None
        for epoch, source in track(sources.items(), "checkpoints"):
            module, taken = imported(source)
            initial = initial or checkpoints.weights_digest(module)
            identity = checkpoints.identity(condition, run, epoch, asked.network, asked.arguments, initial)
            checkpoints.save(checkpoints.path(folder, epoch), module, identity)
            print(f"{source}: {taken}")


if __name__ == "__main__":
    run_stage(main)
