"""The curves of a study as the page draws them: panels of series, from the CSV files for `dvc plots`."""

from collections.abc import Iterable, Mapping
from typing import Any

Row = Mapping[str, str]

MEASURES = {  # group of curves -> its name and the meaning of its values; these groups come first
    "diversity": ("diversity", "mean distance between units"),
    "rate_of_change": ("rate of change", "distance to the kept epoch before"),
    "between_repeats": ("between repeats", "distance between repeats"),
    "modes": ("modes", "different images that drive a unit"),
    "meeting": ("meeting", "chance that two starts end in one mode"),
    "reaching": ("reaching", "starts that drive a unit nearly as well as the best"),
    "spread": ("spread of modes", "distance between starts / between units"),
    "faithfulness": ("faithfulness", "1: seen as images of the unit, 0: of others"),
    "probe": ("probe accuracy", "%"),
    "training": ("training loss", ""),
}


def groups(curves: Mapping[str, Iterable[Row]], layers: Iterable[str]) -> list[dict[str, Any]]:
    """Curves that are shown side by side: the same measure in every layer, or with every read-out.

    Args:
        curves: name such as "diversity_layer1" or "probe_svm" -> rows with condition, run, perhaps repeat,
            epoch and value.
        layers: of the cube; if the end of a name is not one of them, it names the panel nevertheless.

    Returns:
        Groups: `name`, `unit`, `panels`, each with `name`, `layer` or None, `series`, each with
        condition, run, repeat or None and `points`, pairs of epoch and value.
    """
    layers = list(layers)
    found: dict[str, list[dict[str, Any]]] = {}
    for name, rows in sorted(curves.items()):
        ends = [one for one in layers if name.endswith(f"_{one}")]
        layer = max(ends, key=len, default=None)  # one layer's name may end with another's
        group, _, last = name.rpartition("_")
        if layer is not None:
            group, last = name.removesuffix(f"_{layer}"), layer
        panel = {"name": last, "layer": layer, "series": _series(rows)}
        found.setdefault(group or last, []).append(panel)
    order = [*(name for name in MEASURES if name in found), *(name for name in found if name not in MEASURES)]
    names = {name: MEASURES.get(name, (name.replace("_", " "), "")) for name in order}
    return [{"name": names[group][0], "unit": names[group][1], "panels": found[group]} for group in order]


def _series(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """One line for each condition, run and repeat, in the order in which they come."""
    found: dict[tuple[str, int, int | None], list[list[float]]] = {}
    for row in rows:
        repeat = int(row["repeat"]) if row.get("repeat") else None
        line = found.setdefault((row["condition"], int(row["run"]), repeat), [])
        line.append([int(row["epoch"]), float(f"{float(row['value']):.5g}")])
    return [
        {"condition": condition, "run": run, "repeat": repeat, "points": points}
        for (condition, run, repeat), points in found.items()
    ]
