"""The image prior of the study: trained here by default, or checked if it comes from elsewhere."""

from protoviz import compute, files, layout
from protoviz.config.params import OWN, Params
from protoviz.data import splits
from protoviz.learning import generator
from protoviz.models import checkpoints
from protoviz.models.priors import base, spectrum
from protoviz.models.priors.generator import save
from stages import run_stage


def main(params: Params) -> None:
    """Train a decoder of the reference encoder's features, or load the named prior; record which one it is.

    The spectrum of the prior `maco` may be that of the images that the networks learn from.

    Weights from elsewhere stay where they are, as they are not ours to pass on. Their digest is recorded,
    and checked when they are used.
    """
    device = compute.prepare(params.compute.device, params.compute.threads)
    losses: list[dict[str, float]] = []  # stays empty if nothing is trained
    with files.complete(layout.GENERATOR.parent) as folder:
        folder.mkdir()
        if params.prior.name == "generator" and params.generator is not None:
            images = splits.load(layout.IMAGES, "reference").images
            encoder, _ = checkpoints.load(layout.REFERENCE_ENCODER, device)
            decoder, losses = generator.train(images, encoder, params.generator, device)
            save(folder / layout.GENERATOR.name, decoder)
            digest: str | None = files.sha256(folder / layout.GENERATOR.name)
        elif params.prior.weights == OWN:
            images = splits.load(layout.IMAGES, "unlabeled").images
            about = {"photographs": len(images), "size": params.images.size}
            spectrum.save(folder / layout.SPECTRUM.name, spectrum.measured(images), about)
            digest = files.sha256(folder / layout.SPECTRUM.name)
        else:
            named = params.prior
            prior = base.load(named.name, weights=named.weights, sha256=named.sha256, size=params.images.size)
            digest = getattr(prior, "sha256", None)
        files.write_json(folder / layout.PRIOR.name, {"name": params.prior.name, "sha256": digest})
    files.write_csv(layout.GENERATOR_CURVE, losses, generator.LOSSES)


if __name__ == "__main__":
    run_stage(main, whole=True)
