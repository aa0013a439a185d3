# ruff: noqa: D102 (sections are described in params.yaml and at their classes)
"""What the parameters of every study have, wherever its networks come from."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from protoviz.config.analysis import Atlas, Distances, Figures, NaturalImages, ReceptiveFields
from protoviz.config.finetuning import Finetuning, Maps
from protoviz.config.image_size import Size
from protoviz.config.learning import Probe
from protoviz.config.matching import Matching
from protoviz.config.modes import Modes
from protoviz.config.synthesis import Synthesis

if TYPE_CHECKING:
    from protoviz.config.learning import Augment
    from protoviz.config.params import Compute, Images, Prior


class Study(Protocol):
    """The parameters that stages of all studies read; see params.yaml."""

    @property
    def title(self) -> str: ...
    @property
    def compute(self) -> "Compute": ...
    @property
    def images(self) -> "Images | None": ...
    @property
    def conditions(self) -> Mapping[str, Mapping[str, Any]]: ...
    @property
    def runs(self) -> Sequence[int]: ...
    @property
    def prior(self) -> "Prior": ...
    @property
    def receptive_fields(self) -> ReceptiveFields: ...
    @property
    def synthesis(self) -> Synthesis: ...
    @property
    def distances(self) -> Distances: ...
    @property
    def natural(self) -> NaturalImages | None: ...
    @property
    def modes(self) -> Modes: ...
    @property
    def matching(self) -> Matching: ...
    @property
    def probe(self) -> Probe | None: ...
    @property
    def projection(self) -> Maps: ...
    @property
    def figures(self) -> Figures: ...
    @property
    def atlas(self) -> Atlas: ...

    @property
    def training_stages(self) -> Finetuning | None: ...

    @property
    def augmentations(self) -> "Mapping[str, Augment]":
        """The augmentation of each condition; none for networks that were trained elsewhere."""

    @property
    def epochs(self) -> Sequence[int]:
        """The epochs whose checkpoints are analysed, ascending."""

    @property
    def starts_untrained(self) -> bool:
        """Whether epoch 0 is the network before training: some trainers number their first epoch 0."""

    @property
    def size(self) -> Size:
        """The size of the images that the networks see, px."""

    @property
    def colours(self) -> tuple[Sequence[float], Sequence[float]] | None:
        """Mean and deviation of the RGB values that the networks were trained with; None: ImageNet's."""

    @property
    def units(self) -> "tuple[Sequence[str], int | None] | None":
        """Layers, and how many channels of each (None: all); None: what the networks name themselves."""


def require_sections_fit(study: Study) -> None:
    """Refuse sections that ask for runs or epochs that the study does not have.

    Raises:
        ValueError: the study lacks one of them.
    """
    study.modes.require_fit(study.runs, study.epochs, study.synthesis.ascent.steps)
    study.matching.require_fit(study.epochs)
    study.atlas.require_fit(study.runs)
