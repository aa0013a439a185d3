"""The settings that train the image prior `natural`, and those of the one that comes with protoviz."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from protoviz.config.section import Count, Positive, Section
from protoviz.config.validation_errors import explained


class NaturalPrior(Section):
    """The training of the image prior `natural` (`protoviz train-prior`)."""

    seed: Annotated[int, Field(ge=0)]
    image_size: Annotated[int, Field(ge=32, multiple_of=16)]  # px
    photograph_size: Annotated[int, Field(ge=32)]  # px, of the squares that crops are taken from
    components: tuple[Count, Count, Count]  # of the thumbnail and of two maps of features
    widths: Annotated[tuple[Count, ...], Field(min_length=2)]
    crops: Count  # of each photograph, that the latents are whitened by
    steps: Count
    adversary_steps: Annotated[int, Field(ge=0)]  # further ones, with a discriminator
    batch_size: Count
    lr: Positive
    adversary_lr: Positive
    feature_weight: Annotated[float, Field(ge=0)]
    adversary_weight: Annotated[float, Field(ge=0)]
    precision: Literal["float32", "bfloat16", "auto"]

    @property
    def latent_size(self) -> int:
        """Dimensions of a latent."""
        return sum(self.components)


NATURAL = NaturalPrior(
    seed=0,
    image_size=64,
    photograph_size=168,
    components=(160, 96, 128),
    widths=(256, 256, 192, 128),
    crops=8,
    steps=2500,
    adversary_steps=900,
    batch_size=16,
    lr=6e-4,
    adversary_lr=4e-4,
    feature_weight=0.5,
    adversary_weight=0.04,
    precision="auto",
)


def natural_prior(changes: Mapping[str, Any]) -> NaturalPrior:
    """The training of the prior that comes with protoviz, with changes, checked.

    Raises:
        StudyError: a change names no setting, or its value is invalid.
    """
    try:
        return NaturalPrior.model_validate({**NATURAL.model_dump(), **changes})
    except ValidationError as error:
        raise explained(error, "settings", NaturalPrior) from None
