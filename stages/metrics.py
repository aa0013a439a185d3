"""The numbers of one condition, means over its runs, for `dvc metrics`."""

from protoviz import files, layout
from protoviz.analysis import metrics
from protoviz.config.study import Study
from protoviz.store import zarr_io
from stages import run_stage


def main(params: Study, condition: str) -> None:
    """Write the metrics of this condition."""
    places = (layout.distances, layout.units, layout.appearance, layout.natural)
    means = []
    for run in params.runs:
        distances, *others = (zarr_io.open_dataset(place(condition, run)) for place in places)
        means.append(metrics.explained(metrics.layer_means(distances), *others))
    probes = [files.read_json(layout.probe_metrics(condition, run))["probe"] for run in params.runs]
    files.write_json(layout.metrics(condition), metrics.summary(metrics.combine([means]), probes))


if __name__ == "__main__":
    run_stage(main)
