"""Turns what is wrong with a parameter into the one error that users see."""

import difflib
import re
from collections.abc import Collection
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from protoviz.errors import StudyError, said

OWN = "invalid"
LONGEST_VALUE = 60  # characters shown

# Pydantic's own words in the place of an error: for a key, and for each type that a value may have.
INNER = r"\[key\]$|literal\[|tuple\[|constrained-(int|float)$"

# What pydantic's kinds of errors ask for, in the user's words; {ge} and so on come from its context.
EXPECTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "string_type": "text",
    "bool_type": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a block of parameters, {{}} for none",
    "model_type": "a block of parameters",
    "literal_error": "{expected}",
    "greater_than": "a number above {gt}",
    "greater_than_equal": "a number of at least {ge}",
    "less_than": "a number below {lt}",
    "less_than_equal": "a number of at most {le}",
    "multiple_of": "a multiple of {multiple_of}",
    "too_short": "at least {min_length} entries",
    "too_long": "at most {max_length} entries",
    "string_pattern_mismatch": "text of the form {pattern}",
}


def invalid(
    expected: str, found: str, remedy: str = "correct the value", *, at: str = ""
) -> PydanticCustomError:
    """The error for a validator to raise; `at` is the parameter's name below the validated section."""
    context = {"expected": expected, "found": found, "remedy": remedy, "at": at}
    return PydanticCustomError(OWN, "{expected}", context)


def require_known(asked: Collection[object] | None, known: Collection[object], *, at: str) -> None:
    """Refuse what a study does not have; null asks for all that it has.

    Raises:
        ValueError: something asked for is not known.
    """
    if strange := [one for one in asked or () if one not in known]:
        raise invalid(f"some of {', '.join(map(str, known))}", str(strange[0]), at=at)


def nested(error: ValidationError, at: str, model: type[BaseModel]) -> PydanticCustomError:
    """The first problem of a validation within a validation."""
    problem = _problem(error.errors()[0], model)
    inner = ".".join(part for part in (at, problem["at"]) if part)
    return invalid(problem["expected"], problem["found"], problem["remedy"], at=inner)


def explained(error: ValidationError, where: str, model: type[BaseModel]) -> StudyError:
    """The first problem as one line; further ones are counted.

    Args:
        error: what pydantic found.
        where: the file.
        model: what was validated, to guess what a misspelt name was meant to be.
    """
    # A misspelt name is also a missing one: the spelling says more.
    details = sorted(error.errors(), key=lambda detail: detail["type"] != "extra_forbidden")
    problems = [_problem(detail, model) for detail in details]
    first = problems[0]
    # For a value of several possible types, each type reports what it expected.
    expected = dict.fromkeys(problem["expected"] for problem in problems if problem["at"] == first["at"])
    others = len({problem["at"] for problem in problems}) - 1
    return StudyError(
        f"{where}: {first['at']}" if first["at"] else where,
        expected=" or ".join(expected),
        found=first["found"] + (f" (and {others} more)" if others else ""),
        remedy=first["remedy"],
    )


def yaml_problem(error: YAMLError) -> str:
    """What the parser stumbled over, and the line."""
    if isinstance(error, MarkedYAMLError) and error.problem_mark is not None:
        return f"{error.problem} in line {error.problem_mark.line + 1}"
    return said(error)


def _problem(detail: ErrorDetails, model: type[BaseModel]) -> dict[str, str]:
    """`at`, `expected`, `found` and `remedy` of one of pydantic's errors."""
    place = [str(part) for part in detail["loc"] if not re.match(INNER, str(part))]
    context, kind = detail.get("ctx", {}), detail["type"]
    if kind == OWN:
        at = ".".join(part for part in (*place, context["at"]) if part)
        return {"at": at, **{name: context[name] for name in ("expected", "found", "remedy")}}
    at = ".".join(place)
    if kind == "extra_forbidden":
        close = difflib.get_close_matches(place[-1], _names(model, place[:-1]), n=1)
        remedy = f"did you mean {close[0]!r}?" if close else "correct its spelling or remove it"
        return {
            "at": at,
            "expected": "a parameter that exists",
            "found": f"an unknown name, {place[-1]!r}",
            "remedy": remedy,
        }
    if kind == "missing":
        return {"at": at, "expected": "a value", "found": "none", "remedy": "add the parameter"}
    found = " ".join(repr(detail["input"]).split())
    found = "nothing" if found == "None" else found
    found = found if len(found) <= LONGEST_VALUE else f"{found[:LONGEST_VALUE]}..."
    if "[key]" in detail["loc"]:
        remedy = "rename it, as stages and folders are named after it"
        return {
            "at": at,
            "expected": "a condition name of a-z, 0-9 and _ only",
            "found": found,
            "remedy": remedy,
        }
    expected = EXPECTED[kind].format(**context) if kind in EXPECTED else detail["msg"]
    return {"at": at, "expected": expected, "found": found, "remedy": "correct the value"}


def _names(model: type[BaseModel], place: list[str]) -> list[str]:
    """The parameters that exist in the section at `place`."""
    section: Any = model
    for part in place:
        field = section.model_fields.get(part)
        if (
            field is None
            or not isinstance(field.annotation, type)
            or not issubclass(field.annotation, BaseModel)
        ):
            return []
        section = field.annotation
    return list(section.model_fields)
