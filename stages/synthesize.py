"""The prototypes of every unit of one network, at every kept epoch, in every repeat."""

from pathlib import Path

from protoviz import files, layout
from protoviz.config.params import Params
from protoviz.models import checkpoints
from protoviz.models.priors import base
from protoviz.pipeline import executor, sharded_write
from protoviz.store import cube
from protoviz.synthesis.shard_tasks import Machine, Shards
from stages import run_stage


def main(params: Params, condition: str, run: int) -> None:
    """Read the checkpoints and the image prior, lay out the store, have it filled shard by shard."""
    size, recipe = params.images.size, params.synthesis
    machine = Machine(params.compute.device, params.compute.threads, recipe.precision)
    named = files.read_json(layout.PRIOR)
    weights = str(layout.GENERATOR) if named["name"] == "generator" else params.prior.weights
    weights = str(Path(weights).absolute()) if weights and Path(weights).exists() else weights
    prior = base.load(named["name"], weights=weights, sha256=named["sha256"], size=size)
    directory = layout.checkpoints(condition, run).absolute()
    sources = {epoch: checkpoints.path(directory, epoch) for epoch in params.train.keep}
    template = cube.Template(
        conditions=(condition,),
        runs=(run,),
        repeats=tuple(range(recipe.repeats)),
        epochs=tuple(sources),
        layers=checkpoints.load(sources[0])[0].units,
        size=size,
        components=prior.latent_size,
        trace=recipe.trace_length,
    )
    outcome = executor.ask(machine.outcome)
    attributes = {
        "synthesis": recipe.model_dump(mode="json"),
        "precision": outcome["precision"],
        "prior": named,
        "checkpoint_sha256": {
            layout.item(condition, run): {str(epoch): files.sha256(path) for epoch, path in sources.items()}
        },
        "versions": outcome["versions"],
    }
    origin = (named["name"], weights, named["sha256"])
    sharded_write.write(
        layout.prototypes(condition, run),
        template,
        attributes,
        lambda store: Shards(store, template, checkpoints.load, sources, origin, recipe, machine, outcome),
        title=f"{condition} run {run}: epochs x repeats",
        device=machine.device,
        threads=machine.threads,
    )


if __name__ == "__main__":
    run_stage(main)
