"""The receptive fields of one network at all kept epochs."""

from protoviz import compute, layout
from protoviz.config.params import Params
from protoviz.models import checkpoints
from protoviz.progress import track
from protoviz.store import schema, zarr_io
from protoviz.synthesis.receptive_fields.dataset import Method, receptive_fields
from protoviz.synthesis.receptive_fields.gradients import Estimator
from stages import run_stage


def main(params: Params, condition: str, run: int) -> None:
    """Read the checkpoints, map and fit the receptive fields, write one store."""
    device = compute.prepare(params.compute.device, params.compute.threads)
    asked = params.receptive_fields
    method = Method(
        Estimator(asked.estimate, asked.noise, asked.probes),
        params.synthesis.objective,
        per_unit=asked.per_unit,
        keep_offset=asked.offset == "kept",
    )
    directory = layout.checkpoints(condition, run)
    models = (
        (epoch, checkpoints.load(checkpoints.path(directory, epoch), device)[0])
        for epoch in track(params.train.keep, "checkpoints")
    )
    fields = receptive_fields(models, condition, run, size=params.images.size, method=method, device=device)
    zarr_io.write_dataset(layout.receptive_fields(condition, run), fields, schema.RECEPTIVE_FIELDS)


if __name__ == "__main__":
    run_stage(main)
