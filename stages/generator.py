"""The image prior of the default study: a decoder of the reference encoder's features."""

from protoviz import checkpoints, compute, datasets, files, layout
from protoviz.learning import generator
from protoviz.params import Params
from protoviz.priors.generator import save
from stages import run_stage


def main(params: Params) -> None:
    """Read the images set aside and the reference encoder, train, write the decoder and its losses."""
    device = compute.prepare(params.compute.device, params.compute.threads)
    images = datasets.load(layout.IMAGES, "reference").images
    encoder, _ = checkpoints.load(layout.REFERENCE_ENCODER, device)
    decoder, losses = generator.train(images, encoder, params.generator, device)
    save(layout.GENERATOR, decoder)
    files.write_csv(layout.GENERATOR_CURVE, losses)


if __name__ == "__main__":
    run_stage(main)
