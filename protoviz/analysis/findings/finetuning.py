"""Tests the two claims of study B: prototypes cluster by layer, and differ between states (Q7).

Both are tested in the space of the images' vectors, for every embedder, and on UMAP maps of several seeds, so
that neither rests on a projection.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from protoviz import seeding
from protoviz.analysis.findings import separation
from protoviz.analysis.findings.separation import Estimate
from protoviz.analysis.findings.verdicts import NOT_COMPUTED, NOT_SUPPORTED, SUPPORTED, UNDECIDED
from protoviz.config.finetuning import Projection

LEVEL = 0.05  # of the tests
VOTERS = 15  # neighbours that vote on the state of a point
DEPTHS = ("early", "middle", "late")  # thirds of the layers

NOTE = (
    "One network of one seed: tests and intervals are over its units, not over trainings. A number agrees "
    "where p < 0.05, of permuted layers or of stages exchanged within units, and its interval leaves chance "
    "out; p is not corrected for the number of tests. An energy distance is a share of the mean distance "
    "between two stages; 0, and an AUC of 0.5, are no difference. In brackets: does not agree."
)


@dataclass(frozen=True)
class Space:
    """Where prototypes are compared.

    Attributes:
        name: such as "pixels" or "UMAP of pixels, seed 0".
        points: (states, units, D); of units that converged at every state.
    """

    name: str
    points: NDArray[np.floating]


@dataclass(frozen=True)
class Effect:
    """One number that bears on a claim.

    Attributes:
        space: its name.
        of: the state, or the pair of states.
        measure: its name.
        estimate: the number.
    """

    space: str
    of: str
    measure: str
    estimate: Estimate

    @property
    def agrees(self) -> bool:
        """Whether it lies on the side of the claim, by the test and, where there is one, the interval."""
        found = self.estimate
        beyond = found.low > found.expected or not np.isfinite(found.low)
        return found.value > found.expected and found.p < LEVEL and beyond

    @property
    def opposes(self) -> bool:
        """Whether it lies on the other side."""
        return self.estimate.value < self.estimate.expected


def clusters(
    space: Space, states: Sequence[str], layers: Sequence[str], settings: Projection
) -> list[Effect]:
    """Q7, first claim: the silhouette of layers, and of blocks of layers, at each state."""
    groupings = {"silhouette of layers": layers, "silhouette of blocks": blocks(layers)}
    return _silhouettes(space, states, groupings, settings)


def depth_clusters(
    space: Space, states: Sequence[str], layers: Sequence[str], settings: Projection
) -> list[Effect]:
    """The same for three groups of depth: neighbouring layers may look alike."""
    return _silhouettes(space, states, {"silhouette of depths": depths(layers)}, settings)


def _silhouettes(
    space: Space, states: Sequence[str], groupings: Mapping[str, Sequence[str]], settings: Projection
) -> list[Effect]:
    found = []
    for state, points in zip(states, space.points, strict=True):
        distances = separation.pairwise(points)
        for measure, names in groupings.items():
            rng = seeding.generator("clusters", space.name, state, measure)
            estimate = separation.clustering(distances, _numbered(names), settings.permutations, rng)
            found.append(Effect(space.name, state, measure, estimate))
    return found


def differences(
    space: Space, states: Sequence[str], layers: Sequence[str], settings: Projection
) -> list[Effect]:
    """Q7, second claim: energy distance and AUC of each pair of states."""
    return _differences(space, states, layers, settings, "")


def depth_differences(
    space: Space, states: Sequence[str], layers: Sequence[str], settings: Projection
) -> list[Effect]:
    """The same within each group of depth: a training may change late layers and leave early ones."""
    found = []
    groups = np.array(depths(layers))
    for depth in dict.fromkeys(groups.tolist()):
        units = np.flatnonzero(groups == depth)
        some, own = Space(space.name, space.points[:, units]), [layers[int(unit)] for unit in units]
        found += _differences(some, states, own, settings, f", {depth} layers")
    return found


def blocks(layers: Sequence[str]) -> list[str]:
    """The block of each unit: the shortest part of its layer's name such that no block has most of the units.

    "layer1" of "layer1.0.conv2", "blocks.3" of "blocks.3.0.conv_pw".
    """
    parts = [layer.split(".") for layer in layers]
    names = list(layers)
    for length in range(max(map(len, parts), default=0), 0, -1):
        shorter = [".".join(part[:length]) for part in parts]
        if 2 * max(map(shorter.count, set(shorter))) > len(layers):
            break
        names = shorter
    return names


def depths(layers: Sequence[str]) -> list[str]:
    """The third of the layers, in order, to which each unit's layer belongs: early, middle, late."""
    order = _numbered(layers)
    return [DEPTHS[len(DEPTHS) * int(place) // (int(order.max()) + 1)] for place in order]


def _differences(
    space: Space, states: Sequence[str], layers: Sequence[str], settings: Projection, among: str
) -> list[Effect]:
    """Energy distance and AUC of each pair of states; `among`: which units, behind the measures' names."""
    found = []
    for (i, first), (j, second) in itertools.combinations(enumerate(states), 2):
        pair = f"{first}, {second}"
        estimates = separation.difference(
            separation.pairwise(np.concatenate([space.points[i], space.points[j]])),
            _numbered(layers),
            voters=VOTERS,
            permutations=settings.permutations,
            resamples=settings.resamples,
            rng=seeding.generator("differences", space.name, pair, *[among] * bool(among)),
        )
        titles = {"energy": f"energy distance{among}", "auc": f"AUC of neighbours{among}"}
        found += [Effect(space.name, pair, titles[name], value) for name, value in estimates.items()]
    return found


CLAIMS = {
    "Q7a": ("Prototypes cluster by layer", clusters),
    "Q7a by depth": ("Prototypes cluster by depth: early, middle and late layers", depth_clusters),
    "Q7b": ("Prototypes are distributed differently at each stage of training", differences),
    "Q7b by depth": ("They are among early, among middle and among late layers alone", depth_differences),
}


def collect(
    about: Mapping[str, Any],
    spaces: Sequence[Space],
    states: Sequence[str],
    layers: Sequence[str],
    settings: Projection,
) -> dict[str, Any]:
    """The verdicts, as metrics/findings_stages.json holds them.

    Args:
        about: what is said of the study.
        spaces: in which the claims are tested.
        states: names, in the order of the points.
        layers: of the units, in the order of the points.
        settings: permutations and resamples.
    """
    findings = []
    for identity, (claim, compute) in CLAIMS.items():
        effects = [effect for space in spaces for effect in compute(space, states, layers, settings)]
        findings.append(
            {
                "id": identity,
                "claim": claim,
                "verdict": verdict(effects),
                "agrees": f"{sum(effect.agrees for effect in effects)} of {len(effects)}",
                "effect": [_said(effect) for effect in effects],
            }
        )
    return {"study": dict(about), "note": NOTE, "findings": findings}


def verdict(effects: Sequence[Effect]) -> str:
    """The verdict: "supported" or "not supported" only if every number says so."""
    if not effects:
        return NOT_COMPUTED
    if all(effect.agrees for effect in effects):
        return SUPPORTED
    return NOT_SUPPORTED if all(effect.opposes for effect in effects) else UNDECIDED


def metrics(found: Mapping[str, Any], training: Mapping[str, Any]) -> dict[str, Any]:
    """What `dvc metrics` shows: the accuracy of each state, and the numbers of every space.

    Args:
        found: what `collect` returns.
        training: state -> what is known of its accuracy.
    """
    tree: dict[str, Any] = {"accuracy": {state: said.get("accuracy") for state, said in training.items()}}
    for effect in (effect for finding in found["findings"] for effect in finding["effect"]):
        of = tree.setdefault(effect["space"], {}).setdefault(effect["of"], {})
        of[effect["measure"]] = effect["value"]
    return tree


def _said(effect: Effect) -> dict[str, Any]:
    numbers = {
        name: float(f"{value:.3g}") if np.isfinite(value) else None
        for name, value in asdict(effect.estimate).items()
    }
    named = {"space": effect.space, "of": effect.of, "measure": effect.measure}
    return {**named, **numbers, "agrees": effect.agrees}


def _numbered(names: Sequence[str]) -> NDArray[np.int64]:
    """Each name as a number, counted in the order of first occurrence."""
    order = {name: place for place, name in enumerate(dict.fromkeys(names))}
    return np.array([order[name] for name in names], dtype=np.int64)
