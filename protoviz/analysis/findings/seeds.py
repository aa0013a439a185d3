"""Whether what a network learns is the same in every run (F13), from pairs of runs."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import xarray as xr

from protoviz.analysis.findings.evidence import Effect, Evidence
from protoviz.analysis.findings.pairs import LEAST_RUNS, contributions, over_pairs
from protoviz.analysis.findings.statistics import Floats
from protoviz.analysis.findings.study import DRAW, Space, Study
from protoviz.store import schema
from protoviz.store import schema_matching as names


def f13(study: Study, space: Space) -> Evidence:
    """What a network learns is the same in every run: units have partners, beyond a common space."""
    del space  # responses have none
    store = study.matching
    if store is None or not np.isfinite(store[names.SHARE_MATCHED]).any():
        return Evidence((), ("units were not matched over runs by responses to natural images",))
    if len(study.runs) < LEAST_RUNS:
        return Evidence((), ("what is said of pairs of runs needs three runs",))
    error = float(store.attrs["error"])
    # Where no unit is counted, half a unit over all pairs is, so that the logarithm exists, but never so much
    # that it would pass for more than chance.
    compared = np.maximum(store[names.COMPARED_UNITS].values, 1).max((0, 1))
    least = np.minimum(0.5 / (compared * math.comb(len(study.runs), 2)), error / 2)

    def share(condition: str, runs: Sequence[int], name: str) -> Floats:
        return np.log(np.maximum(over_pairs(store, name, condition, runs), least) / error)

    def beyond(condition: str, runs: Sequence[int]) -> Floats:
        return _ratio(*(over_pairs(store, name, condition, runs) for name in (names.MATCHED, names.TURNED)))

    wanted: list[tuple[str, Callable[[str, Sequence[int]], Floats]]] = [
        ("units with a partner, found / by chance", lambda c, r: share(c, r, names.SHARE_MATCHED)[-1]),
        ("correlation of partners / of units turned at random", lambda c, r: beyond(c, r)[-1]),
    ]
    missing: tuple[str, ...] = ()
    if store.sizes[schema.EPOCH] > 1:
        wanted.append(("that ratio, last epoch / untrained", lambda c, r: beyond(c, r)[-1] - beyond(c, r)[0]))
    else:
        missing += ("what training adds needs the untrained network and a trained epoch",)
    if np.isfinite(store[names.AGREEMENT]).any():

        def same(condition: str, runs: Sequence[int]) -> Floats:
            found, chance = (
                over_pairs(store, name, condition, runs)[-1]
                for name in (names.AGREEMENT, names.AGREEMENT_BY_CHANCE)
            )
            return _ratio(np.maximum(found, np.minimum(least, chance / 2)), chance)

        wanted.append(("the same partner by prototypes, found / by chance", same))
    else:
        missing += ("partners by prototypes were not found",)
    return Evidence(tuple(_effect(study, store, *one) for one in wanted), missing)


def _ratio(value: Floats, base: Floats) -> Floats:
    """The logarithm of value over base; NaN where one of them is not above zero."""
    sound = (value > 0) & (base > 0)
    return np.log(np.where(sound, value, np.nan) / np.where(sound, base, np.nan))


def _effect(
    study: Study, store: xr.Dataset, quantity: str, of: Callable[[str, Sequence[int]], Floats]
) -> Effect:
    """The contributions of all runs of each condition in each layer; units are not resampled."""
    conditions = [str(one[0][schema.CONDITION].values[0]) for one in study.distances]
    values = np.stack([contributions(lambda r, c=c: of(c, r), study.runs) for c in conditions])  # type: ignore[misc]
    log = xr.DataArray(
        np.broadcast_to(values, (study.draws + 1, *values.shape)),
        {
            schema.CONDITION: np.array(conditions, dtype=object),
            schema.RUN: study.runs,
            schema.LAYER: store[schema.LAYER].values,
        },
        (DRAW, schema.CONDITION, schema.RUN, schema.LAYER),
    )
    return Effect(quantity, "above", log)
