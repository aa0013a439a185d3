"""The distances of one network in one call, with vectors that are made on the way and kept in no file."""

from collections.abc import Mapping

import xarray as xr

from protoviz.analysis.distances import measured, require_complete
from protoviz.analysis.embedders import Embedder
from protoviz.analysis.embedding import Fresh
from protoviz.analysis.masks import Masks
from protoviz.store import schema


def distances(prototypes: xr.Dataset, fields: xr.Dataset, spaces: Mapping[str, Embedder]) -> xr.Dataset:
    """What the stage `distances` writes, of the same prototypes, receptive fields and spaces."""
    require_complete(prototypes)
    masks = Masks(prototypes, fields)
    masks.require_all(list(schema.layer_slices(prototypes[schema.LAYER].values)))
    return measured(prototypes, list(spaces), Fresh(prototypes, masks, spaces))
