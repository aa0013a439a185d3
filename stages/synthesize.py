"""The prototypes of every unit of one network, at every kept epoch, in every repeat."""

import itertools

from protoviz import checkpoints, compute, cube, files, layout
from protoviz.params import Params
from protoviz.priors import base
from protoviz.progress import track
from protoviz.synthesis.hybrid import prototypes
from protoviz.synthesis.network import Network
from stages import run_stage


def main(params: Params, condition: str, run: int) -> None:
    """Read the checkpoints and the image prior, lay out the store, write it shard by shard."""
    device = compute.prepare(params.compute.device, params.compute.threads)
    size, recipe = params.images.size, params.synthesis
    named = files.read_json(layout.PRIOR)
    weights = layout.GENERATOR if named["name"] == "generator" else params.prior.weights
    prior = base.load(named["name"], weights=weights, sha256=named["sha256"], size=size, device=device)
    directory = layout.checkpoints(condition, run)
    sources = {epoch: checkpoints.path(directory, epoch) for epoch in params.train.keep}
    layers = checkpoints.load(sources[0])[0].units
    template = cube.Template(
        conditions=(condition,),
        runs=(run,),
        repeats=tuple(range(recipe.repeats)),
        epochs=tuple(sources),
        layers=layers,
        size=size,
        components=prior.latent_size,
        trace=recipe.ascent.steps + 1,
    )
    attributes = {
        "synthesis": recipe.model_dump(mode="json"),
        "precision": str(compute.precision(recipe.precision, device)).removeprefix("torch."),
        "prior": named,
        "checkpoint_sha256": {
            layout.item(condition, run): {str(epoch): files.sha256(path) for epoch, path in sources.items()}
        },
        "versions": compute.versions(),
    }
    target = layout.prototypes(condition, run)
    files.require_space(target.parent, template.nbytes)
    with files.complete(target) as store:
        cube.create(store, template, attributes)
        units = {layer: range(count) for layer, count in layers.items()}
        pieces = list(itertools.product(template.epochs, template.repeats))
        for epoch, repeat in track(pieces, f"{condition} run {run}: epochs x repeats"):
            network = Network(checkpoints.load(sources[epoch])[0], size)
            address = cube.Address(condition, run, repeat, epoch)
            shard = prototypes(network, units, prior, recipe, address=address, device=device)
            cube.write_shard(store, address, shard)


if __name__ == "__main__":
    run_stage(main)
