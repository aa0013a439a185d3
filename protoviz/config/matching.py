"""The parameters of matching units over runs and conditions."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from protoviz.config.section import Count, Distinct, Natural, Section
from protoviz.config.validation_errors import require_known


class Matching(Section):
    """Which unit of one network is which of another: `epochs`, null for all; how chance is estimated.

    `null_draws`: number of pairings of networks that share nothing, and of networks that share all but the
    units. `error`: the share of units that count as matched where nothing is shared.
    """

    epochs: Annotated[list[Natural], Field(min_length=1), Distinct] | None
    null_draws: Count
    error: Annotated[float, Field(gt=0, lt=1)]

    def of(self, epochs: Sequence[int]) -> list[int]:
        """The epochs at which units are matched, of those that are analysed, in their order."""
        return [epoch for epoch in epochs if self.epochs is None or epoch in self.epochs]

    def require_fit(self, epochs: Sequence[int]) -> None:
        """Refuse epochs that the study does not analyse.

        Raises:
            ValueError: the study does not analyse one of them.
        """
        require_known(self.epochs, epochs, at="matching.epochs")
