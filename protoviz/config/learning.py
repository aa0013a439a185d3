"""The parameters of what learns: the analysed networks, the reference encoder, the generator, the probes."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from protoviz.config.section import Count, Distinct, Positive, Probability, Section
from protoviz.config.validation_errors import invalid


class Augment(Section):
    """How a view is drawn from an image. Names and meaning are those of lightly's SimCLRTransform."""

    cj_prob: Probability = 0.8
    cj_strength: Annotated[float, Field(ge=0)] = 1.0
    cj_bright: Annotated[float, Field(ge=0)] = 0.8
    cj_contrast: Annotated[float, Field(ge=0)] = 0.8
    cj_sat: Annotated[float, Field(ge=0)] = 0.8
    cj_hue: Annotated[float, Field(ge=0, le=0.5)] = 0.2
    random_gray_scale: Probability = 0.2
    min_scale: Annotated[float, Field(gt=0, le=1)] = 0.08
    gaussian_blur: Probability = 0.5
    sigmas: Annotated[tuple[Positive, Positive], Field(strict=False)] = (0.1, 2.0)  # YAML has lists
    hf_prob: Probability = 0.5
    vf_prob: Probability = 0.0
    rr_prob: Probability = 0.0

    @model_validator(mode="after")
    def _sigmas_ascend_and_hue_turns_at_most_half(self) -> Self:
        if self.sigmas[0] > self.sigmas[1]:
            raise invalid("two numbers in ascending order", str(list(self.sigmas)), at="sigmas")
        hue = self.cj_strength * self.cj_hue
        if hue > 0.5:
            raise invalid("cj_strength times cj_hue of at most 0.5, half a turn", f"{hue:g}", at="cj_hue")
        return self


class Backbone(Section):
    """The network that is trained: a name in the registry of backbones, and its width."""

    name: Literal["resnet18"]
    width: Count


class SimClr(Section):
    """One SimCLR training: SGD with momentum, a cosine schedule stepped every epoch, no warm-up."""

    epochs: Count
    view_size: Annotated[int, Field(ge=16)]
    batch_size: Annotated[int, Field(ge=2)]
    lr: Positive
    momentum: Annotated[float, Field(ge=0, lt=1)]
    weight_decay: Annotated[float, Field(ge=0)]
    temperature: Positive
    projection_dim: Count


class Train(SimClr):
    """The training of an analysed network, and the epochs whose checkpoints are kept."""

    keep: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1), Distinct]
    kept_as: Literal["float32", "float16"]  # of weights; what is analysed is what is kept

    @model_validator(mode="after")
    def _kept_epochs_exist(self) -> Self:
        if max(self.keep) > self.epochs:
            raise invalid(
                f"epochs up to {self.epochs}, the last (train.epochs)",
                str(max(self.keep)),
                "remove it or raise train.epochs",
                at="keep",
            )
        if self.keep != sorted(self.keep):
            raise invalid("epochs in ascending order", str(self.keep), "sort them", at="keep")
        if self.keep[0] != 0:
            raise invalid(
                "0 as the first, the untrained network, from which every measure starts",
                str(self.keep[0]),
                "add it",
                at="keep",
            )
        return self


class Reference(Section):
    """The reference encoder: a network of its own seed, trained on images that no analysed network sees."""

    seed: Annotated[int, Field(ge=0)]
    backbone: Backbone
    train: SimClr
    augment: Augment


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
