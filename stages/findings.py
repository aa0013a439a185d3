"""The verdicts on the paper's findings, and the curves of all networks for `dvc plots`."""

import itertools

from protoviz import datasets, files, findings, layout, metrics, stores
from protoviz.params import Params
from stages import run_stage


def main(params: Params) -> None:
    """Write the findings and the curves of the study."""
    networks = list(itertools.product(params.conditions, params.runs))
    means = metrics.combine(
        [
            [
                metrics.layer_means(stores.open_dataset(layout.distances(condition, run)))
                for run in params.runs
            ]
            for condition in params.conditions
        ]
    )
    probes = [
        {"condition": condition, "run": run, **files.read_json(layout.probe_metrics(condition, run))["probe"]}
        for condition, run in networks
    ]
    chance = 100 / len(datasets.classes(layout.IMAGES))
    files.write_json(layout.FINDINGS, findings.collect(params.title, means, probes, chance))

    probe = [row for item in networks for row in files.read_csv(layout.probe_curve(*item))]
    training = [row for item in networks for row in files.read_csv(layout.training_curve(*item))]
    with files.complete(layout.CURVES) as directory:
        for name, rows in metrics.curves(means, probe, training).items():
            files.write_csv(directory / f"{name}.csv", rows)


if __name__ == "__main__":
    run_stage(main)
