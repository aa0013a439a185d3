"""The results of studies in a few lines of Markdown, for the README."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from protoviz.analysis.findings.verdicts import NOT_SUPPORTED, SUPPORTED

SHOWN = (SUPPORTED, NOT_SUPPORTED)


def headline(studies_a: Sequence[Mapping[str, Any]], study_b: Mapping[str, Any]) -> str:
    """A table of what each study consists of, and what it found.

        headline([read_json("metrics/findings.json")], read_json("metrics/findings_stages.json"))

    Args:
        studies_a: what `findings.of_any` returns of studies of the paper's form.
        study_b: what the stage `findings_stages` writes.
    """
    rows = []
    for found in studies_a:
        about = found["study"]
        rows += [("A: " + about["title"], _made_a(about), _verdicts(found["findings"]))]
        rows += [("", "", _probe(about))] if about["probe"] else []
    rows += [("B: " + study_b["study"]["title"], _made_b(study_b["study"]), _verdicts(study_b["findings"]))]
    lines = ["| study | made of | what came of it |", "|---|---|---|"]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def _made_a(study: Mapping[str, Any]) -> str:
    networks = f"{len(study['conditions'])} conditions x {len(study['runs'])} runs"
    return f"{study['prototypes']:,} prototypes of {networks}, {len(study['epochs'])} epochs"


def _made_b(study: Mapping[str, Any]) -> str:
    states = len(study["training"])
    return f"{study['prototypes']:,} prototypes of {study['layers']} convolutions in {states} training states"


def _verdicts(findings: list[Mapping[str, Any]]) -> str:
    parts = [
        f"{verdict}: {', '.join(ids)}"
        for verdict in SHOWN
        if (ids := [one["id"] for one in findings if one["verdict"] == verdict])
    ]
    rest = sum(one["verdict"] not in SHOWN for one in findings)
    return "; ".join([*parts, *([f"undecided: {rest} of {len(findings)}"] if rest else [])])


def _probe(study: Mapping[str, Any]) -> str:
    """Mean accuracy of the logistic read-out of each condition."""
    means = []
    for condition in study["conditions"]:
        found = [one["logistic"] for one in study["probe"] if one["condition"] == condition]
        means.append(f"{condition} {np.mean(found):.1f} %")
    chance = f", chance {study['chance']:g} %" if study["chance"] is not None else ""
    return f"probe accuracy: {', '.join(means)}{chance}"
