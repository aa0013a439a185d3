"""The parameters of what learns beside the analysed networks: the generator and the probes."""

from typing import Annotated

from pydantic import Field

from protoviz.config.section import Count, Positive, Section


class Generator(Section):
    """The image prior that the pipeline trains: a decoder of whitened images and reference features."""

    seed: Annotated[int, Field(ge=0)]
    latent_size: Count
    width: Annotated[int, Field(gt=12)]  # twelve of its channels hold the drawing
    steps: Count
    batch_size: Count
    lr: Positive
    feature_weight: Annotated[float, Field(ge=0)]


class Probe(Section):
    """The linear read-outs of frozen features (E1..E5)."""

    max_iter: Count
    adam_lr: Positive
    adam_epochs: Count
    adam_batch_size: Count
