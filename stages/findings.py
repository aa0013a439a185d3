"""The findings: verdicts on the paper's claims, or every measure of any study; and curves for `dvc plots`."""

from protoviz import files, layout
from protoviz.analysis import findings, metrics
from protoviz.analysis.networks import Networks
from protoviz.config.study import Study
from protoviz.data import splits
from stages import run_stage


def main(params: Study) -> None:
    """Write the findings and the curves of the study."""
    networks = Networks.opened(list(params.conditions), params.runs, params.modes.runs)
    means = networks.means()
    items = [(condition, run) for condition in params.conditions for run in params.runs]
    accuracies = files.all_or_none(layout.probe_metrics(*item) for item in items)
    probes = [
        {"condition": condition, "run": run, **files.read_json(path)["probe"]}
        for (condition, run), path in zip(items, accuracies, strict=False)
    ]
    chance = 100 / len(splits.classes(layout.IMAGES)) if probes else None
    about = findings.about(params.title, means, probes, chance)
    places = (layout.probe_curve, layout.training_curve)
    probe, training = (
        [row for path in files.all_or_none(place(*item) for item in items) for row in files.read_csv(path)]
        for place in places
    )
    study = findings.Study(
        networks.distances,
        networks.appearance,
        networks.natural,
        matching=networks.matching,
        accuracy=findings.accuracies(probe, means),
        modes=networks.modes,
    )
    found = findings.of_any(study, about, params.augmentations)
    found["prediction"] = findings.predicted(means, study.accuracy)
    files.write_json(layout.FINDINGS, found)

    with files.complete(layout.CURVES) as directory:
        for name, rows in metrics.curves(means, probe, training).items():
            files.write_csv(directory / f"{name}.csv", rows)


if __name__ == "__main__":
    run_stage(main)
