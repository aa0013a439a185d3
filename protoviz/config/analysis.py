"""The parameters of what is measured: receptive fields, the spaces of distances, natural images."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from protoviz.config.section import Count, Distinct, Section
from protoviz.config.validation_errors import invalid, require_known

# The ImageNet networks of D2, with the weights that torchvision publishes.
IMAGENET = (
    *("resnet50", "resnet101", "resnet152", "inception_v3", "vgg16", "vgg19"),
    *("densenet121", "densenet169", "densenet201", "mobilenet_v2"),
)
# After the name of one of these: with fresh weights, the same each time, only for those who ask for them.
UNTRAINED = ":untrained"
EMBEDDERS = ("efficientnet_lite0", "reference", "pixels", *IMAGENET, *(name + UNTRAINED for name in IMAGENET))


def _known(name: str) -> str:
    if name not in EMBEDDERS:
        named = ", ".join(EMBEDDERS[: -len(IMAGENET)])
        raise invalid(f"one of {named}", repr(name))
    return name


class ReceptiveFields(Section):
    """How receptive fields are estimated: `noise` images, `probes` random sign vectors over channels.

    `per_unit`: every unit gets a field of its own, which then masks it. `offset`: whether that of the fitted
    Gaussian is removed from the mask or kept.
    """

    estimate: Literal["as-written", "paper"]
    noise: Count
    probes: Count
    per_unit: bool
    offset: Literal["removed", "kept"]


class Distances(Section):
    """The spaces in which prototypes are compared; the first is the one that the findings use.

    `weights`: the folder in which torchvision's weight files lie; null: they are fetched. `keep_vectors`:
    whether to store the vectors of prototypes in the first space, for matching units over runs.
    """

    embedders: Annotated[list[Annotated[str, AfterValidator(_known)]], Field(min_length=1), Distinct]
    weights: str | None
    precision: Literal["float32", "bfloat16", "auto"]
    batch_size: Count
    keep_vectors: bool


class Faithfulness(Section):
    """How prototypes are compared with the `top` natural images that drive the same unit most.

    `elements`: how many values of each layer on the way to a unit count at most; they are drawn at random.
    """

    top: Count
    elements: Annotated[int, Field(ge=2)]


class NaturalImages(Section):
    """How many images of the split `test` each unit sees, null for all; the `top` of them are kept.

    `faithfulness`: whether networks treat prototypes as they treat these; null: not measured.
    `keep_responses`: how many of the images to keep the responses to, for matching units over runs; null:
    none.
    """

    images: Count | None
    top: Count
    faithfulness: Faithfulness | None
    keep_responses: Annotated[int, Field(ge=3)] | None


class Figures(Section):
    """What the figures show: units of the development rows (G3, G8), prototypes for each grid.

    Layers and units may be null, for the middle layer and evenly spaced channels.
    """

    grid_units: Count
    development_layer: str | None
    development_units: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)] | None
    more_units: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)] | None
    animated_layer: str | None
    dpi: Count


class Atlas(Section):
    """Which networks the atlas shows, and how it stores images: `quality` of its WebP sheets.

    `runs`: whose networks; null: all.
    `strips_above`: million pixels of a layer in all epochs and repeats. Up to this size the page of a unit
    reads the sheets of its layer; beyond it, the page reads a sheet of the unit alone, at the price of a
    second copy. The page keeps 64 MB of decoded pictures, hence the limit.
    """

    runs: Annotated[list[int], Field(min_length=1), Distinct] | None
    quality: Literal["lossless"] | Annotated[int, Field(ge=1, le=100)]
    strips_above: Annotated[float, Field(ge=0, le=8)]

    def require_fit(self, runs: Sequence[int]) -> None:
        """Refuse runs that the study does not have.

        Raises:
            ValueError: the study lacks one of them.
        """
        require_known(self.runs, runs, at="atlas.runs")
