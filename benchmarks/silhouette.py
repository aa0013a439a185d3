"""Do the prototypes of a layer look like each other: the silhouette of layers, of the study at hand.

    python -m benchmarks.silhouette [--epoch N] [--embedder NAME]

For each network and repeat, the mean silhouette (Rousseeuw 1987) of its units in groups by layer: cosine
distances of the vectors of unmasked prototypes at one epoch, the last by default, live units only. At 0
prototypes are as near to another layer's as to their own layer's; 1 is the most. Run it at the top of a
repository whose `data/prototypes` are there.
"""

import argparse
import sys
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import silhouette_score

from benchmarks import evidence
from protoviz import layout
from protoviz.analysis import embedders
from protoviz.config import params, studies
from protoviz.errors import StudyError
from protoviz.store import cube, schema

COLUMNS = ["condition", "run", "repeats", "mean"]
Row = tuple[str, int, int, float]  # condition, run, repeat, silhouette


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print the table as Markdown."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.silhouette", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--epoch", type=int, help="default: the last")
    parser.add_argument("--embedder", default="efficientnet_lite0", help="default: efficientnet_lite0")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    try:
        study = studies.parse(params.read(layout.PARAMS), str(layout.PARAMS))
        setting = embedders.Setting(layout.REFERENCE_ENCODER, device="cpu", threads=1, batch_size=64)
        embed = embedders.load([options.embedder], setting)[options.embedder]
        rows = [
            row
            for condition in study.conditions
            for run in study.runs
            for row in of_network(layout.prototypes(condition, run), embed, options.epoch)
        ]
    except StudyError as error:
        sys.exit(str(error))
    print(
        evidence.markdown(COLUMNS, [_cells(list(group)) for _, group in groupby(rows, lambda row: row[:2])])
    )
    found = [value for *_, value in rows]
    print(
        f"\nMean {np.mean(found):.3f}. {study.title}, {options.embedder}; "
        f"torch {torch.__version__.split('+')[0]}."
    )


def _cells(rows: list[Row]) -> list[str]:
    """One line of the table: a network, and each of its repeats."""
    (condition, run, *_), values = rows[0], [value for *_, value in rows]
    return [condition, str(run), ", ".join(f"{value:.3f}" for value in values), f"{np.mean(values):.3f}"]


def of_network(place: Path, embed: embedders.Embedder, epoch: int | None = None) -> Iterable[Row]:
    """The silhouettes of one network, one for each repeat.

    Args:
        place: of its prototypes.
        embed: makes vectors of images.
        epoch: default: the last.
    """
    made = cube.open_cube(place).isel(condition=0, run=0)
    made = made.isel(epoch=-1) if epoch is None else made.sel(epoch=epoch)
    for repeat in made[schema.REPEAT].values:
        one = made.sel(repeat=repeat)
        live = one[schema.STATUS].values == schema.Status.CONVERGED
        labels = one[schema.LAYER].values[live].astype(str)
        found = silhouette_score(embed(one[schema.IMAGE].values[live]), labels, metric="cosine")
        yield str(made[schema.CONDITION].values), int(made[schema.RUN]), int(repeat), float(found)


if __name__ == "__main__":
    main()
