"""The parameters of a study whose networks somebody else has trained: a series of checkpoints."""

from collections.abc import Sequence
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from protoviz.config.analysis import Atlas, Distances, Figures, NaturalImages, ReceptiveFields
from protoviz.config.finetuning import Maps
from protoviz.config.image_size import Size, of_sides
from protoviz.config.learning import Augment, Probe
from protoviz.config.matching import Matching
from protoviz.config.modes import Modes
from protoviz.config.params import OWN, Compute, ConditionName, Images, Prior
from protoviz.config.section import Count, Distinct, Natural, Positive, Section
from protoviz.config.study import require_sections_fit
from protoviz.config.synthesis import Synthesis
from protoviz.config.validation_errors import invalid


class Series(Section):
    """Where the checkpoints lie, of which network they are, and which of its units are analysed.

    `files`: a pattern with {epoch}, and with {condition} and {run} where there are several; * stands for any
    text within a name. Or a mapping epoch -> file. `epochs`: those that are analysed, in ascending order.
    `starts_untrained`: whether epoch 0 is the network before training; some trainers give that number to the
    first epoch. `layers`: names of the network's modules; `channels`: how many of each, null: all. `mean`,
    `std`: of the RGB values in [0, 1] that the network was trained with.
    """

    network: str
    arguments: dict[str, Any]
    files: str | dict[int, str]
    key: str | None
    prefix: str | None
    epochs: Annotated[list[Natural], Field(min_length=1), Distinct]
    starts_untrained: bool
    layers: Annotated[list[str], Field(min_length=1), Distinct]
    channels: Count | None
    size: Count | Annotated[tuple[Count, Count], Field(strict=False)]  # px; height and width if two
    mean: Annotated[list[float], Field(min_length=1)]
    std: Annotated[list[Positive], Field(min_length=1)]

    @model_validator(mode="after")
    def _files_name_epochs(self) -> Self:
        if isinstance(self.files, str) and "{epoch}" not in self.files:
            raise invalid("a pattern with {epoch}", repr(self.files), at="files")
        if isinstance(self.files, dict) and (lost := [one for one in self.epochs if one not in self.files]):
            raise invalid(f"a file of epoch {lost[0]}, which epochs names", "none", at="files")
        if self.epochs != sorted(self.epochs):
            raise invalid("epochs in ascending order", str(self.epochs), "sort them", at="epochs")
        if len(self.mean) != len(self.std):
            raise invalid(f"{len(self.mean)} numbers, as mean has", str(len(self.std)), at="std")
        return self


class SeriesStudy(Section):
    """All of params.yaml of such a study.

    A condition holds nothing, or `name`: what stands for it in the names of the files. `images` and
    `natural` are null in a study without photographs, and `probe` in one without labels that matter.
    """

    title: str
    compute: Compute
    checkpoints: Series
    conditions: Annotated[dict[ConditionName, dict[str, str]], Field(min_length=1)]
    runs: Annotated[list[Natural], Field(min_length=1), Distinct]
    images: Images | None
    prior: Prior
    receptive_fields: ReceptiveFields
    synthesis: Synthesis
    distances: Distances
    natural: NaturalImages | None
    modes: Modes
    matching: Matching
    probe: Probe | None
    projection: Maps
    figures: Figures
    atlas: Atlas

    @model_validator(mode="after")
    def _files_tell_networks_apart(self) -> Self:
        files = self.checkpoints.files
        places = [files] if isinstance(files, str) else list(files.values())
        for axis, labels in (("condition", self.conditions), ("run", self.runs)):
            if len(labels) > 1 and not all(f"{{{axis}}}" in place for place in places):
                raise invalid(
                    f"{{{axis}}} in it, as there are {len(labels)} {axis}s",
                    str(files),
                    at="checkpoints.files",
                )
        for name, about in self.conditions.items():
            if unknown := set(about) - {"name"}:
                raise invalid("nothing but `name`", sorted(unknown)[0], at=f"conditions.{name}")
        if self.prior.name == "generator":
            raise invalid(
                "fourier, pixels, maco, natural or deepsim",
                "generator, which this study does not train",
                at="prior.name",
            )
        if self.prior.weights == OWN:
            raise invalid(
                "a file of `protoviz train-prior FOLDER --prior maco`",
                f"{OWN}, whose spectrum this study does not measure",
                at="prior.weights",
            )
        if (self.images is None) != (self.natural is None):
            raise invalid("both images and natural, or null for both", "one of them", at="natural")
        if self.images is None and self.probe is not None:
            raise invalid("null, as there are no images to tell apart", "a probe", at="probe")
        if self.images is not None and len(self.checkpoints.mean) != 3:
            raise invalid("null, as the networks do not take RGB images", "images", at="images")
        if self.images is not None and self.images.size != self.size:
            raise invalid(
                f"{self.checkpoints.size}, as checkpoints.size", str(self.images.size), at="images.size"
            )
        for at, embedders in (
            ("distances", self.distances.embedders),
            ("projection", self.projection.embedders),
        ):
            if "reference" in embedders:
                raise invalid("spaces that need no reference encoder", "reference", at=f"{at}.embedders")
        return self

    @model_validator(mode="after")
    def _sections_fit(self) -> Self:
        require_sections_fit(self)
        return self

    def named(self, condition: str) -> str:
        """What stands for a condition in the names of the files."""
        return self.conditions[condition].get("name", condition)

    @property
    def training_stages(self) -> None:
        """Study B is not part of such a study."""

    @property
    def augmentations(self) -> dict[str, Augment]:
        """See `study.Study`."""
        return {}

    @property
    def epochs(self) -> Sequence[int]:
        """See `study.Study`."""
        return self.checkpoints.epochs

    @property
    def starts_untrained(self) -> bool:
        """See `study.Study`."""
        return self.checkpoints.starts_untrained

    @property
    def size(self) -> Size:
        """See `study.Study`."""
        size = self.checkpoints.size
        return size if isinstance(size, int) else of_sides(*size)

    @property
    def colours(self) -> tuple[Sequence[float], Sequence[float]]:
        """See `study.Study`."""
        return self.checkpoints.mean, self.checkpoints.std

    @property
    def units(self) -> tuple[Sequence[str], int | None]:
        """See `study.Study`."""
        return self.checkpoints.layers, self.checkpoints.channels
