"""Build the web page of a cube, on which every prototype can be seen and followed through training."""

from pathlib import Path
from typing import Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from protoviz.analysis import appearance, metrics, settling
from protoviz.analysis.masks import Masks
from protoviz.config.analysis import Atlas
from protoviz.errors import StudyError
from protoviz.notebook import beside
from protoviz.notebook.measures import measures
from protoviz.notebook.stores import Key, labels, layers_of, networks, of_network, require_cube
from protoviz.report.atlas import build
from protoviz.report.atlas.sources import Network, Source
from protoviz.store import schema


def atlas(
    cube: xr.Dataset,
    folder: str | Path,
    *,
    receptive_fields: xr.Dataset | None = None,
    distances: xr.Dataset | None = None,
    natural: xr.Dataset | None = None,
    images: NDArray[np.uint8] | None = None,
    projection: xr.Dataset | None = None,
    matching: xr.Dataset | None = None,
    modes: xr.Dataset | None = None,
    title: str = "Prototypes",
    quality: Literal["lossless"] | int = 80,
) -> Path:
    """Build the page that shows a cube, in a folder that can be opened or served as it is.

        >>> protoviz.atlas(cube, "atlas", receptive_fields=fields).name
        'index.html'

    The results of a study of the same prototypes, or a map of your own, can be given, too:

        natural = xr.open_zarr("data/natural/blue-1.zarr", chunks=None)
        protoviz.atlas(blue, "atlas", natural=natural, images=np.load("data/images/test.npy"))

        dims = ("condition", "run", "repeat", "epoch", "unit", "axis")
        places = PCA(2).fit_transform(cube.image.values.reshape(cube.status.size, -1))
        position = (dims, places.reshape(*cube.status.shape, 2))
        protoviz.atlas(cube, "atlas", projection=xr.Dataset({"position": position}, cube.coords))

    Args:
        cube: prototypes of any number of conditions and runs.
        folder: where the page goes; an atlas that is there is replaced.
        receptive_fields: receptive fields that mask the prototypes; without them, prototypes are shown in
            full.
        distances: distances between the prototypes, for change, settling and curves; without them the page
            says so.
        natural: which images drive each unit most: `top_image` (condition, run, epoch, unit, rank), rows of
            `images`, for the same networks, units and epochs; those of the last epoch are shown.
        images: uint8 (N, H, W, C), the natural images.
        projection: a map: `position` (condition, run, repeat, epoch, unit, axis) of the same units, NaN where
            one has no place; networks, repeats and epochs may be missing from it.
        matching: which unit of one network corresponds to which of another (`protoviz.matching`).
        modes: how many images drive each unit (`protoviz.modes`), for the same networks and all or some of
            the cube's units and epochs.
        title: title of the page.
        quality: quality of its images: 1 to 100, or "lossless".

    Returns:
        The page, `<folder>/index.html`.

    Raises:
        StudyError: the folder holds something else, a data set is not of this cube, or the disk is full.
    """
    cube, target = require_cube(cube), Path(folder)
    if (
        target.exists()
        and not (target / "data" / "study.js").is_file()
        and (not target.is_dir() or any(target.iterdir()))
    ):
        raise StudyError(
            str(target),
            expected="a new or an empty folder, or an atlas, which is replaced",
            found="something else",
            remedy="choose another folder",
        )
    if quality != "lossless" and quality not in range(1, 101):
        raise StudyError(
            "quality", expected="1 to 100, or 'lossless'", found=repr(quality), remedy="correct it"
        )
    if (natural is None) != (images is None):
        raise StudyError(
            "natural and images",
            expected="both or neither",
            found="natural alone" if images is None else "images alone",
            remedy="give both: which images drive a unit, and these images",
        )
    if schema.CHECKPOINT not in cube.coords:
        epochs = [int(epoch) for epoch in labels(cube, schema.EPOCH)]
        cube = cube.assign_coords(checkpoint=(schema.EPOCH, [f"epoch {one}" for one in epochs]))
    found = None if distances is None else measures(cube, distances)
    ranked = None if natural is None or images is None else beside.natural(cube, natural, images)
    source = Source(
        "study",
        title,
        cube,
        tuple(
            _network(key, part, receptive_fields, distances, ranked, modes) for key, part in networks(cube)
        ),
        projection=None if projection is None else beside.places(cube, projection),
        photographs=None if images is None else beside.photographs(images),
        matching=None if matching is None else beside.partners(cube, matching),
    )
    curves = {} if found is None else metrics.curves(found, [], [])
    build.build(
        target,
        title,
        [source],
        build.Findings([], curves),
        Atlas(runs=None, quality=quality, strips_above=6),
    )
    return target / "index.html"


def _network(
    key: Key,
    prototypes: xr.Dataset,
    receptive_fields: xr.Dataset | None,
    distances: xr.Dataset | None,
    natural: xr.Dataset | None,
    modes: xr.Dataset | None,
) -> Network:
    """A network with what was found out about it."""
    fields = of_network(receptive_fields, key, "receptive_fields")
    apart = of_network(distances, key, "distances")
    if fields is not None:
        Masks(prototypes, fields).require_all(list(layers_of(prototypes)))
    return Network(
        *key,
        fields=fields,
        distances=apart,
        appearance=None if fields is None else appearance.appearance(prototypes, fields),
        settling=None
        if apart is None or apart.sizes[schema.STEP] < 2
        else settling.units(apart, metrics.main_space(apart)),
        natural=of_network(natural, key, "natural"),
        modes=of_network(modes, key, "modes"),
    )
