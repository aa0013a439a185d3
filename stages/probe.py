"""Measure how well linear read-outs of one network tell the classes apart, at every kept epoch."""

from protoviz import compute, files, layout, seeding
from protoviz.config.study import Study
from protoviz.config.synthesis import Objective
from protoviz.data import splits
from protoviz.learning.probe import readouts
from protoviz.progress import track
from protoviz.synthesis.analysed import Analysed
from protoviz.synthesis.responses.forward import all_responses
from stages import run_stage

POOLED = Objective(position="mean", activation="post")
_BATCH = 256  # images at once


def main(params: Study, condition: str, run: int) -> None:
    """Read the checkpoints and the labelled images, fit, and write the curve and the final accuracies.

    The features of an image are the channels of the last analysed layer, each averaged over the map or the
    tokens, after the non-linearity (E1): in our ResNet18, the inputs of its linear head.
    """
    assert params.probe is not None  # the stage is part of studies with labelled images alone
    device = compute.prepare(params.compute.device, params.compute.threads)
    train, test = (splits.load(layout.IMAGES, split) for split in ("train", "test"))
    place = layout.checkpoints(condition, run)
    analysed = Analysed.of(place, params.epochs, params.size, params.colours, params.units)
    layer = list(analysed.units())[-1]
    curve = []
    for epoch in track(params.epochs, "checkpoints"):
        network = analysed.network(epoch)
        of_train, of_test = (
            all_responses(network, [layer], POOLED, split.images, batch=_BATCH, device=device)[layer]
            for split in (train, test)
        )
        seed = seeding.seed("probe", condition, run, epoch)
        found = readouts(of_train, train.labels, of_test, test.labels, params.probe, seed)
        curve += [
            {
                "condition": condition,
                "run": run,
                "epoch": epoch,
                "readout": name,
                "accuracy": round(of.accuracy, 2),
                "converged": of.converged,
            }
            for name, of in found.items()
        ]
    files.write_csv(layout.probe_curve(condition, run), curve)
    said = {row["readout"]: row["accuracy"] for row in curve if row["epoch"] == params.epochs[-1]}
    if params.starts_untrained:
        said |= {f"untrained_{row['readout']}": row["accuracy"] for row in curve if row["epoch"] == 0}
    # Nested in "probe", as in the metrics of a condition: `dvc metrics show` puts equal names in one column.
    files.write_json(layout.probe_metrics(condition, run), {"probe": said})


if __name__ == "__main__":
    run_stage(main, whole=True)
