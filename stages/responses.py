"""What one network's checkpoints respond to among natural images."""

from protoviz import compute, layout, seeding
from protoviz.config.params import Params
from protoviz.data import splits
from protoviz.models import checkpoints
from protoviz.models.readout.network import Network
from protoviz.progress import track
from protoviz.store import cube, schema_responses, zarr_io
from protoviz.synthesis.responses.dataset import Shown, natural_responses
from stages import run_stage


def main(params: Params, condition: str, run: int) -> None:
    """Read checkpoints, prototypes and held-out images, ask, write one store."""
    device = compute.prepare(params.compute.device, params.compute.threads)
    prototypes = layout.prototypes(condition, run)
    cube.validate(prototypes)
    images = splits.load(layout.IMAGES, "test").images
    count = min(len(images), params.natural.images or len(images))
    # The same for all networks.
    rows = seeding.generator("natural images").permutation(len(images))[:count]
    rows.sort()
    directory = layout.checkpoints(condition, run)
    networks = (
        Network(checkpoints.load(checkpoints.path(directory, epoch))[0], params.images.size)
        for epoch in track(params.train.keep, "networks asked")
    )
    natural = natural_responses(
        networks,
        cube.open_cube(prototypes),
        Shown(images[rows], rows, min(params.natural.top, count)),
        params.synthesis.objective,
        batch=params.synthesis.batch_size,
        device=device,
    )
    zarr_io.write_dataset(layout.natural(condition, run), natural, schema_responses.NATURAL)


if __name__ == "__main__":
    run_stage(main)
