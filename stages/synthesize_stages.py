"""The prototypes of study B: a sample of the units of every convolution, at every stage of training."""

from protoviz import compute, cube, files, layout, staged_network
from protoviz.params import Params
from protoviz.priors import base
from protoviz.progress import track
from protoviz.synthesis import sampling
from protoviz.synthesis.hybrid import prototypes
from protoviz.synthesis.network import Network
from stages import run_stage


def main(params: Params) -> None:
    """Read the network of every stage, lay out the cube, write it shard by shard."""
    device = compute.prepare(params.compute.device, params.compute.threads)
    about, recipe = params.training_stages.network, params.training_stages.synthesis
    chosen = params.training_stages.units
    prior = base.load("fourier", size=about.size, device=device)
    folder = layout.stages_checkpoints(about.seed)
    digests = staged_network.digests(folder)
    sources = [staged_network.path(folder, stage) for stage in staged_network.STAGES]
    networks = [Network(staged_network.load(source)[0], about.size) for source in sources]
    layers = sampling.convolutions(networks[0], squeeze_excite=chosen.squeeze_excite)
    units = sampling.sample(layers, chosen.per_layer, about.seed)
    template = cube.Template(
        conditions=(layout.STAGES_CONDITION,),
        runs=(about.seed,),
        repeats=tuple(range(recipe.repeats)),
        epochs=tuple(range(len(networks))),
        layers=units,
        size=about.size,
        components=prior.latent_size,
        trace=recipe.ascent.steps + 1,
        checkpoints=staged_network.STAGES,
    )
    attributes = {
        "network": about.model,
        "synthesis": recipe.model_dump(mode="json"),
        "precision": str(compute.precision(recipe.precision, device)).removeprefix("torch."),
        "prior": {"name": "fourier", "sha256": None},
        "checkpoint_sha256": {
            layout.item(layout.STAGES_CONDITION, about.seed): digests,
        },
        "versions": compute.versions(),
    }
    files.require_space(layout.STAGES_CUBE.parent, template.nbytes)
    with files.complete(layout.STAGES_CUBE) as store:
        cube.create(store, template, attributes)
        pieces = [(epoch, repeat) for epoch in template.epochs for repeat in template.repeats]
        for epoch, repeat in track(pieces, "stages x repeats"):
            address = cube.Address(layout.STAGES_CONDITION, about.seed, repeat, epoch)
            made = prototypes(
                networks[epoch],
                units,
                prior,
                recipe,
                address=address,
                device=device,
                layers_at_once=chosen.layers_at_once,
            )
            cube.write_shard(store, address, made)
        cube.validate(store)


if __name__ == "__main__":
    run_stage(main)
