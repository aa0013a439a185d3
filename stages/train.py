"""One analysed network, and a checkpoint of every kept epoch."""

from torch import nn

from protoviz import backbones, checkpoints, compute, datasets, files, layout
from protoviz.learning import simclr
from protoviz.params import Params
from stages import run_stage


def main(params: Params, condition: str, run: int) -> None:
    """Read the unlabelled images, train, write the checkpoints and the training curve."""
    device = compute.prepare(params.compute.device, params.compute.threads)
    images = datasets.load(layout.IMAGES, "unlabeled").images
    network = backbones.initial(params.backbone.name, params.backbone.width, run)
    initial_weights = checkpoints.weights_digest(network)
    with files.complete(layout.checkpoints(condition, run)) as directory:
        directory.mkdir()

        def keep(epoch: int, trained: nn.Module) -> None:
            if epoch in params.train.keep:
                identity = checkpoints.Checkpoint(
                    condition, run, epoch, params.backbone.name, params.backbone.width, initial_weights
                )
                checkpoints.save(checkpoints.path(directory, epoch), trained, identity)

        history = simclr.train(
            images,
            network,
            params.train,
            params.augmentation(condition),
            condition=condition,
            run=run,
            device=device,
            on_epoch=keep,
        )
    curve = [
        {"condition": condition, "run": run, "epoch": past.epoch, "loss": past.loss, "lr": past.lr}
        for past in history
    ]
    files.write_csv(layout.training_curve(condition, run), curve)


if __name__ == "__main__":
    run_stage(main)
