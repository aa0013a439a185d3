"""The receptive fields of one network at all kept epochs."""

from protoviz import compute, layout
from protoviz.config.study import Study
from protoviz.progress import track
from protoviz.store import schema, zarr_io
from protoviz.synthesis.analysed import Analysed
from protoviz.synthesis.receptive_fields.dataset import Method, receptive_fields
from protoviz.synthesis.receptive_fields.gradients import Estimator
from stages import run_stage


def main(params: Study, condition: str, run: int) -> None:
    """Read the checkpoints, map and fit the receptive fields, and write one store."""
    device = compute.prepare(params.compute.device, params.compute.threads)
    asked = params.receptive_fields
    method = Method(
        Estimator(asked.estimate, asked.noise, asked.probes),
        params.synthesis.objective,
        per_unit=asked.per_unit,
        keep_offset=asked.offset == "kept",
    )
    place = layout.checkpoints(condition, run)
    analysed = Analysed.of(place, params.epochs, params.size, params.colours, params.units)
    networks = (
        (epoch, analysed.network(epoch, finite=False)) for epoch in track(params.epochs, "checkpoints")
    )
    layers = list(analysed.units())
    fields = receptive_fields(networks, condition, run, layers=layers, method=method, device=device)
    zarr_io.write_dataset(layout.receptive_fields(condition, run), fields, schema.RECEPTIVE_FIELDS)


if __name__ == "__main__":
    run_stage(main, whole=True)
