"""The prototypes of every unit of one network, at every kept epoch, in every repeat."""

import itertools

from protoviz import checkpoints, compute, cube, files, layout
from protoviz.params import Params
from protoviz.priors import base
from protoviz.progress import track
from protoviz.synthesis.hybrid import prototypes
from stages import run_stage


def main(params: Params, condition: str, run: int) -> None:
    """Read the checkpoints and the generator, lay out the store, write it shard by shard."""
    device = compute.prepare(params.compute.device, params.compute.threads)
    prior = base.load("generator", layout.GENERATOR, device)
    directory = layout.checkpoints(condition, run)
    sources = {epoch: checkpoints.path(directory, epoch) for epoch in params.train.keep}
    template = cube.Template(
        conditions=(condition,),
        runs=(run,),
        repeats=tuple(range(params.synthesis.repeats)),
        epochs=tuple(sources),
        layers=checkpoints.load(sources[0])[0].units,
        size=params.images.size,
        components=prior.latent_size,
        trace=params.synthesis.steps + 1,
    )
    attributes = {
        "synthesis": params.synthesis.model_dump(),
        "prior_sha256": files.sha256(layout.GENERATOR),
        "checkpoint_sha256": {
            layout.item(condition, run): {str(epoch): files.sha256(path) for epoch, path in sources.items()}
        },
        "versions": compute.versions(),
    }
    target = layout.prototypes(condition, run)
    files.require_space(target.parent, template.nbytes)
    with files.complete(target) as store:
        cube.create(store, template, attributes)
        pieces = list(itertools.product(template.epochs, template.repeats))
        for epoch, repeat in track(pieces, f"{condition} run {run}: epochs x repeats"):
            model, _ = checkpoints.load(sources[epoch], device)
            address = cube.Address(condition, run, repeat, epoch)
            shard = prototypes(
                model, prior, params.synthesis, size=params.images.size, address=address, device=device
            )
            cube.write_shard(store, address, shard)


if __name__ == "__main__":
    run_stage(main)
