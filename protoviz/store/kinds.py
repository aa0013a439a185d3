"""All kinds of stores, and which of them a store is."""

import json
from pathlib import Path

from protoviz.store import (
    schema,
    schema_appearance,
    schema_matching,
    schema_modes,
    schema_projection,
    schema_responses,
)
from protoviz.store.manifest import METADATA

STORES = (
    *schema.STORES,
    *schema_responses.STORES,
    *schema_appearance.STORES,
    schema_matching.MATCHING,
    schema_projection.PROJECTION,
    schema_modes.MODES,
)


def kind_of(path: str | Path) -> schema.Store | None:
    """The schema of a store by its title; None where there is none, or the store cannot be read."""
    try:
        title = json.loads((Path(path) / METADATA).read_bytes())["attributes"]["title"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return {store.title: store for store in STORES}.get(title) if isinstance(title, str) else None
