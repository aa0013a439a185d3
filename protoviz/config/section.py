"""The base class of every block of parameters, and the types of its numbers."""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from protoviz.config.validation_errors import invalid

Probability = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Natural = Annotated[int, Field(ge=0)]


def _distinct(values: list[Any]) -> list[Any]:
    for value in values:
        if values.count(value) > 1:
            raise invalid("each entry once", f"{value!r} twice", "list it once")
    return values


Distinct = AfterValidator(_distinct)


class Section(BaseModel):
    """A block of params.yaml: immutable, strict types, no unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)
