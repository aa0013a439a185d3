"""The parameters of modes: how many different images drive a unit, judged by independent starts.

This is a section of its own, not a part of `synthesis`: the stage `synthesize` depends on all of that one, so
another number of starts would make every prototype stale, though none of them would change.
"""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from protoviz.config.section import Count, Distinct, Natural, Positive, Section
from protoviz.config.validation_errors import invalid, require_known


class Modes(Section):
    """Which units are started again, how often, and when two starts count as one mode.

    `runs`: the runs whose units are started again; none: the study has no modes. `method`: `restarts` are
    independent; the images of `diversity` are optimised together and pushed apart with `weight`, a share of
    the unit's response (Olah et al. 2017). `restarts`: number of starts, or of images that are pushed apart,
    for each unit; one shows one mode at most. `epochs`, `per_layer`: null for all that are kept, all units.
    `share`: the share of the unit's best activation that a start has to reach. `confidence`: the probability
    with which a unit of one mode is not taken for one of several, by the distances between twins: one start,
    ascended twice under other transforms. `jitter`, px: where the recipe has no transforms, all starts are
    made under this one, since without any a twin is the same image. `linkage`: of clusters. `kept`: number of
    images of modes in the store for each unit, those of most starts first.
    """

    runs: Annotated[list[Natural], Distinct]
    method: Literal["restarts", "diversity"]
    restarts: Count
    epochs: Annotated[list[Natural], Field(min_length=1), Distinct] | None
    per_layer: Count | None
    share: Annotated[float, Field(gt=0, le=1)]
    confidence: Annotated[float, Field(gt=0, lt=1)]
    linkage: Literal["single", "average", "complete"]
    jitter: Positive
    weight: Positive
    kept: Count

    def of(self, epochs: Sequence[int]) -> list[int]:
        """The epochs at which units are started again, of those that are analysed, in their order."""
        return [epoch for epoch in epochs if self.epochs is None or epoch in self.epochs]

    def require_fit(self, runs: Sequence[int], epochs: Sequence[int], steps: int) -> None:
        """Refuse runs and epochs that the study does not have, and a recipe that a twin repeats to the bit.

        Args:
            runs: of the study.
            epochs: that it analyses.
            steps: of the ascent.

        Raises:
            ValueError: the study lacks one of them, or the twin would be the same image.
        """
        require_known(self.runs, runs, at="modes.runs")
        require_known(self.epochs, epochs, at="modes.epochs")
        if self.runs and not steps:
            raise invalid(
                "no runs, as an ascent of no steps leaves nothing to chance", str(self.runs), at="modes.runs"
            )


NO_MODES = Modes(
    runs=[],
    method="restarts",
    restarts=8,
    epochs=None,
    per_layer=None,
    share=0.8,
    confidence=0.95,
    linkage="single",
    jitter=1.0,
    weight=0.5,
    kept=4,
)
"""Those of a study that does not ask for them, and what serves most where it does."""
