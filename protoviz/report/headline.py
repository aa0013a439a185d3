"""The results of both studies in a few lines of Markdown, for the README."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from protoviz.analysis.findings.verdicts import NOT_SUPPORTED, SUPPORTED

SHOWN = (SUPPORTED, NOT_SUPPORTED)


def headline(study_a: Mapping[str, Any], study_b: Mapping[str, Any]) -> str:
    """A table: what each study consists of, and what came of it.

        headline(read_json("metrics/findings.json"), read_json("metrics/findings_stages.json"))

    Args:
        study_a: what `findings.of_any` returns of a study of the paper's form.
        study_b: what the stage `findings_stages` writes.
    """
    rows = [("A: " + study_a["study"]["title"], _made_a(study_a["study"]), _verdicts(study_a["findings"]))]
    rows += [("", "", _probe(study_a["study"]))] if study_a["study"]["probe"] else []
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
