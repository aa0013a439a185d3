"""params.yaml of any study: of networks that it trains, or of checkpoints that it is given."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from protoviz.config import params
from protoviz.config.params import Params
from protoviz.config.series import SeriesStudy
from protoviz.config.validation_errors import explained


def parse(raw: Any, where: str) -> Params | SeriesStudy:
    """Check parameters that were read already; a study with `checkpoints` trains no networks.

    Raises:
        StudyError: as `params.load`.
    """
    if not (isinstance(raw, Mapping) and "checkpoints" in raw):
        return params.parse(raw, where)
    try:
        return SeriesStudy.model_validate(raw)
    except ValidationError as error:
        raise explained(error, where, SeriesStudy) from None
