"""The parameters of study B: one network at three training states, and the maps of both studies."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from protoviz.config.section import Count, Distinct, Natural, Positive, Section
from protoviz.config.synthesis import Synthesis
from protoviz.config.validation_errors import invalid

INSTALLED = "installed"  # weights of ImageNet: a package of the lock file
INSTALLED_MODEL = "tf_efficientnet_lite0"  # the model of timm that they belong to

Embedder = Literal["efficientnet_lite0", "reference", "pixels"]


class FinetunedNetwork(Section):
    """The network: a model of timm, the size of its images (px), and the seed of its weights, its run.

    `judged`: how many test images its accuracy is taken from at each state; null: all.
    """

    model: str
    size: Annotated[int, Field(ge=32, multiple_of=4)]
    seed: Natural
    judged: Count | None


class Supervised(Section):
    """One training with labels: AdamW, a one-cycle schedule, cross-entropy with smoothed labels.

    `images`: how many of the images it learns from; null: all.
    """

    images: Count | None
    epochs: Natural
    view_size: Annotated[int, Field(ge=32, multiple_of=4)]  # px at which it is trained
    batch_size: Annotated[int, Field(ge=2)]
    lr: Positive
    weight_decay: Annotated[float, Field(ge=0)]
    label_smoothing: Annotated[float, Field(ge=0, lt=1)]
    precision: Literal["float32", "bfloat16", "auto"]


class Pretraining(Supervised):
    """The second state: trained here on the ten classes of `images`, or weights from elsewhere.

    `weights`: null; or "installed", those of ImageNet that come as a package; or a path or an address of a
    state dict. `sha256`: all of its hex digits, or the first few.
    """

    weights: str | None
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{8,64}$")] | None

    @model_validator(mode="after")
    def _a_digest_has_a_file(self) -> Self:
        if self.weights is None and self.sha256 is not None:
            raise invalid("null, as nothing is fetched", repr(self.sha256), at="sha256")
        if self.weights == INSTALLED and self.sha256 is not None:
            raise invalid("null, as the package's own is checked", repr(self.sha256), at="sha256")
        if self.weights is None and self.epochs == 0:
            raise invalid("at least 1, as no weights are given", "0", at="epochs")
        return self


class Domain(Section):
    """The images of the third state: five classes of another kind, made here or from a folder."""

    source: Literal["microbes", "folder"]
    path: str | None
    seed: Natural
    train: Count | None  # null: all
    test: Count | None


class SampledUnits(Section):
    """Which channels are visualised: the same number of every convolution (null: all), alike at each state.

    `squeeze_excite`: the convolutions inside squeeze-excite blocks as well. `layers_at_once`: how many
    layers share batches.
    """

    per_layer: Count | None
    squeeze_excite: bool
    layers_at_once: Count


class Finetuning(Section):
    """Study B."""

    title: str
    network: FinetunedNetwork
    pretrain: Pretraining
    domain: Domain
    finetune: Supervised
    units: SampledUnits
    synthesis: Synthesis

    @model_validator(mode="after")
    def _installed_weights_have_a_model(self) -> Self:
        if self.pretrain.weights == INSTALLED and self.network.model != INSTALLED_MODEL:
            raise invalid(
                f"{INSTALLED_MODEL}, whose weights are installed",
                repr(self.network.model),
                at="network.model",
            )
        return self


class Umap(Section):
    """UMAP (McInnes, Healy & Melville 2018), and how strongly neighbouring epochs are held together."""

    neighbours: Annotated[int, Field(ge=2)]
    min_dist: Annotated[float, Field(ge=0, le=1)]
    epochs: Count  # of the optimisation of the layout
    alignment: Annotated[float, Field(ge=0)]


class Maps(Section):
    """The maps: the vectors and the seeds that they are made from; the first of each is shown.

    `runs`, `repeats`: how many of study A's, from the first on, share its map. Study B's maps hold all of its
    own.
    """

    runs: Count
    repeats: Count
    embedders: Annotated[list[Embedder], Field(min_length=1), Distinct]
    batch_size: Count
    umap: Umap
    seeds: Annotated[list[Natural], Field(min_length=1), Distinct]


class Projection(Maps):
    """The maps of both studies, and how the findings about study B's are tested."""

    permutations: Annotated[int, Field(ge=19)]  # of labels, in tests
    resamples: Annotated[int, Field(ge=20)]  # of units, for intervals
