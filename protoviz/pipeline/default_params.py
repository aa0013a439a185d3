"""params.yaml of a new study of checkpoints: what was found, and defaults for the rest."""

from typing import Any

from protoviz.config.modes import NO_MODES
from protoviz.config.synthesis import Synthesis


def of(recipe: Synthesis, **found: Any) -> dict[str, Any]:
    """The contents of params.yaml of a new study: what was found, and defaults for the rest.

    Args:
        recipe: of the synthesis.
        found: `title`, `checkpoints`, `conditions`, `runs`, `images`, `prior`.
    """
    # If networks take neither grey nor RGB, no trained network can embed their images.
    known = len(found["checkpoints"]["mean"]) in (1, 3)
    spaces = ["efficientnet_lite0", "pixels"] if known else ["pixels"]
    photographs = found["images"] is not None
    return {
        "title": found["title"],
        "compute": {"device": "cpu", "threads": 1},
        "checkpoints": found["checkpoints"],
        "conditions": found["conditions"],
        "runs": found["runs"],
        "images": found["images"],
        "prior": {"name": found["prior"], "weights": None, "sha256": None},
        "receptive_fields": {
            "estimate": "as-written",
            "noise": 64,
            "probes": 8,
            "per_unit": False,
            "offset": "removed",
        },
        "synthesis": recipe.model_dump(mode="json"),
        "distances": {
            "embedders": spaces,
            "weights": None,
            "precision": "float32",
            "batch_size": 256,
            "keep_vectors": True,
        },
        "natural": {
            "images": 1000,
            "top": 9,
            "faithfulness": {"top": 5, "elements": 1000},
            "keep_responses": 500,
        }
        if photographs
        else None,
        "matching": {"epochs": None, "null_draws": 20, "error": 0.05},
        "modes": NO_MODES.model_dump(mode="json"),
        "probe": {"max_iter": 1000, "adam_lr": 1e-2, "adam_epochs": 250, "adam_batch_size": 512}
        if photographs
        else None,
        "projection": {
            "runs": 1,
            "repeats": 1,
            "embedders": spaces[:1],
            "batch_size": 256,
            "umap": {"neighbours": 15, "min_dist": 0.1, "epochs": 200, "alignment": 0.01},
            "seeds": [0],
        },
        "figures": {
            "grid_units": 16,
            "development_layer": None,
            "development_units": None,
            "more_units": None,
            "animated_layer": None,
            "dpi": 150,
        },
        "atlas": {"runs": None, "quality": 80, "strips_above": 6},
    }
