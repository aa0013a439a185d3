"""Find which natural images drive units, and whether networks process prototypes as they process these."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from torch import nn

from protoviz import compute
from protoviz.config.analysis import Faithfulness
from protoviz.errors import StudyError
from protoviz.notebook.develop import networks_of, objective_of
from protoviz.notebook.series import Checkpoints
from protoviz.notebook.stores import require_cube, titled
from protoviz.store import schema
from protoviz.store.schema_responses import NATURAL
from protoviz.synthesis.responses.dataset import Shown, natural_responses


def natural(
    model: nn.Module | str,
    cube: xr.Dataset,
    images: NDArray[np.uint8],
    checkpoints: Checkpoints | None = None,
    *,
    epochs: Iterable[int] | None = None,
    top: int = 9,
    compared: int = 5,
    elements: int = 1000,
    keep: int = 0,
    batch_size: int = 64,
    device: str = "auto",
    **options: Any,
) -> xr.Dataset:
    """Find which natural images drive the units of a cube, and how faithful its prototypes are.

        >>> natural = protoviz.natural(network, cube, images, "runs/a/epoch_{epoch}.safetensors", top=3)
        >>> natural.top_image.sizes["rank"], natural.faithfulness.sizes["unit"]
        (3, 4)

    To measure each layer, and to show the images on the page:

        protoviz.measures(cube, distances, fields, natural).faithfulness
        protoviz.atlas(cube, "atlas", natural=natural, images=images)

    Args:
        model: the network of the cube, a module or a name.
        cube: prototypes of one condition and run.
        images: uint8 (N, H, W, C), of the size of the prototypes.
        checkpoints: as for `protoviz.receptive_fields`.
        epochs: see `checkpoints`.
        top: number of images to keep for each unit.
        compared: number of top images of a unit with which its prototype is compared along the layers; 0: no
            comparison.
        elements: maximum number of values that are used of each layer on the way to a unit.
        keep: number of images for which the responses themselves are kept, for `protoviz.matching`; the
            images are the same in all networks.
        batch_size: number of images at once.
        device: "auto", "cpu", "cuda", "cuda:1", ...
        options: further arguments for the network, as for `protoviz.synthesize`: `mean`, `std`, ...

    Returns:
        A Dataset with the schema of natural images and units: `top_image`, `percentile`, ...; `faithfulness`
        (1: layers represent the prototype like the natural images that drive the unit; 0: like any others)
        and `faithfulness_along`, the same in every layer on the way. If these are missing, the attribute
        `faithfulness_absent` says why.

    Raises:
        StudyError: the images have another size or type, or there are none; as for
            `protoviz.receptive_fields`; or the network does not respond to the prototypes as the cube says.
    """
    cube = require_cube(cube)
    wanted = tuple(cube.sizes[name] for name in (schema.Y, schema.X, schema.RGB))
    if images.ndim != 4 or images.dtype != np.uint8 or images.shape[1:] != wanted or not len(images):
        raise StudyError(
            "images",
            expected=f"uint8 (N, {', '.join(map(str, wanted))}), those of the prototypes, at least one",
            found=f"{images.dtype} {images.shape}",
            remedy="bring them to the size of the prototypes",
        )
    _, loaded = networks_of(model, cube, checkpoints, epochs, "natural images", options)
    how = Faithfulness(top=compared, elements=elements) if compared else None
    shown = Shown(images, np.arange(len(images)), min(top, len(images)), how, keep)
    networks = (network for _, network in loaded)
    found = natural_responses(
        networks, cube, shown, objective_of(cube), batch=batch_size, device=compute.available(device)
    )
    return titled(found, NATURAL, {"images": len(images)})
