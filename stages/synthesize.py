"""The prototypes of every unit of one network, at every kept epoch, in every repeat."""

from pathlib import Path

from protoviz import files, layout
from protoviz.config.params import OWN
from protoviz.config.study import Study
from protoviz.models import checkpoints
from protoviz.models.priors import base
from protoviz.pipeline import executor, sharded_write
from protoviz.store import cube
from protoviz.synthesis.analysed import Analysed
from protoviz.synthesis.shard_tasks import Machine, Shards
from stages import run_stage


def main(params: Study, condition: str, run: int) -> None:
    """Read the checkpoints and the image prior, lay out the store, and have it filled shard by shard."""
    size, recipe = params.size, params.synthesis
    machine = Machine(params.compute.device, params.compute.threads, recipe.precision)
    ours = params.prior.model_dump(include={"name", "sha256"})
    named = files.read_json(layout.PRIOR) if layout.PRIOR.exists() else ours
    weights = str(layout.GENERATOR) if named["name"] == "generator" else params.prior.weights
    weights = str(layout.SPECTRUM) if weights == OWN else weights
    weights = str(Path(weights).absolute()) if weights and Path(weights).exists() else weights
    place = layout.checkpoints(condition, run)
    analysed = Analysed.of(place, params.epochs, params.size, params.colours, params.units)
    channels = len(analysed.mean)
    prior = base.load(named["name"], weights=weights, sha256=named["sha256"], size=size, channels=channels)
    template = cube.Template(
        conditions=(condition,),
        runs=(run,),
        repeats=tuple(range(recipe.repeats)),
        epochs=tuple(analysed.sources),
        layers=analysed.units(),
        size=size,
        components=prior.latent_size if recipe.keep_latents else 0,
        trace=recipe.trace_length,
        transparency=recipe.keep_transparency,
        checkpoints=None if params.starts_untrained else tuple(f"epoch {one}" for one in analysed.sources),
        channels=channels,
    )
    outcome = executor.ask(machine.outcome)
    attributes = {
        "synthesis": recipe.recorded(),
        "precision": outcome["precision"],
        "prior": named,
        "checkpoint_sha256": {
            layout.item(condition, run): {
                str(epoch): files.sha256(path) for epoch, path in analysed.sources.items()
            }
        },
        "versions": outcome["versions"],
    }
    origin = (named["name"], weights, named["sha256"])
    sharded_write.write(
        layout.prototypes(condition, run),
        template,
        attributes,
        lambda store: Shards(
            store,
            template,
            checkpoints.network,
            analysed.sources,
            origin,
            recipe,
            machine,
            outcome,
            colours=(analysed.mean, analysed.std),
        ),
        title=f"{condition} run {run}: epochs x repeats",
        device=machine.device,
        threads=machine.threads,
    )


if __name__ == "__main__":
    run_stage(main)
