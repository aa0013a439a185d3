"""The findings of a study of one condition at a glance: each measure of each layer, in numbers."""

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from protoviz.report.figures.contrasts import heading, most_layers
from protoviz.report.figures.forest import CLAIM, ROW
from protoviz.report.figures.style import FOOTER, HEADER, INK, MARGIN, SOFT, WIDTH, Page, count, styled
from protoviz.report.text import shortened, spread


@styled
def measured(found: Mapping[str, Any], title: str) -> Figure:
    """Each measure of each layer with its interval; there is nothing to compare it with.

    Args:
        found: what `findings.describe` returns, with one condition.
        title: of the data set.
    """
    measures = [one for one in found["measures"] if one["layers"]]
    layers = most_layers(len(measures))
    blocks = [(measure, spread(measure["layers"], layers)) for measure in measures]
    height = sum(CLAIM + ROW * len(rows) for _, rows in blocks)
    top = HEADER + 0.2
    page = Page(WIDTH, top + height + 0.4 + FOOTER)
    place = top
    for measure, rows in blocks:
        page.text(MARGIN, place + 0.26, heading(measure), 10.5, bold=True)
        place += CLAIM
        for layer in rows:
            (of,) = layer["conditions"]
            page.text(
                MARGIN + 0.42, place + 0.17, shortened(layer["layer"] or "the network", 34), 10, colour=INK
            )
            page.text(WIDTH - MARGIN, place + 0.17, _numbers(of, measure["unit"]), 9, colour=SOFT, ha="right")
            place += ROW
    study = found["study"]
    several, most = len(study["runs"]) > 1, max(len(measure["layers"]) for measure in measures)
    page.frame(
        "What was measured",
        f"Each measure of each layer. One condition, {study['conditions'][0]}: there is nothing to compare.",
        [
            title,
            f"n = {count(len(study['runs']), 'run')} \u00d7 {count(study['repeats'], 'repeat')}",
            f"space: {found['space']}",
            "in brackets: 95 % interval (hierarchical bootstrap, Student's t)"
            if several
            else "one run: no intervals",
            f"{layers} of {most} layers" if layers < most else "",
        ],
    )
    return page.figure


def _numbers(of: Mapping[str, Any], unit: str) -> str:
    if of["value"] is None:
        return "not computed"
    interval = " ({:.3g} .. {:.3g})".format(*of["interval"]) if of["interval"] else ""
    return f"{of['value']:.3g}{interval}{f' {unit}' if unit else ''}"
