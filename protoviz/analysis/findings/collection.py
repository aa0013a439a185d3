"""All findings of a study, in the main space and in every other, as JSON values."""

import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import xarray as xr

from protoviz.analysis.findings import (
    change,
    content,
    diversity,
    multimodality,
    prediction,
    seeds,
    statistics,
)
from protoviz.analysis.findings.evidence import Evidence, estimated, of_claim
from protoviz.analysis.findings.mode_means import what_starts_show
from protoviz.analysis.findings.study import Space, Study
from protoviz.store import schema

Compute = Callable[[Study, Space], Evidence]


@dataclass(frozen=True)
class Claim:
    """A finding of the paper: how it is computed, and which parts of a space it depends on."""

    compute: Compute
    axes: tuple[str, ...] = (schema.EMBEDDER, schema.DISTANCE, schema.MASKING)

    @property
    def text(self) -> str:
        """The docstring of the function: the claim that it tests on the study."""
        return textwrap.dedent(str(self.compute.__doc__)).strip().rstrip(".")


CLAIMS = {
    "F1": Claim(diversity.f1),
    "F2": Claim(diversity.f2),
    "F3": Claim(diversity.f3),
    "F4": Claim(diversity.f4, (schema.EMBEDDER, schema.MASKING)),
    "F5": Claim(diversity.f5),
    "F6": Claim(change.f6),
    "F7": Claim(change.f7),
    "F8": Claim(change.f8),
    "F9": Claim(change.f9),
    "F10": Claim(content.f10, (schema.MASKING,)),
    "F11": Claim(content.f11, ()),
    "F12": Claim(multimodality.f12, ()),
    "F13": Claim(seeds.f13, ()),
    "F14": Claim(prediction.f14),
}


def collect(study: Study, described: Mapping[str, Any]) -> dict[str, Any]:
    """All findings of a study and what accompanies them, as JSON values.

    Args:
        study: its stores.
        described: its description before the findings, see `about`.
    """
    evaluated: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in CLAIMS}
    for space in study.spaces:  # one after the other, since each has its own resampled means
        for name, claim in CLAIMS.items():
            if _speaks_of(claim, space, study):
                evaluated[name][" ".join(space.values())] = _evaluated(study, space, name)
    return {
        "study": dict(described),
        "note": note(len(study.distances[0])) + what_starts_show(study.modes),
        "findings": [_finding(name, study, evaluated[name]) for name in CLAIMS],
    }


def about(
    title: str, means: xr.Dataset, probes: Sequence[Mapping[str, Any]], chance: float | None
) -> dict[str, Any]:
    """The description of a study that precedes its findings, as JSON values.

    Args:
        title: of the study.
        means: layer means of all networks (metrics.combine).
        probes: the final accuracies, %, of each network: condition, run and one key for each read-out; none
            where there is no probe.
        chance: accuracy of guessing, %; None without a probe.
    """
    live = means[schema.LIVE_UNITS]
    whole = means["units"] * xr.ones_like(live)
    trained = means[schema.EPOCH] > 0
    return {
        "title": title,
        "conditions": [str(name) for name in means[schema.CONDITION].values],
        "runs": means[schema.RUN].values.tolist(),
        "repeats": means.sizes[schema.REPEAT],
        "epochs": means[schema.EPOCH].values.tolist(),
        "prototypes": int(whole.sum()),
        "excluded_percent": _excluded(live, whole),
        "excluded_percent_trained": _excluded(live.sel(epoch=trained), whole.sel(epoch=trained)),
        "chance": None if chance is None else round(chance, 2),
        "probe": [dict(row) for row in probes],
    }


def _excluded(live: xr.DataArray, whole: xr.DataArray) -> float | None:
    """Percent of units that are dead or diverged; None where there are none at all."""
    return float(f"{100 * (1 - float(live.sum()) / float(whole.sum())):.3g}") if whole.size else None


def note(runs: int) -> str:
    """What the verdicts mean with this many runs."""
    rule = (
        "Supported: the 95 % interval of every effect lies on the side of one that the paper says; not "
        "supported: that of at least one lies on the other side; undecided: neither. The run is the unit of "
        "replication; intervals are by hierarchical bootstrap (runs, repeats, units) with Student's t. "
    )
    if runs < 2:
        return rule + "With 1 run there is no interval, and nothing can be decided."
    floor, unmatched = statistics.sign_flip_floor(runs), statistics.permutation_floor(runs, runs)
    text = rule + (
        f"With {runs} runs a condition such an interval misses the truth in up to "
        f"{100 * statistics.error_rate(runs):.0f} % of studies, half of them on each side (simulated). p is "
        "that of the exact test that exchanges, within each run, the two sides of a comparison, which share "
        f"weights and data order; it cannot go below {floor:.3g} ({unmatched:.2g} if runs were not matched)"
    )
    return text + (", so no verdict here is a claim of significance." if floor > statistics.LEVEL else ".")


def _speaks_of(claim: Claim, space: Space, study: Study) -> bool:
    """Whether a space differs from the main one only in what the claim depends on."""
    main = study.main_space
    return all(axis in claim.axes or space[axis] == main[axis] for axis in space)


def _evaluated(study: Study, space: Space, name: str) -> dict[str, Any]:
    evidence = CLAIMS[name].compute(study, space)
    effects = [estimated(effect, name, *space.values()) for effect in evidence.effects]
    missing = [*evidence.missing, *(line for effect in effects for line in effect.pop("missing"))]
    whole = not evidence.missing
    verdict = of_claim((str(effect["verdict"]) for effect in effects), whole=whole)
    return {"verdict": verdict, "effects": effects, "missing": missing}


def _finding(name: str, study: Study, by_space: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    claim, main = CLAIMS[name], study.main_space
    here = by_space[" ".join(main.values())]
    verdicts = {
        space: found["verdict"] for space, found in by_space.items() if space != " ".join(main.values())
    }
    statement = f"{claim.text}: {here['verdict']}."
    if here["missing"]:
        statement += f" Not computed: {'; '.join(here['missing'])}."
    return {
        "id": name,
        "claim": claim.text,
        "verdict": here["verdict"],
        "statement": statement,
        "space": " ".join(main[axis] for axis in claim.axes),
        "effects": here["effects"],
        "missing": here["missing"],
        "elsewhere": _elsewhere(claim, study, verdicts),
        "by_space": verdicts,
        "n": {"runs": len(study.distances[0]), "repeats": study.first.sizes[schema.REPEAT]},
    }


def _elsewhere(claim: Claim, study: Study, verdicts: Mapping[str, str]) -> dict[str, str]:
    """The verdict with one thing changed: another mask, another embedder, the other distance."""
    main, found = study.main_space, {}
    for space in study.spaces:
        changed = [axis for axis in claim.axes if space[axis] != main[axis]]
        name = " ".join(space.values())
        if len(changed) == 1 and name in verdicts:
            found[space[changed[0]]] = verdicts[name]
    return found
