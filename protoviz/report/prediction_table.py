"""The plain-text table of what prototypes predict."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from protoviz.report.text import shortened, wrap

LAYERS = 12  # of each measure; if there are more, evenly spaced ones
NAME = 30  # columns of a measure and a layer


def lines(found: Mapping[str, Any]) -> Iterator[str]:
    """The correlations of each measure of each layer with accuracy, as lines.

    Args:
        found: what `findings.predicted` returns.
    """
    yield "What prototypes predict"
    if found["rows"]:
        what = f"r with accuracy ({found['readout']})"
        yield f"  {what:<{NAME}}{'given epoch':>24}{'p':>9}{'within conditions':>24}{'p':>9}"
    for row in shown(found["rows"]):
        name = shortened(f"{row['measure']} {row['layer']}".replace("_", " "), NAME - 1)
        cells = (_cells(row[which]) for which in ("given_epoch", "within_conditions"))
        yield f"  {name:<{NAME}}" + "".join(cells)
    for gap in found["missing"]:
        yield from wrap(f"not computed: {gap}", indent=4)
    if found["note"]:
        yield from wrap(found["note"], indent=4)


def shown(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The rows to show: at most `LAYERS` layers of each measure."""
    layers = list(dict.fromkeys(row["layer"] for row in rows))
    step = -(-len(layers) // LAYERS)
    return [row for row in rows if row["layer"] in layers[::step]] if layers else []


def _cells(told: Mapping[str, Any] | None) -> str:
    if told is None:
        return f"{'-':>24}{'-':>9}"
    interval = "({:.2f} .. {:.2f})".format(*told["interval"]) if told["interval"] else ""
    r = f"{told['r']:.2f} {interval}"
    return f"{r:>24}{told['p']:>9.3g}"
