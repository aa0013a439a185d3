"""The receptive fields of one network at all kept epochs."""

from protoviz import compute, layout
from protoviz.config.params import Params
from protoviz.models import checkpoints
from protoviz.models.readout.network import Network
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
    sources = {epoch: checkpoints.path(directory, epoch) for epoch in params.train.keep}
    layers = list(checkpoints.load(next(iter(sources.values())))[0].units)
    networks = (
        (epoch, Network(checkpoints.load(source)[0], params.images.size, finite=False))
        for epoch, source in track(sources.items(), "checkpoints")
    )
    fields = receptive_fields(networks, condition, run, layers=layers, method=method, device=device)
    zarr_io.write_dataset(layout.receptive_fields(condition, run), fields, schema.RECEPTIVE_FIELDS)


if __name__ == "__main__":
    run_stage(main)
