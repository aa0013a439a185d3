"""One analysed network, and a checkpoint of every kept epoch."""

from torch import nn

from protoviz import compute, files, layout
from protoviz.config.params import Params
from protoviz.data import splits
from protoviz.models import checkpoints, resnet
from protoviz.pipeline import resume
from stages import run_stage


def main(params: Params, condition: str, run: int) -> None:
    """Read the unlabelled images, train from the last completed epoch, and write checkpoints and curve."""
    from protoviz.learning import simclr  # imported here, so that a missing package is reported in one line

    device = compute.prepare(params.compute.device, params.compute.threads)
    out, augment = layout.checkpoints(condition, run), params.augmentation(condition)
    network = resnet.initial(params.backbone.name, params.backbone.width, run)
    initial_weights = checkpoints.weights_digest(network)
    made_with = {
        "train": params.train.model_dump(mode="json"),
        "augment": augment.model_dump(mode="json"),
        "initial_weights": initial_weights,
        "device": device.type,
    }
    with resume.pieces(out, made_with) as folder:

        def keep(epoch: int, trained: nn.Module) -> None:
            if epoch in params.train.keep:
                identity = checkpoints.Checkpoint(
                    condition, run, epoch, params.backbone.name, params.backbone.width, initial_weights
                )
                target = checkpoints.path(folder / "checkpoints", epoch)
                checkpoints.save(target, trained, identity, params.train.kept_as)

        history = simclr.train(
            splits.load(layout.IMAGES, "unlabeled").images,
            network,
            params.train,
            augment,
            condition=condition,
            run=run,
            device=device,
            on_epoch=keep,
            state=folder / "state.ckpt",
        )
        curve = [
            {"condition": condition, "run": run, "epoch": past.epoch, "loss": past.loss, "lr": past.lr}
            for past in history
        ]
        files.write_csv(layout.training_curve(condition, run), curve)
        resume.publish(folder / "checkpoints", out)


if __name__ == "__main__":
    run_stage(main, whole=True)
