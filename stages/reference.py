"""The reference encoder: trained on images and from a seed that no analysed network uses."""

from protoviz import compute, layout
from protoviz.config.params import Params
from protoviz.data import splits
from protoviz.learning import simclr
from protoviz.models import checkpoints, resnet
from protoviz.pipeline import resume
from stages import run_stage


def main(params: Params) -> None:
    """Read the images set aside, train from the last completed epoch, write the encoder after its last."""
    reference = params.reference
    device = compute.prepare(params.compute.device, params.compute.threads)
    images = splits.load(layout.IMAGES, "reference").images
    network = resnet.initial(reference.backbone.name, reference.backbone.width, reference.seed)
    identity = checkpoints.Checkpoint(
        condition="reference",
        run=reference.seed,
        epoch=reference.train.epochs,
        backbone=reference.backbone.name,
        width=reference.backbone.width,
        initial_weights=checkpoints.weights_digest(network),
    )
    made_with = {"reference": reference.model_dump(mode="json"), "device": device.type}
    with resume.pieces(layout.REFERENCE_ENCODER, made_with) as folder:
        simclr.train(
            images,
            network,
            reference.train,
            reference.augment,
            condition="reference",
            run=reference.seed,
            device=device,
            on_epoch=lambda _epoch, _network: None,
            state=folder / "state.ckpt",
        )
        checkpoints.save(layout.REFERENCE_ENCODER, network, identity)


if __name__ == "__main__":
    run_stage(main)
