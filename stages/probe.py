"""How well linear read-outs of one network tell the classes apart, at every kept epoch."""

from protoviz import compute, files, layout, seeding
from protoviz.config.params import Params
from protoviz.data import splits
from protoviz.learning.probe import pooled_features, readouts
from protoviz.models import checkpoints, resnet
from protoviz.progress import track
from stages import run_stage


def main(params: Params, condition: str, run: int) -> None:
    """Read the checkpoints and the labelled images, fit, write the curve and the final accuracies."""
    device = compute.prepare(params.compute.device, params.compute.threads)
    train, test = (splits.load(layout.IMAGES, split) for split in ("train", "test"))
    curve = []
    for epoch in track(params.train.keep, "checkpoints"):
        model, _ = checkpoints.load(checkpoints.path(layout.checkpoints(condition, run), epoch), device)
        network = resnet.fold_batch_norm(model)
        found = readouts(
            pooled_features(network, train.images, device),
            train.labels,
            pooled_features(network, test.images, device),
            test.labels,
            params.probe,
            seeding.seed("probe", condition, run, epoch),
        )
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
    final = {row["readout"]: row["accuracy"] for row in curve if row["epoch"] == params.train.keep[-1]}
    untrained = {f"untrained_{row['readout']}": row["accuracy"] for row in curve if row["epoch"] == 0}
    # Within "probe", as in the metrics of a condition: `dvc metrics show` puts equal names in one column.
    files.write_json(layout.probe_metrics(condition, run), {"probe": final | untrained})


if __name__ == "__main__":
    run_stage(main)
