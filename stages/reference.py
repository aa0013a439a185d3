"""Train a study's reference encoder, if it has one, on images and from a seed that no other network uses."""

from protoviz import compute, files, layout
from protoviz.config.params import Params
from protoviz.data import splits
from protoviz.models import checkpoints, resnet
from protoviz.pipeline import resume
from stages import run_stage


def main(params: Params) -> None:
    """Read the images set aside, train from the last completed epoch, and write the final encoder.

    Its digest is written beside it; if a study has no encoder, the digest is none.
    """
    reference = params.reference
    if reference is None:
        with files.complete(layout.REFERENCE) as folder:
            folder.mkdir()
            files.write_json(folder / layout.REFERENCE_DIGEST.name, {"sha256": None})
        return
    from protoviz.learning import simclr  # imported here, so that a missing package is reported in one line

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
    with resume.pieces(layout.REFERENCE, made_with) as folder:
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
        with files.complete(folder / "reference") as finished:
            finished.mkdir()
            encoder = finished / layout.REFERENCE_ENCODER.name
            checkpoints.save(encoder, network, identity)
            files.write_json(finished / layout.REFERENCE_DIGEST.name, {"sha256": files.sha256(encoder)})
        resume.publish(folder / "reference", layout.REFERENCE)


if __name__ == "__main__":
    run_stage(main, whole=True)
