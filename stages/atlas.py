"""Stage `atlas`: a static page to view all prototypes, scrub through training and link to a unit."""

from collections.abc import Sequence
from pathlib import Path

import xarray as xr

from protoviz import files, layout
from protoviz.config.study import Study
from protoviz.data import splits
from protoviz.report.atlas import build
from protoviz.report.atlas.sources import Network, Source, labels
from protoviz.store import modes, schema, schema_responses
from protoviz.store.cube import open_cube
from protoviz.store.schema_projection import POSITION
from protoviz.store.zarr_io import open_dataset
from stages import run_stage


def main(params: Study) -> None:
    """Build the page from what earlier stages have written."""
    shown = params.atlas.runs or list(params.runs)
    networks = [_network(condition, run) for condition in params.conditions for run in shown]
    made = open_cube(layout.CUBE).sel({schema.RUN: shown})
    sources = [_source("study", params.title, made, networks, _found(layout.MATCHING))]
    if params.training_stages is not None and layout.STAGES_CUBE.exists():
        stages = open_cube(layout.STAGES_CUBE)
        items = [(one, run) for one in labels(stages, schema.CONDITION) for run in labels(stages, schema.RUN)]
        networks = [_network(*item) for item in items]
        sources.append(_source("stages", params.training_stages.title, stages, networks))
    curves = {path.stem: files.read_csv(path) for path in sorted(layout.CURVES.glob("*.csv"))}
    verdicts = [path for path in (layout.FINDINGS, layout.STAGES_FINDINGS) if path.exists()]
    findings = build.Findings([files.read_json(path) for path in verdicts], curves)
    build.build(layout.ATLAS, params.title, sources, findings, params.atlas)


def _source(
    name: str, title: str, cube: xr.Dataset, networks: list[Network], matching: xr.Dataset | None = None
) -> Source:
    places = _found(layout.projection(name))
    return Source(
        name,
        title,
        cube,
        tuple(networks),
        projection=None if places is None else places[POSITION].assign_attrs(places.attrs),
        photographs=(lambda rows: splits.load(layout.IMAGES, "test").images[rows]) if _has_images() else None,
        matching=matching,
    )


def _network(condition: str, run: int) -> Network:
    """A network with all that was found about it."""
    responses = schema_responses.NATURAL.large
    return Network(
        condition,
        run,
        fields=_found(layout.receptive_fields(condition, run)),
        distances=_found(layout.distances(condition, run), schema.DISTANCES.large),
        appearance=_found(layout.appearance(condition, run)),
        settling=_found(layout.units(condition, run)),
        natural=_found(layout.natural(condition, run), responses) if _has_images() else None,
        modes=modes.open_modes(place) if (place := layout.modes(condition, run)).exists() else None,
    )


def _has_images() -> bool:
    """Whether there are the images that top images are rows of."""
    return layout.IMAGES.exists()


def _found(path: Path, without: Sequence[str] = ()) -> xr.Dataset | None:
    """A store, or None if no stage of the study writes it; the page then says so."""
    return open_dataset(path, without) if path.exists() else None


if __name__ == "__main__":
    run_stage(main)
