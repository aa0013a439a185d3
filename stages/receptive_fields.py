"""The receptive fields of one network at all kept epochs."""

from protoviz import checkpoints, compute, layout, schema, stores
from protoviz.params import Params
from protoviz.progress import track
from protoviz.synthesis.receptive_field import receptive_fields
from stages import run_stage


def main(params: Params, condition: str, run: int) -> None:
    """Read the checkpoints, map and fit the receptive fields, write one store."""
    device = compute.prepare(params.compute.device, params.compute.threads)
    directory = layout.checkpoints(condition, run)
    models = (
        (epoch, checkpoints.load(checkpoints.path(directory, epoch), device)[0])
        for epoch in track(params.train.keep, "checkpoints")
    )
    fields = receptive_fields(
        models,
        condition,
        run,
        size=params.images.size,
        noise=params.receptive_fields.noise,
        probes=params.receptive_fields.probes,
        device=device,
    )
    stores.write_dataset(layout.receptive_fields(condition, run), fields, schema.RECEPTIVE_FIELDS)


if __name__ == "__main__":
    run_stage(main)
