"""The prototypes of study B: a sample of the units of every convolution, at every training state."""

from protoviz import layout
from protoviz.config.params import ParamsWithFinetuning
from protoviz.models import finetuned, zoo
from protoviz.models.priors import base
from protoviz.models.readout.network import Network
from protoviz.pipeline import executor, sharded_write
from protoviz.store import cube
from protoviz.synthesis import sampling
from protoviz.synthesis.shard_tasks import Machine, Shards
from stages import run_stage

PRIOR = ("fourier", None, None)


def main(params: ParamsWithFinetuning) -> None:
    """Read the network of every training state, lay out the cube, and have it filled shard by shard."""
    about, recipe = params.training_stages.network, params.training_stages.synthesis
    chosen = params.training_stages.units
    machine = Machine(params.compute.device, params.compute.threads, recipe.precision)
    folder = layout.stages_checkpoints(about.seed).absolute()
    digests = finetuned.digests(folder)
    sources = {epoch: finetuned.path(folder, state) for epoch, state in enumerate(finetuned.STATES)}
    untrained = finetuned.load(sources[0])[0]
    colours = zoo.colours(untrained)
    layers = sampling.convolutions(
        Network(untrained, about.size, *colours), squeeze_excite=chosen.squeeze_excite
    )
    template = cube.Template(
        conditions=(layout.STAGES_CONDITION,),
        runs=(about.seed,),
        repeats=tuple(range(recipe.repeats)),
        epochs=tuple(sources),
        layers=sampling.sample(layers, chosen.per_layer, about.seed),
        size=about.size,
        components=base.load(PRIOR[0], size=about.size).latent_size if recipe.keep_latents else 0,
        trace=recipe.trace_length,
        transparency=recipe.keep_transparency,
        checkpoints=finetuned.STATES,
    )
    outcome = executor.ask(machine.outcome)
    attributes = {
        "network": about.model,
        "synthesis": recipe.recorded(),
        "precision": outcome["precision"],
        "prior": {"name": PRIOR[0], "sha256": None},
        "checkpoint_sha256": {layout.item(layout.STAGES_CONDITION, about.seed): digests},
        "versions": outcome["versions"],
    }
    sharded_write.write(
        layout.STAGES_CUBE,
        template,
        attributes,
        lambda store: Shards(
            store,
            template,
            finetuned.load,
            sources,
            PRIOR,
            recipe,
            machine,
            outcome,
            layers_at_once=chosen.layers_at_once,
            colours=colours,
        ),
        title="stages x repeats",
        device=machine.device,
        threads=machine.threads,
    )


if __name__ == "__main__":
    run_stage(main)
