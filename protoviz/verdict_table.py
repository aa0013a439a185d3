"""The plain-text table of a study's findings, which `make repro` ends with."""

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

WIDTH = 100

_READOUTS = {"logistic": "logistic", "svm": "SVM", "adam": "Adam", "untrained_logistic": "untrained*"}


def table(found: Mapping[str, Any]) -> str:
    """The findings as text of at most `WIDTH` columns.

    Args:
        found: what `findings.collect` returns, or metrics/findings.json holds.
    """
    lines = [*_study(found["study"]), "", *_probe(found["study"]), "", *_heading(found["findings"])]
    for finding in found["findings"]:
        lines += ["", *_finding(finding)]
    return "\n".join([*lines, "", *_wrap(found["note"])]) + "\n"


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
    yield from _wrap(
        f"Findings of the paper, in the space {findings[0]['space']}: mean (least to greatest), "
        "and how many values have the sign that the paper says"
    )


def _finding(finding: Mapping[str, Any]) -> Iterator[str]:
    yield from _wrap(f"{finding['id']}  {finding['claim']}")
    verdict = f"{finding['direction'].upper()}, {finding['agrees']}"
    if finding["effect"] and finding["other_spaces"]:
        counts = [f"{number} {direction}" for direction, number in finding["other_spaces"].items()]
        verdict += f"; other spaces: {', '.join(counts)}"
    yield from _wrap(verdict, indent=4)
    for effect in finding["effect"]:
        yield from _effect(effect)
    for gap in finding["missing"]:
        yield from _wrap(f"not computed: {gap}", indent=4)


def _effect(effect: Mapping[str, Any]) -> Iterator[str]:
    """What was measured, then mean and range of every layer, as many in a line as fit."""
    *first, last = textwrap.wrap(f"{effect['quantity']}, {effect['unit']}", 76)
    yield from (f"    {line}" for line in first)
    yield f"    {last:<78}{effect['agrees']:>18}"
    sign = "+" if effect["bound"] == 0 else ""
    line = ""
    for layer, numbers in effect["layers"].items():
        mean, least, greatest = (f"{numbers[name]:{sign}g}" for name in ("mean", "least", "greatest"))
        cell = f"{layer} {mean} ({least} .. {greatest})"
        if line and len(line) + 2 + len(cell) > WIDTH:
            yield line
            line = ""
        line += f"  {cell}" if line else f"      {cell}"
    if line:
        yield line


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _wrap(text: str, indent: int = 0) -> list[str]:
    margin = " " * indent
    return textwrap.wrap(text, WIDTH, initial_indent=margin, subsequent_indent=margin + "    ")
