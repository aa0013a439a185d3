"""The findings of any study: each measure of each layer, and each pair of conditions compared.

Nothing is claimed beforehand, so there are no verdicts on claims: a comparison says which condition is
higher, or that this cannot be told.
"""

import itertools
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np

from protoviz.analysis.findings import contrasts, statistics
from protoviz.analysis.findings.measures import MEASURES, NO_UNITS, Absent, Measure, Taken
from protoviz.analysis.findings.mode_means import what_starts_show
from protoviz.analysis.findings.statistics import Floats
from protoviz.analysis.findings.study import DRAW, Space, Study
from protoviz.analysis.kinds import GENERAL
from protoviz.store import schema

UNTRAINED = "untrained_"  # prefix of the names of read-outs of networks before training
ValuesOf = Callable[[str], Floats]  # condition -> (1 + D, R)


def describe(
    study: Study, described: Mapping[str, Any], *, matched: bool, only: Collection[str] | None = None
) -> dict[str, Any]:
    """All measures of a study and the comparisons of its conditions, as JSON values.

    Args:
        study: its stores.
        described: its description before the findings, see `collection.about`.
        matched: whether, in one run, all conditions share their random choices; see `contrasts.compared`.
        only: names of measures; by default all, and the read-outs.

    Returns:
        `measures`, each with its name, what it is, when it was taken, unit, and either `layers` or the reason
        why there are none, `missing`. A layer (None for a whole network) has `conditions`, `comparisons` and
        `missing`, words on what could not be computed.
    """
    writer = _Writer([str(name) for name in described["conditions"]], study.runs, matched)
    measures = [one for one in MEASURES if only is None or one.name in only]
    found = _of_layers(study, measures, writer)
    if only is None:
        found += _of_probes(described["probe"], writer)
    number = sum(len(layer["comparisons"]) for one in found for layer in one["layers"])
    return {
        "kind": GENERAL,
        "study": dict(described),
        "note": note(len(study.runs), len(writer.conditions), number, matched=matched)
        + what_starts_show(study.modes),
        "space": " ".join(study.main_space.values()),
        "measures": found,
    }


def note(runs: int, conditions: int, comparisons: int, *, matched: bool) -> str:
    """What intervals and p mean with this many runs."""
    text = (
        "The run is the unit of replication. Values are means over runs, geometric ones where a measure is "
        "compared by ratios; intervals (95 %) are by hierarchical bootstrap (runs, repeats, units) with "
        "Student's t. "
    )
    if runs < 2:
        return text + "With 1 run there is no interval and no p: nothing here tells an effect from chance."
    if conditions < 2:
        return text + "With one condition there is nothing to compare."
    if matched:
        how = "exchanges the two conditions within each run, in which they share weights and data order"
        rate, floor = statistics.error_rate(runs), statistics.sign_flip_floor(runs)
    else:
        how = "exchanges runs between the two conditions, which are taken not to be matched"
        rate, floor = statistics.error_rate_of_difference(runs), statistics.permutation_floor(runs, runs)
    return (
        f"{text}A comparison says higher or lower where its interval leaves out 1 (a ratio) or 0 (a "
        f"difference). With {runs} runs a condition that happens in up to {100 * rate:.0f} % of comparisons "
        f"in which nothing differs (simulated), and {comparisons:,} are made here: no interval and no p is "
        f"corrected for their number. p is that of the exact test that {how}; it cannot go below {floor:.3g}"
        + (", so nothing here is a claim of significance." if floor > statistics.LEVEL else ".")
    )


class _Writer:
    """Turns the values of all conditions in one layer into JSON values."""

    def __init__(self, conditions: Sequence[str], runs: Sequence[int], matched: bool) -> None:
        self.conditions, self.runs, self.matched = conditions, runs, matched
        self.pairs = list(itertools.combinations(conditions, 2))

    def layer(self, values: ValuesOf, name: str, layer: str | None, *, ratio: bool) -> dict[str, Any]:
        address = (name, layer or "")
        conditions, missing = [], []
        for condition in self.conditions:
            of = values(condition)
            said = contrasts.described(of, self.runs, *address, condition, ratio=ratio)
            conditions.append({"condition": condition, **said})
            absent = [run for run, value in zip(self.runs, of[0], strict=True) if not np.isfinite(value)]
            if absent:
                missing.append(f"{condition}: {NO_UNITS} in run {', '.join(map(str, absent))}")
            elif said["interval"] is None and len(self.runs) > 1:
                missing.append(f"{condition}: too few units for an interval")
        comparisons = [
            {"first": first, "second": second, **self.compared(values, first, second, *address, ratio=ratio)}
            for first, second in self.pairs
        ]
        return {
            "layer": layer,
            "conditions": conditions,
            "comparisons": comparisons,
            "missing": missing,
        }

    def compared(
        self, values: ValuesOf, first: str, second: str, *address: str, ratio: bool
    ) -> dict[str, Any]:
        return contrasts.compared(
            values(first), values(second), *address, first, second, ratio=ratio, matched=self.matched
        )


def _of_layers(study: Study, measures: Sequence[Measure], writer: _Writer) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for layer in study.layers:
        part = study.of_layer(layer)
        for measure in measures:
            said = found.setdefault(measure.name, _heading(measure))
            taken = measure.take(part.measures(part.main_space))
            if isinstance(taken, Absent):
                said["missing"] = [taken.why]
                continue
            said["when"] = taken.when
            said["layers"].append(
                writer.layer(_by_condition(taken), measure.name, layer, ratio=measure.ratio)
            )
        for space in _neighbours(part) if writer.pairs else ():
            _add_verdicts(found, measures, part, space, writer)
    return list(found.values())


def _heading(measure: Measure) -> dict[str, Any]:
    said = {"name": measure.name, "text": measure.text, "when": None, "unit": measure.unit}
    return {**said, "layers": [], "missing": []}


def _by_condition(taken: Taken) -> ValuesOf:
    """The values of the only layer."""
    values = taken.values.isel(layer=0).transpose(schema.CONDITION, DRAW, schema.RUN)
    found: dict[str, Floats] = dict(zip(values[schema.CONDITION].values, values.values, strict=True))
    return found.__getitem__


def _neighbours(study: Study) -> list[Space]:
    """The spaces that differ from the main one in one thing: another mask, embedder or distance."""
    main = study.main_space
    return [space for space in study.spaces if len(_changed(space, main)) == 1]


def _changed(space: Space, main: Space) -> list[str]:
    return [axis for axis in space if space[axis] != main[axis]]


def _add_verdicts(
    found: Mapping[str, dict[str, Any]],
    measures: Sequence[Measure],
    study: Study,
    space: Space,
    writer: _Writer,
) -> None:
    """Add to each comparison in the last layer its verdict in another space."""
    (axis,) = _changed(space, study.main_space)
    for measure in measures:
        said = found[measure.name]
        if axis not in measure.axes or said["missing"]:
            continue
        taken = measure.take(study.measures(space))
        assert not isinstance(taken, Absent)  # what is absent is absent in every space
        values = _by_condition(taken)
        last = said["layers"][-1]
        for comparison in last["comparisons"]:
            pair = comparison["first"], comparison["second"]
            address = (measure.name, str(last["layer"]), *space.values())
            there = writer.compared(values, *pair, *address, ratio=measure.ratio)
            comparison.setdefault("elsewhere", {})[space[axis]] = there["verdict"]


def _of_probes(rows: Sequence[Mapping[str, Any]], writer: _Writer) -> list[dict[str, Any]]:
    """The accuracy of each read-out of the trained networks: one for a whole network, not resampled."""
    names = [name for name in (rows[0] if rows else {}) if name not in (schema.CONDITION, schema.RUN)]
    trained = [name for name in names if not name.startswith(UNTRAINED)]
    if not trained:
        why = ["the study has no probe"]
        return [
            {"name": "probe", "text": "accuracy", "when": None, "unit": "%", "layers": [], "missing": why}
        ]
    found = []
    for name in trained:
        table = {(row[schema.CONDITION], row[schema.RUN]): float(row[name]) for row in rows}

        def of(condition: str, table: Mapping[tuple[str, int], float] = table) -> Floats:
            observed = np.array([table[condition, run] for run in writer.runs])
            return np.tile(observed, (statistics.DRAWS + 1, 1))

        said = {"name": f"probe_{name}", "text": f"test accuracy of the {name} read-out"}
        layer = writer.layer(of, f"probe_{name}", None, ratio=False)
        found.append({**said, "when": "the last epoch", "unit": "%", "layers": [layer], "missing": []})
    return found
