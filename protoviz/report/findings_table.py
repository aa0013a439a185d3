"""The plain-text table of a study's findings, which `make repro` ends with."""

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from protoviz.analysis.kinds import GENERAL
from protoviz.report import description_table, prediction_table
from protoviz.report.text import WIDTH
from protoviz.report.text import wrap as _wrap

QUANTITY = 48  # columns

MARKS = {"supported": "+", "not supported": "-", "undecided": "?"}
WITH = {"fixed": "fixed masks", "unmasked": "no masks"}

_READOUTS = {"logistic": "logistic", "svm": "SVM", "adam": "Adam", "untrained_logistic": "untrained*"}


def table(found: Mapping[str, Any]) -> str:
    """The findings as text of at most `WIDTH` columns.

    Args:
        found: what `findings.of_any` returns, or what metrics/findings.json holds.
    """
    lines = [*_study(found["study"]), ""]
    if found["study"]["probe"]:
        lines += [*_probe(found["study"]), ""]
    if found.get("kind") == GENERAL:
        lines += description_table.lines(found)
    else:
        lines += _heading(found["findings"])
        for finding in found["findings"]:
            lines += ["", *_finding(finding)]
    lines += ["", *_wrap(found["note"])]
    if "prediction" in found:
        lines += ["", *prediction_table.lines(found["prediction"])]
    if "beside" in found:
        lines += ["", *description_table.lines(found["beside"]), "", *_wrap(found["beside"]["note"])]
    return "\n".join(lines) + "\n"


def _study(study: Mapping[str, Any]) -> Iterator[str]:
    yield from _wrap(study["title"])
    conditions, runs = _count(len(study["conditions"]), "condition"), _count(len(study["runs"]), "run")
    epochs = ", ".join(map(str, study["epochs"]))
    if len(study["epochs"]) > 12:
        epochs = f"{len(study['epochs'])} from {study['epochs'][0]} to {study['epochs'][-1]}"
    yield from _wrap(f"{conditions}, {runs}, {_count(study['repeats'], 'repeat')}; epochs {epochs}")
    trained = study["excluded_percent_trained"]
    yield from _wrap(
        f"{study['prototypes']:,} prototypes, "
        f"of which {study['excluded_percent']:g} % are left out as dead or diverged"
        + (f" ({trained:g} % in trained networks)" if trained is not None else "")
    )


def _probe(study: Mapping[str, Any]) -> Iterator[str]:
    names = [name for name in _READOUTS if any(name in row for row in study["probe"])]
    networks = [f"  {row['condition']} run {row['run']}" for row in study["probe"]]
    label = min(max(26, *map(len, networks)), WIDTH - 12 * (len(names) + 1))
    heads = [*(_READOUTS[name] for name in names), "chance"]
    yield f"{'Probe accuracy, %':<{label}}" + "".join(f"{head:>12}" for head in heads)
    for network, row in zip(networks, study["probe"], strict=True):
        numbers = [f"{row[name]:.1f}" if name in row else "-" for name in names]
        cells = "".join(f"{number:>12}" for number in [*numbers, f"{study['chance']:.1f}"])
        yield f"{network[:label]:<{label}}{cells}"
    if "untrained_logistic" in names:
        yield "  * logistic read-out of the network before training"


def _heading(findings: list[Mapping[str, Any]]) -> Iterator[str]:
    floors = {effect["p_floor"] for found in findings for effect in found["effects"] if effect["p_floor"]}
    p = f"p >= {max(floors):.3g}" if floors else "p"  # of paired runs; that of F14 lies below
    yield from _wrap(
        f"Findings of the paper, in the space {findings[0]['space']}. Every effect is a ratio, and the paper "
        "says on which side of 1 it lies; + it does, - it lies on the other side, ? undecided."
    )
    yield f"{'':<{QUANTITY + 8}}{'times':>8}{'95 % interval':>18}{p:>10}{'runs':>8}"


def _finding(finding: Mapping[str, Any]) -> Iterator[str]:
    yield from _wrap(f"{finding['id']}  {finding['claim']}")
    verdict = finding["verdict"].upper()
    if finding["effects"] and finding["elsewhere"]:
        verdict += "; " + ", ".join(
            f"{WITH.get(name, name)} {other}" for name, other in finding["elsewhere"].items()
        )
        same = sum(other == finding["verdict"] for other in finding["by_space"].values())
        if len(finding["by_space"]) > len(finding["elsewhere"]):
            verdict += f"; the same in {same} of {len(finding['by_space'])} other spaces"
    yield from _wrap(verdict, indent=4)
    for effect in finding["effects"]:
        yield from _effect(effect)
    for gap in finding["missing"]:
        yield from _wrap(f"not computed: {gap}", indent=4)


def _effect(effect: Mapping[str, Any]) -> Iterator[str]:
    """What was measured, how large it is, its interval, p, and how many runs agree."""
    mark = MARKS.get(effect["verdict"], " ")
    *first, last = textwrap.wrap(effect["quantity"], QUANTITY)
    yield from (f"    {line}" for line in first)
    side = "> 1" if effect["claim"] == "above" else "< 1"
    interval = " .. ".join(_number(end) for end in effect["interval"]) if effect["interval"] else "-"
    p = "-" if effect["p"] is None else f"{effect['p']:.3g}"
    yield (
        f"  {mark} {last:<{QUANTITY}} {side}{_number(effect['times']):>8}{interval:>18}{p:>10}"
        f"{effect['agreeing']:>8}"
    )


def _number(value: float | None) -> str:
    """A ratio with three digits; above a thousand its size has no meaning."""
    if value is None:
        return "-"
    return "> 999" if value > 999 else "< 0.001" if value < 0.001 else f"{value:.3g}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
