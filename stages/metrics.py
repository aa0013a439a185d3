"""Write the numbers of one condition, as means over its runs, for `dvc metrics`."""

from protoviz import files, layout
from protoviz.analysis import metrics
from protoviz.analysis.networks import Networks
from protoviz.config.study import Study
from stages import run_stage


def main(params: Study, condition: str) -> None:
    """Write the metrics of this condition."""
    means = Networks.opened([condition], params.runs, params.modes.runs).means()
    accuracies = files.all_or_none(layout.probe_metrics(condition, run) for run in params.runs)
    probes = [files.read_json(path)["probe"] for path in accuracies]
    files.write_json(layout.metrics(condition), metrics.summary(means, probes))


if __name__ == "__main__":
    run_stage(main)
