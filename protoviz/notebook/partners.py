"""Match units across runs and conditions: the same feature in a network trained from another seed."""

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from protoviz.analysis import matching as matched
from protoviz.analysis.embedders import Embedder
from protoviz.analysis.embedding import Fresh
from protoviz.analysis.masks import Masks
from protoviz.analysis.matching import Member, Responses
from protoviz.analysis.members import fresh_vectors, responses_of
from protoviz.errors import StudyError
from protoviz.notebook.beside import in_order
from protoviz.notebook.measures import no_masks, spaces_of
from protoviz.notebook.stores import Key, labels, layers_of, networks, of_network, require_cube, titled
from protoviz.store import schema, schema_matching, schema_responses


def matching(
    cube: xr.Dataset,
    natural: xr.Dataset | None = None,
    receptive_fields: xr.Dataset | None = None,
    embedder: str | Mapping[str, Embedder] = "pixels",
    *,
    epochs: Sequence[int] | None = None,
    draws: int = 20,
    error: float = 0.05,
) -> xr.Dataset:
    """Match the units of each network with those of the other runs, and of the other conditions of its run.

        >>> two = protoviz.join(cube, other)  # the same network, trained from another seed
        >>> found = protoviz.matching(two)
        >>> found.prototype_partner.sel(epoch=3).shape  # of the one pair, by unit
        (1, 4)

    Args:
        cube: prototypes of any number of conditions and runs.
        natural: responses to the same natural images in all networks: `response` (condition, run, epoch,
            shown, unit), as `protoviz.natural` with `keep` and a study (`natural.keep_responses`) keep them;
            a variable of this form made of your own responses will do. Without them units are matched by
            prototypes alone.
        receptive_fields: receptive fields that mask the prototypes; without them nothing is masked.
        embedder: the one space in which prototypes are compared, as in `protoviz.distances`.
        epochs: epochs at which units are matched; by default all of the cube's.
        draws: number of random draws, of each kind, from which chance is estimated.
        error: the share of units that count as matched if nothing is shared.

    Returns:
        A Dataset with the schema of matched units: `partner`, `correlation`, `prototype_partner` and
        `prototype_distance` (pair, epoch, unit); `share_matched`, compared with shuffled images,
        `share_beyond_space`, compared with units rotated at random in the space of their responses, and what
        goes with them (pair, epoch, layer). The attribute `absent` says what could not be matched, and why.

    Raises:
        StudyError: there is no such embedder or epoch, a number is out of bounds, or the responses are of
            other networks, units, epochs or images.
    """
    cube = require_cube(cube)
    known = [int(epoch) for epoch in labels(cube, schema.EPOCH)]
    asked = known if epochs is None else [int(epoch) for epoch in epochs]
    _require(asked, known, draws, error)
    spaces = spaces_of(embedder, None, None, "auto", "float32", 64)
    if len(spaces) != 1:
        raise StudyError("embedder", expected="one", found=f"{len(spaces)}", remedy="name one")
    answers = None if natural is None else _answers(cube, natural)

    def member(key: Key, prototypes: xr.Dataset) -> Member:
        fields = of_network(receptive_fields, key, "receptive_fields")
        masks = no_masks if fields is None else Masks(prototypes, fields)
        space = next(iter(spaces)), schema.UNMASKED if fields is None else schema.MASKED
        if isinstance(masks, Masks):
            masks.require_all(list(layers_of(prototypes)))
        look = fresh_vectors(prototypes, space, Fresh(prototypes, masks, spaces))
        return Member(*key, None if answers is None else answers[key], look)

    members = [member(*one) for one in networks(cube)]
    units = np.asarray(cube[schema.LAYER].values), np.asarray(cube[schema.CHANNEL].values)
    found = matched.matched(members, units, asked, draws=draws, error=error)
    return titled(found, schema_matching.MATCHING, found.attrs)


def _answers(cube: xr.Dataset, natural: xr.Dataset) -> dict[Key, Responses | None]:
    """Network of a cube -> what gives its responses, with units in the order of the cube."""
    if schema_responses.RESPONSE not in natural:
        raise StudyError(
            "natural",
            expected=f"a variable {schema_responses.RESPONSE}",
            found=", ".join(map(str, natural.data_vars)) or "none",
            remedy="give responses that were kept (protoviz.natural with keep), or leave it out",
        )
    ordered = in_order(cube, natural, "natural")
    found: dict[Key, Responses | None] = {}
    for key, _ in networks(cube):
        own = of_network(ordered, key, "natural")
        assert own is not None
        found[key] = responses_of(own)
    lost = [epoch for epoch in labels(cube, schema.EPOCH) if epoch not in labels(ordered, schema.EPOCH)]
    if lost:
        raise StudyError(
            "natural: epoch",
            expected="those of the cube",
            found=f"no {lost[0]}",
            remedy="give responses at all of its epochs, or a part of the cube",
        )
    return found


def _require(asked: Sequence[int], known: Sequence[int], draws: int, error: float) -> None:
    """Raise StudyError if a number is out of bounds."""
    lost = [epoch for epoch in asked if epoch not in known]
    for name, fine, wanted, found in (
        ("epochs", not lost, f"some of {', '.join(map(str, known))}", str(lost[:1])),
        ("draws", draws >= 1, "at least one", str(draws)),
        ("error", 0 < error < 1, "a number between 0 and 1", str(error)),
    ):
        if not fine:
            raise StudyError(name, expected=wanted, found=found, remedy="correct it")
