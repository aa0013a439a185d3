"""The parameters of a study: typed, complete, and refused when they are invalid.

Only the scripts in `stages/` and the command line read params.yaml; every function below them takes
the section or the numbers it needs. An unknown key is an error, never ignored.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from protoviz.config.analysis import Atlas, Distances, Figures, NaturalImages, ReceptiveFields
from protoviz.config.finetuning import Finetuning, Projection
from protoviz.config.learning import Augment, Backbone, Generator, Probe, Reference, Train
from protoviz.config.matching import Matching
from protoviz.config.modes import Modes
from protoviz.config.section import Count, Distinct, Section
from protoviz.config.study import require_sections_fit
from protoviz.config.synthesis import Synthesis
from protoviz.config.validation_errors import explained, invalid, nested, yaml_problem
from protoviz.errors import StudyError


class Compute(Section):
    """Where to compute. Both change how sums are rounded, so both belong to the study."""

    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:\d+)?)$")]
    threads: Count


class Images(Section):
    """The data set: where it comes from and how much of it is used."""

    source: Literal["procedural", "microbes", "stl10", "cifar10", "folder"]
    path: str | None
    size: Annotated[int, Field(ge=16, multiple_of=4)]
    seed: Annotated[int, Field(ge=0)]
    unlabeled: Count | None
    reference: Annotated[int, Field(ge=0)]
    train: Count | None
    test: Count | None

    @model_validator(mode="after")
    def _path_fits_source(self) -> Self:
        if self.source in ("procedural", "microbes"):
            if self.path is not None:
                raise invalid(
                    f"null, as source {self.source} makes its own images", repr(self.path), at="path"
                )
            for name in ("unlabeled", "train", "test"):
                if getattr(self, name) is None:
                    raise invalid(f"a number, as source {self.source} has no end", "null", at=name)
        elif self.path is None:
            raise invalid(f"the folder in which the images of source {self.source} lie", "null", at="path")
        return self


OWN = "images"  # in place of a path: weights that are made from the study's own


class Prior(Section):
    """What turns latents into images; for priors from elsewhere, a path or URL of their weights.

    Those of `natural` and the spectrum of `maco` come with them; a path or URL of others may be named. The
    weights `images` are the spectrum of the images that the study's networks learn from.
    """

    name: Literal["natural", "generator", "deepsim", "fourier", "pixels", "maco"]
    weights: str | None
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None

    @model_validator(mode="after")
    def _weights_fit_name(self) -> Self:
        if self.name == "deepsim" and self.weights is None:
            raise invalid("a path or URL, as prior deepsim has trained weights", "null", at="weights")
        if self.name not in ("deepsim", "natural", "maco") and self.weights is not None:
            raise invalid(f"null, as prior {self.name} takes none", repr(self.weights), at="weights")
        if self.weights == OWN and (self.name != "maco" or self.sha256 is not None):
            only = "null, as they are made here" if self.name == "maco" else "a path or URL"
            at = "sha256" if self.name == "maco" else "weights"
            raise invalid(only, repr(getattr(self, at)), at=at)
        return self


# metrics/findings.json, metrics/stages.json, ...; the reference encoder and study B call themselves so
RESERVED = ("findings", "findings_stages", "finetuning", "reference", "stages", "stages_training")

ConditionName = Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]


class Params(Section):
    """All of params.yaml. A condition holds only what differs from `augment`."""

    title: str
    compute: Compute
    images: Images
    conditions: Annotated[dict[ConditionName, dict[str, Any]], Field(min_length=1)]
    runs: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1), Distinct]
    augment: Augment
    backbone: Backbone
    train: Train
    reference: Reference | None
    prior: Prior
    generator: Generator | None
    probe: Probe
    receptive_fields: ReceptiveFields
    synthesis: Synthesis
    distances: Distances
    natural: NaturalImages
    modes: Modes
    matching: Matching
    figures: Figures
    atlas: Atlas
    training_stages: Finetuning | None
    projection: Projection

    @model_validator(mode="after")
    def _conditions_are_augmentations(self) -> Self:
        for name in self.conditions:
            if name in RESERVED:
                raise invalid("another name, as this one is taken", repr(name), "rename it", at="conditions")
            try:
                self.augmentation(name)
            except ValidationError as error:
                raise nested(error, f"conditions.{name}", Augment) from None
        return self

    @model_validator(mode="after")
    def _augmentations_are_spelt_out(self) -> Self:
        # DVC sees what params.yaml says, not the defaults that are meant for notebooks.
        augments = {"augment": self.augment}
        if self.reference is not None:
            augments["reference.augment"] = self.reference.augment
        for at, augment in augments.items():
            for name in Augment.model_fields:
                if name not in augment.model_fields_set:
                    raise invalid("a value", "none", "add the parameter", at=f"{at}.{name}")
        return self

    @model_validator(mode="after")
    def _reference_has_a_seed_of_its_own(self) -> Self:
        if self.reference is not None and self.reference.seed in self.runs:
            found = f"{self.reference.seed}, one of runs"
            raise invalid("a seed that no analysed network has", found, at="reference.seed")
        return self

    @model_validator(mode="after")
    def _what_is_used_is_trained(self) -> Self:
        trained = self.prior.name == "generator"
        if trained and self.generator is None:
            raise invalid("its recipe, as prior.name is generator", "null", at="generator")
        users = {
            "prior.name: generator": trained,
            "distances.embedders: reference": "reference" in self.distances.embedders,
            "projection.embedders: reference": "reference" in self.projection.embedders,
        }
        asking = [user for user, asks in users.items() if asks]
        if asking and self.reference is None:
            raise invalid(f"the reference encoder's recipe, for {', '.join(asking)}", "null", at="reference")
        return self

    @model_validator(mode="after")
    def _sections_fit(self) -> Self:
        require_sections_fit(self)
        return self

    @property
    def epochs(self) -> list[int]:
        """See `study.Study`."""
        return self.train.keep

    @property
    def starts_untrained(self) -> bool:
        """See `study.Study`."""
        return True

    @property
    def size(self) -> int:
        """See `study.Study`."""
        return self.images.size

    @property
    def colours(self) -> None:
        """See `study.Study`: those of the backbone."""

    @property
    def units(self) -> None:
        """See `study.Study`: those of the backbone."""

    @property
    def augmentations(self) -> dict[str, Augment]:
        """See `study.Study`."""
        return {condition: self.augmentation(condition) for condition in self.conditions}

    def augmentation(self, condition: str) -> Augment:
        """The augmentation of a condition: `augment` with what the condition says differently."""
        return Augment.model_validate({**self.augment.model_dump(), **self.conditions[condition]})


class ParamsWithFinetuning(Params):
    """The parameters of a study that has study B beside study A."""

    training_stages: Finetuning


def load(path: str | Path) -> Params:
    """Read and check params.yaml.

    Raises:
        StudyError: the file is missing, is not YAML, or holds an unknown key, a missing key, a wrong type or
            an impossible value; the message names the first of them.
    """
    return parse(read(path), str(path))


def read(path: str | Path) -> Any:
    """The contents of params.yaml as they stand there, unchecked.

    Raises:
        StudyError: the file is missing or is not YAML.
    """
    try:
        # YAML 1.2, as DVC reads it: to YAML 1.1 parsers 1e-4 is a string and `on` a truth value.
        return YAML(typ="safe").load(Path(path))
    except FileNotFoundError as error:
        raise StudyError(
            str(path),
            expected="the parameters of the study",
            found="no such file",
            remedy="run from the top of the repository, or restore it with `git checkout params.yaml`",
        ) from error
    except YAMLError as error:
        raise StudyError(
            str(path), expected="YAML", found=yaml_problem(error), remedy="correct the line"
        ) from error


def parse(raw: Any, where: str) -> Params:
    """Check parameters that were read already.

    Raises:
        StudyError: as `load`.
    """
    without = isinstance(raw, dict) and raw.get("training_stages", ...) is None
    kind = Params if without else ParamsWithFinetuning
    try:
        return kind.model_validate(raw)
    except ValidationError as error:
        raise explained(error, where, kind) from None
