"""The verdicts on the paper's findings, and the curves of all networks for `dvc plots`."""

from protoviz import files, layout
from protoviz.analysis import findings, metrics
from protoviz.config.params import Params
from protoviz.data import splits
from protoviz.store import zarr_io
from stages import run_stage


def main(params: Params) -> None:
    """Write the findings and the curves of the study."""
    places = (layout.distances, layout.units, layout.appearance, layout.natural)
    networks = [[(condition, run) for run in params.runs] for condition in params.conditions]
    distances, units, appearance, natural = (
        [[zarr_io.open_dataset(place(*item)) for item in runs] for runs in networks] for place in places
    )
    means = metrics.combine(
        [
            [
                metrics.explained(metrics.layer_means(store), *others)
                for store, *others in zip(*runs, strict=True)
            ]
            for runs in zip(distances, units, appearance, natural, strict=True)
        ]
    )
    items = [item for runs in networks for item in runs]
    probes = [
        {"condition": condition, "run": run, **files.read_json(layout.probe_metrics(condition, run))["probe"]}
        for condition, run in items
    ]
    chance = 100 / len(splits.classes(layout.IMAGES))
    about = findings.about(params.title, means, probes, chance)
    study = findings.Study(distances, appearance, natural)
    files.write_json(layout.FINDINGS, findings.collect(study, about))

    probe = [row for item in items for row in files.read_csv(layout.probe_curve(*item))]
    training = [row for item in items for row in files.read_csv(layout.training_curve(*item))]
    with files.complete(layout.CURVES) as directory:
        for name, rows in metrics.curves(means, probe, training).items():
            files.write_csv(directory / f"{name}.csv", rows)


if __name__ == "__main__":
    run_stage(main)
