"""Count the different images that drive each unit of one network, by clustering independent starts.

Synthesis and analysis do not know each other; this stage connects them. Within the task of an epoch, images
go from the one to the other; only the counts and an image of each mode are kept.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from protoviz import compute, files, layout
from protoviz.analysis import embedders, modes
from protoviz.analysis.census import Census
from protoviz.config.params import OWN
from protoviz.config.study import Study
from protoviz.pipeline import executor, resume
from protoviz.store import modes as store
from protoviz.store import schema, schema_modes
from protoviz.synthesis import restarts, sampling
from protoviz.synthesis.analysed import Analysed
from protoviz.synthesis.started import Started
from stages import run_stage


def main(params: Study, condition: str, run: int) -> None:
    """Read checkpoints, prior and receptive fields, lay out the store, and have it filled epoch by epoch."""
    asked, spaces, on = params.modes, params.distances, params.compute
    recipe = restarts.with_transforms(params.synthesis, asked.jitter)
    ours = params.prior.model_dump(include={"name", "sha256"})
    named = files.read_json(layout.PRIOR) if layout.PRIOR.exists() else ours
    weights = str(layout.GENERATOR) if named["name"] == "generator" else params.prior.weights
    weights = str(layout.SPECTRUM) if weights == OWN else weights
    weights = str(Path(weights).absolute()) if weights and Path(weights).exists() else weights
    place = layout.checkpoints(condition, run)
    analysed = Analysed.of(place, params.epochs, params.size, params.colours, params.units)
    setting = embedders.Setting(
        encoder=layout.REFERENCE_ENCODER.absolute(),
        device=on.device,
        threads=on.threads,
        batch_size=spaces.batch_size,
        precision=spaces.precision,
        weights=Path(spaces.weights).absolute() if spaces.weights else None,
    )
    device = compute.available(on.device)
    attributes = {
        "modes": asked.model_dump(mode="json", exclude={"runs", "epochs", "per_layer"}),
        "synthesis": recipe.recorded(),
        "prior": named,
        "space": f"{spaces.embedders[0]} mse {schema.MASKED}",
        "device": device.type,
        "precision": str(compute.precision(recipe.precision, device)).removeprefix("torch."),
        "versions": compute.versions(),
    }
    units = sampling.some(analysed.units(), asked.per_layer)
    height, width = np.broadcast_to(params.size, 2).tolist()
    lengths = {schema_modes.START: asked.restarts, schema_modes.MODE: asked.kept}
    lengths |= {schema.Y: height, schema.X: width, schema.RGB: len(analysed.mean)}
    out, epochs, network = layout.modes(condition, run), asked.of(params.epochs), (condition, run)
    origin = (named["name"], weights, named["sha256"])
    started = Started(network, analysed, units, origin, recipe, asked, on.device, on.threads)
    rule = modes.Rule(asked.share, asked.confidence, asked.linkage)
    fields = layout.receptive_fields(condition, run).absolute()
    with resume.pieces(out, attributes) as folder:
        if not (laid := folder / "store").is_dir():
            with files.complete(laid) as partial:
                store.create(partial, network, epochs, units, lengths, attributes)
        work = Epochs(laid, started, Census(spaces.embedders[0], setting, fields, rule, asked.kept))
        title, slots = f"{condition} run {run}: epochs started again", compute.slots(on.device, on.threads)
        executor.run(work, epochs, title=title, done=work.done, slots=slots)
        store.finish(laid)
        resume.publish(laid, out)


@dataclass(frozen=True)
class Epochs:
    """All tasks of one network; called with an epoch, it writes the results of its units."""

    store: Path
    started: Started
    counted: Census

    def done(self, epoch: int) -> bool:
        """Whether an epoch is complete."""
        return store.done(self.store, epoch)

    def __call__(self, epoch: int) -> None:
        """Start the units again, and count their modes."""
        found = self.counted(store.open_empty(self.store), epoch, self.started(epoch))
        store.write_epoch(self.store, epoch, found)


if __name__ == "__main__":
    run_stage(main)
