"""Distances between prototypes, and measures of a training: diversity, change, consistency, settling."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import xarray as xr

from protoviz import machine
from protoviz.analysis import appearance, embedders, metrics, settling
from protoviz.analysis import distances as apart
from protoviz.analysis.embedders import Embedder
from protoviz.analysis.embedding import Fresh
from protoviz.analysis.masks import Masks
from protoviz.errors import StudyError
from protoviz.notebook.stores import Key, each, layers_of, of_network, require_cube, titled
from protoviz.store import schema
from protoviz.store.schema_appearance import SATURATION, WARMTH

_UNMASKED = (schema.UNMASKED,)


def distances(
    cube: xr.Dataset,
    receptive_fields: xr.Dataset | None = None,
    embedders: Sequence[str] | str | Mapping[str, Embedder] = ("pixels",),
    *,
    encoder: str | Path | None = None,
    weights: str | Path | None = None,
    device: str = "auto",
    precision: Literal["float32", "bfloat16", "auto"] = "float32",
    batch_size: int = 64,
) -> xr.Dataset:
    """Compute distances between the prototypes of a cube: between units, between epochs, between repeats.

        >>> protoviz.distances(cube, fields).masking.values.tolist()
        ['masked', 'fixed', 'unmasked']
        >>> colour = {"mean colour": lambda images, mask: images.mean((1, 2), dtype="float32")}
        >>> protoviz.distances(cube, embedders=colour).embedder.values.tolist()
        ['mean colour']

    Args:
        cube: prototypes of any number of conditions and runs, none missing.
        receptive_fields: receptive fields of the same networks; without them nothing is masked.
        embedders: names of the spaces in which images are compared: "pixels", "reference", or an ImageNet
            network ("resnet50", ...); or name -> function that maps images (N, H, W, 3) uint8 and a mask
            (H, W), (N, H, W) or None to vectors (N, D) float32. The first is the main one.
        encoder: file of the reference encoder, for "reference".
        weights: folder with torchvision's weight files; None: those that are missing are fetched.
        device: device of the networks: "auto", "cpu", "cuda", "cuda:1", ...
        precision: precision of the networks: "float32", "bfloat16" or "auto".
        batch_size: number of images that go through a network at once.

    Returns:
        A Dataset with the schema of the distances; without receptive fields, `masking` is "unmasked" only.
        Distances that are not defined are NaN: between units in a layer with one unit, between repeats if
        there is one; with one epoch there is no step.

    Raises:
        StudyError: there is no such embedder, a prototype is missing, or the receptive fields are of other
            networks, epochs, layers or another size.
    """
    cube = require_cube(cube)
    spaces = spaces_of(embedders, encoder, weights, device, precision, batch_size)

    def measured(key: Key, prototypes: xr.Dataset) -> xr.Dataset:
        apart.require_complete(prototypes)
        fields = of_network(receptive_fields, key, "receptive_fields")
        if fields is None:
            read = Fresh(prototypes, no_masks, spaces)
            return apart.measured(prototypes, list(spaces), read, _UNMASKED)
        masks = Masks(prototypes, fields)
        masks.require_all(list(layers_of(prototypes)))
        return apart.measured(prototypes, list(spaces), Fresh(prototypes, masks, spaces))

    return titled(each(cube, measured), schema.DISTANCES, {})


_between = distances  # `measures` has an argument of this name


def measures(
    cube: xr.Dataset,
    distances: xr.Dataset | None = None,
    receptive_fields: xr.Dataset | None = None,
    natural: xr.Dataset | None = None,
) -> xr.Dataset:
    """Measure how prototypes diversify, change and settle: means over the live units of each layer.

        >>> found = protoviz.measures(cube, protoviz.distances(cube, fields), fields)
        >>> diversity = found.diversity.sel(layer="block", distance="mse", masking="masked")
        >>> diversity.mean("repeat").sizes["epoch"]
        3

    Args:
        cube: prototypes of any number of conditions and runs.
        distances: distances between them (`protoviz.distances`); by default those of unmasked pixels.
        receptive_fields: receptive fields of the same networks, for the appearance of prototypes within them.
        natural: responses of the same networks to natural images (`protoviz.natural`).

    Returns:
        By condition, run, repeat, layer and space (embedder, distance, masking), those that can be computed:
        `diversity` (epoch), the mean distance between units; `rate_of_change` (step), between neighbouring
        epochs; `between_repeats` (epoch); `learning` (step), the rate of change without the noise of the
        synthesis; `consistency` (epoch), 1 if repeats are alike, 0 if they differ as much as units do;
        `settling_epoch` and `settling_epoch_of_layer`, from which units, or the layer, no longer change;
        `saturation`, `warmth`, `high_frequency` (epoch); `participation_ratio`,
        `mean_correlation`, `faithfulness` (epoch); `live_units` (epoch) and `units`. The attribute
        `absent` says what is missing, and why.

    Raises:
        StudyError: as for `protoviz.distances`; or the distances are of other networks or other epochs.
    """
    cube = require_cube(cube)
    store = _between(cube) if distances is None else distances
    _require_same(cube, store)

    def explained(key: Key, prototypes: xr.Dataset) -> xr.Dataset:
        own = of_network(store, key, "distances")
        fields = of_network(receptive_fields, key, "receptive_fields")
        assert own is not None
        return metrics.explained(
            metrics.layer_means(own),
            settling.units(own, metrics.main_space(own)),
            None if fields is None else appearance.appearance(prototypes, fields),
            of_network(natural, key, "natural"),
        )

    found = each(cube, explained)
    absent = _absent(found, masked=receptive_fields is not None, coloured=cube.sizes[schema.RGB] == 3)
    kept = found.drop_vars([name for name in absent if name in found])
    kept.attrs = {
        "title": "Measures of prototypes",
        "absent": "; ".join(f"{n}: {w}" for n, w in absent.items()),
    }
    return kept


def _absent(found: xr.Dataset, *, masked: bool, coloured: bool) -> dict[str, str]:
    """Measures that cannot be computed -> why."""
    reasons: dict[str, str] = {}
    if found.sizes[schema.REPEAT] < 2:
        why = "each prototype was made once"
        reasons |= dict.fromkeys(("between_repeats", metrics.CONSISTENCY, metrics.LEARNING), why)
        reasons[metrics.LAYER_SETTLING] = why
    if found.sizes[schema.STEP] < 2:
        reasons |= dict.fromkeys((metrics.SETTLING, metrics.LAYER_SETTLING), "fewer than three epochs")
    if found.sizes[schema.STEP] < 1:
        reasons |= dict.fromkeys(("rate_of_change", metrics.LEARNING), "one epoch")
    if not coloured:
        reasons |= dict.fromkeys((SATURATION, WARMTH), "the images are not RGB")
    if not masked:
        reasons |= dict.fromkeys(metrics.APPEARANCE, "no receptive fields were given")
    for name, values in found.data_vars.items():
        if str(name) not in reasons and not np.isfinite(values).any():
            reasons[str(name)] = "no layer has two live units" if name == "diversity" else "no live units"
    return reasons


def _require_same(cube: xr.Dataset, store: xr.Dataset) -> None:
    """Raise StudyError if distances are not those of the cube."""
    for name in (schema.CONDITION, schema.RUN, schema.REPEAT, schema.EPOCH, *schema.UNIT_LABELS):
        wanted, found = (one[name].values.tolist() if name in one.coords else None for one in (cube, store))
        if wanted != found:
            raise StudyError(
                f"distances: {name}",
                expected="those of the cube",
                found=str(found)[:100],
                remedy="make them of this cube: protoviz.distances(cube)",
            )


def no_masks(masking: str, epoch: int, layer: str) -> None:
    """Nothing is masked."""


def spaces_of(
    names: Sequence[str] | str | Mapping[str, Embedder],
    encoder: str | Path | None,
    weights: str | Path | None,
    device: str,
    precision: Literal["float32", "bfloat16", "auto"],
    batch_size: int,
) -> dict[str, Embedder]:
    """Name -> embedder, loaded."""
    if isinstance(names, Mapping):
        return dict(names)
    names = [names] if isinstance(names, str) else list(names)
    if not names or len(set(names)) < len(names):
        raise StudyError(
            "embedders", expected="names, no two alike", found=str(names), remedy="name 'pixels'"
        )
    if "reference" in names and encoder is None:
        raise StudyError(
            "encoder",
            expected="the file of the reference encoder, for embedder 'reference'",
            found="none",
            remedy="give one, or name other embedders",
        )
    setting = embedders.Setting(
        encoder=Path(encoder or ""),
        device=device,
        threads=machine.cores(),
        batch_size=batch_size,
        precision=precision,
        weights=None if weights is None else Path(weights),
    )
    return embedders.load(names, setting)
