"""Find what one network's checkpoints respond to among natural images."""

from protoviz import compute, layout, seeding
from protoviz.config.study import Study
from protoviz.data import splits
from protoviz.pipeline import resume
from protoviz.progress import track
from protoviz.store import cube, schema_responses, zarr_io
from protoviz.synthesis.analysed import Analysed
from protoviz.synthesis.responses.dataset import Shown, natural_responses
from stages import run_stage


def main(params: Study, condition: str, run: int) -> None:
    """Read checkpoints, prototypes and held-out images, compute the responses, and write one store."""
    device = compute.prepare(params.compute.device, params.compute.threads)
    prototypes = layout.prototypes(condition, run)
    cube.validate(prototypes)
    assert params.natural is not None  # the stage is part of studies with images alone
    images = splits.load(layout.IMAGES, "test").images
    count = min(len(images), params.natural.images or len(images))
    # The same for all networks.
    rows = seeding.generator("natural images").permutation(len(images))[:count]
    rows.sort()
    place = layout.checkpoints(condition, run)
    analysed = Analysed.of(place, params.epochs, params.size, params.colours, params.units)
    networks = (analysed.network(epoch) for epoch in track(params.epochs, "networks asked"))
    asked, target = params.natural, layout.natural(condition, run)
    top = min(asked.top, count)
    with resume.pieces(target) as folder:
        natural = natural_responses(
            networks,
            cube.open_cube(prototypes),
            Shown(images[rows], rows, top, asked.faithfulness, asked.keep_responses or 0, folder),
            params.synthesis.objective,
            batch=params.synthesis.batch_size,
            device=device,
        )
        zarr_io.write_dataset(target, natural, schema_responses.NATURAL)


if __name__ == "__main__":
    run_stage(main, whole=True)
