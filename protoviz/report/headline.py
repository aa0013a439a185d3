"""The results of studies as tables in Markdown, for the README."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def headline(studies_a: Sequence[Mapping[str, Any]], study_b: Mapping[str, Any]) -> str:
    """Three tables: what each study consists of, and the verdicts on the claims of A and of B.

        headline([read_json("metrics/findings.json")], read_json("metrics/findings_stages.json"))

    Args:
        studies_a: what `findings.of_any` returns of studies of the paper's form, which have the same claims.
        study_b: what the stage `findings_stages` writes.
    """
    titles = [found["study"]["title"] for found in studies_a]
    about_b = study_b["study"]
    made = [
        *((f"A: {title}", *_made_a(found["study"])) for title, found in zip(titles, studies_a, strict=True)),
        (f"B: {about_b['title']}", _made_b(about_b), ""),
    ]
    verdicts = [
        (f"{one[0]['id']} {one[0]['claim']}", *(finding["verdict"] for finding in one))
        for one in zip(*(found["findings"] for found in studies_a), strict=True)
    ]
    of_b = [(f"{one['id']} {one['claim']}", one["verdict"]) for one in study_b["findings"]]
    return "\n\n".join(
        [
            _table(("study", "prototypes", "probe accuracy"), made),
            _table(("claim", *(f"A: {title}" for title in titles)), verdicts),
            _table(("claim", "B"), of_b),
        ]
    )


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _made_a(study: Mapping[str, Any]) -> tuple[str, str]:
    networks = f"{len(study['conditions'])} conditions x {len(study['runs'])} runs"
    made = f"{study['prototypes']:,} of {networks}, {len(study['epochs'])} epochs"
    return made, _probe(study) if study["probe"] else ""


def _made_b(study: Mapping[str, Any]) -> str:
    states = len(study["training"])
    return f"{study['prototypes']:,} of {study['layers']} convolutions in {states} training states"


def _probe(study: Mapping[str, Any]) -> str:
    """Mean accuracy of the logistic read-out of each condition."""
    means = []
    for condition in study["conditions"]:
        found = [one["logistic"] for one in study["probe"] if one["condition"] == condition]
        means.append(f"{condition} {np.mean(found):.1f} %")
    chance = f", chance {study['chance']:g} %" if study["chance"] is not None else ""
    return f"{', '.join(means)}{chance}"
