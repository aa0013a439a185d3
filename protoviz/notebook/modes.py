"""Count the different images that drive the units of a cube, by clustering independent starts."""

import gc
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr
from torch import nn

from protoviz import api, compute
from protoviz.analysis.census import of_units
from protoviz.analysis.embedders import Embedder
from protoviz.analysis.masks import Masks
from protoviz.analysis.modes import Rule
from protoviz.config.image_size import of_sides
from protoviz.config.synthesis import Synthesis
from protoviz.errors import StudyError
from protoviz.models.priors import base
from protoviz.notebook.develop import of_checkpoint
from protoviz.notebook.measures import no_masks, spaces_of
from protoviz.notebook.series import Checkpoints, files_by_epoch
from protoviz.notebook.stores import labels, layers_of, of_network, require_cube, titled
from protoviz.progress import track
from protoviz.store import attributes, schema, schema_modes
from protoviz.synthesis.diversity import diverse
from protoviz.synthesis.restarts import restarts as started_again
from protoviz.synthesis.restarts import with_transforms


def modes(
    model: nn.Module | str,
    cube: xr.Dataset,
    checkpoints: Checkpoints | None = None,
    receptive_fields: xr.Dataset | None = None,
    *,
    restarts: int = 8,
    method: Literal["restarts", "diversity"] = "restarts",
    epochs: Iterable[int] | None = None,
    embedder: str | Mapping[str, Embedder] = "pixels",
    share: float = 0.8,
    confidence: float = 0.95,
    linkage: Literal["single", "average", "complete"] = "single",
    jitter: float = 1.0,
    weight: float = 0.5,
    kept: int = 4,
    prior: str | base.ImagePrior | None = None,
    device: str = "auto",
    **options: Any,
) -> xr.Dataset:
    """Count the different images that drive each unit of a cube (a lower bound), and keep an image of each.

        >>> found = protoviz.modes(network, cube, "runs/a/epoch_{epoch}.safetensors", restarts=2, epochs=[3])
        >>> bool((found.modes <= 2).all())  # no more than starts
        True

    Each unit is restarted with the recipe of the cube, independently of its repeats. Two images count as
    different if they are farther apart than one start is from itself under other random transforms.

    Args:
        model: the network of the cube, a module or a name.
        cube: prototypes of one condition and run.
        checkpoints: as for `protoviz.develop`; None: the model has the weights already, and the cube has one
            epoch.
        receptive_fields: receptive fields of the same network, whose masks multiply the images; None: nothing
            is masked.
        restarts: number of starts for each unit: a mode to which a share q of starts leads is missed with
            probability (1 - q)^restarts.
        method: "restarts", which are independent, or "diversity": images of a unit are optimised together and
            pushed apart.
        epochs: which of the cube's epochs to take; None: all.
        embedder: the space in which images are compared, as one of `protoviz.distances`.
        share: share of the unit's best activation that a start has to reach.
        confidence: confidence with which a unit of one mode is not taken for one of several.
        linkage: linkage of the clustering.
        jitter: px, used if the recipe has no random transforms.
        weight: weight of diversity, as a share of the unit's response.
        kept: number of images of modes to keep for each unit.
        prior: what turns latents into images; None: the cube's, by its name.
        device: "auto", "cpu", "cuda", "cuda:1", ...
        options: further arguments for the network, as for `protoviz.synthesize`: `mean`, `std`, ...

    Returns:
        A Dataset with the schema of the modes.

    Raises:
        StudyError: the cube has several networks, or does not say how it was made; an epoch has no
            checkpoint; or the network lacks a layer of the cube.
    """
    cube = require_cube(cube)
    (condition, *others), (run, *more) = (labels(cube, name) for name in (schema.CONDITION, schema.RUN))
    if others or more:
        found = f"{1 + len(others)} x {1 + len(more)}"
        remedy = "select them: cube.sel(condition=[...], run=[...])"
        raise StudyError(
            "cube", expected="one condition and one run, those of the network", found=found, remedy=remedy
        )
    recipe = with_transforms(_recipe(cube), jitter)
    own = [int(epoch) for epoch in labels(cube, schema.EPOCH)]
    asked = own if epochs is None else [epoch for epoch in own if epoch in set(epochs)]
    sources: Mapping[int, Path | None] = (
        {own[0]: None} if checkpoints is None else files_by_epoch(checkpoints, None)
    )
    if lost := [epoch for epoch in asked if epoch not in sources]:
        raise StudyError(
            "checkpoints", expected=f"one of epoch {lost[0]}", found=str(list(sources)), remedy="give it"
        )
    (embed,) = spaces_of(embedder, None, None, device, "float32", 64).values()
    fields = of_network(receptive_fields, (str(condition), int(run)), "receptive_fields")
    masks = no_masks if fields is None else Masks(cube, fields)
    on, rule = compute.available(device), Rule(share, confidence, linkage)
    units = {layer: cube[schema.CHANNEL].values[at].tolist() for layer, at in layers_of(cube).items()}
    size = of_sides(cube.sizes[schema.Y], cube.sizes[schema.X])
    of_epochs = []
    for epoch in track(asked, "checkpoints started again"):
        gc.collect()  # as in `develop`
        with of_checkpoint(epoch, sources[epoch]):
            network, _ = api.network(model, size=size, state=sources[epoch], **options)
            made = (
                prior if prior is not None else attributes.read(cube).get("prior", {}).get("name", "fourier")
            )
            if isinstance(made, str):
                made = base.load(made, size=network.size, channels=network.channels, device=on)
            about: dict[str, Any] = {"weight": weight} if method == "diversity" else {}
            start: Any = diverse if method == "diversity" else started_again
            again = start(
                network,
                units,
                made,
                recipe,
                count=restarts,
                address=(str(condition), int(run), epoch),
                device=on,
                **about,
            )
        of_epochs.append(of_units(cube, epoch, again, embed, masks, rule, kept))
    said = {
        "modes": {
            "method": method,
            "restarts": restarts,
            "share": share,
            "confidence": confidence,
            "linkage": linkage,
        },
        "synthesis": recipe.recorded(),
    }
    return titled(_dataset(cube, asked, of_epochs, restarts, kept), schema_modes.MODES, said)


def _dataset(
    cube: xr.Dataset, epochs: list[int], found: list[dict[str, Any]], starts: int, kept: int
) -> xr.Dataset:
    arrays = {
        one.name: (one.dims, np.stack([epoch[one.name] for epoch in found])[None, None])
        for one in schema_modes.MODES.variables
    }
    coordinates = {
        name: cube[name].variable
        for name in (schema.CONDITION, schema.RUN, schema.LAYER, schema.CHANNEL, schema.RGB)
        if name in cube.coords
    }
    own = {
        schema.EPOCH: np.array(epochs, dtype=schema.INTEGER),
        schema_modes.START: np.arange(starts),
        schema_modes.MODE: np.arange(kept),
    }
    return xr.Dataset(arrays, {**coordinates, **own})


def _recipe(cube: xr.Dataset) -> Synthesis:
    """How the prototypes of a cube were made.

    Raises:
        StudyError: it does not say so.
    """
    recipe = attributes.read(cube).get("synthesis")
    if not isinstance(recipe, dict):
        raise StudyError(
            "cube",
            expected="to know how it was made, the attribute `synthesis`",
            found="none",
            remedy="give a cube that protoviz has made, or a part of it",
        )
    return Synthesis.model_validate(recipe)
