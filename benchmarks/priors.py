"""Which image prior? Activation, nearness to photographs, faithfulness and time of each, in one table.

    python -m benchmarks.priors photographs.tar --judge benchmarks/resnet20.py:cifar10 --state resnet20.th

Units of a few layers of EfficientNet-Lite0, as trained on ImageNet, get a prototype under each prior, with
the recipe that suits it. What is said of them:

- activation: of the stored image, as a share of the greatest that any of the photographs draws at the same
  place of the map;
- Frechet distance and nearest neighbour: of the images of a layer from photographs, in the features of a
  judge, a network that was not optimised; beside them those of as many photographs;
- faithfulness: whether the network treats a prototype as it treats the photographs that drive the unit most;
- seconds of one thread's work for each unit.

The pictures of each prior go onto one sheet; photographs are shown nowhere.
"""

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks import evidence, nearness, rates
from protoviz import api, compute, files
from protoviz.cli.contact_sheet import contact_sheet
from protoviz.config.synthesis import PRESETS, suited
from protoviz.data import photographs as pictures
from protoviz.errors import StudyError
from protoviz.models.readout.network import Network
from protoviz.store import schema
from protoviz.synthesis.responses import faithfulness, forward

NETWORK = "imagenet:efficientnet_lite0"
LAYERS = ("blocks.1", "blocks.3", "blocks.5", "classifier")
PRIORS = ("pixels", "fourier", "maco", "natural")
TOP = 9  # photographs that drive a unit most
ELEMENTS = 500  # values of a layer that faithfulness compares
SHOWN, QUALITY = 4, 80  # units of each layer on a sheet, and its quality as a JPEG


@dataclass(frozen=True)
class Made:
    """The prototypes of one prior.

    Attributes:
        images: layer -> (U, H, W, 3).
        activations: layer -> (U,).
        seconds: of a thread, for each unit.
    """

    images: Mapping[str, NDArray[np.uint8]]
    activations: Mapping[str, NDArray[np.float32]]
    seconds: float


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the prototypes, print the table as Markdown, write the sheets."""
    options = _parser().parse_args(arguments)
    try:
        compute.prepare("cpu", options.threads)
        shown = pictures.read(options.photographs, options.size)
        _compare(options, shown)
    except StudyError as error:
        sys.exit(str(error))


def _compare(options: argparse.Namespace, shown: NDArray[np.uint8]) -> None:
    network, _ = api.network(NETWORK, size=options.size)
    chosen = spread(network, options.layers, options.units)
    objective = PRESETS["fourier"].objective
    answers = forward.all_responses(
        network, options.layers, objective, shown, batch=50, device=torch.device("cpu")
    )
    answers = {layer: answers[layer][:, chosen[layer]] for layer in chosen}
    measure = _faithfulness(network, chosen, shown, answers)
    features = nearness.judge(options.judge, options.state, options.judge_size) if options.judge else None
    near = nearness.Nearness(features(shown)) if features else None
    count = sum(map(len, chosen.values()))
    rows = []
    for prior in options.priors:
        one = made(prior, chosen, options.size)
        columns = [f"`{prior}`", *ratios(one, answers)]
        if features and near:
            found = [features(one.images[layer]) for layer in chosen]
            columns += [f"{near.frechet(np.concatenate(found)):.1f}"]
            columns += [f"{np.mean([near.neighbour(layer) for layer in found]):.2f}"]
        rows.append([*columns, f"{measure(one):.2f}", f"{one.seconds:.2f}"])
        _write_sheet(options.out / f"{prior}.jpg", one)
        print(f"{prior}: {one.seconds:.2f} s for each unit", file=sys.stderr)
    if near:
        floor, neighbour = near.floor(count)
        empty = [""] * len(chosen)
        rows.append(["photographs", *empty, f"{floor:.1f}", f"{neighbour:.2f}", "", ""])
    head = ["prior", *chosen]
    head += ["Frechet distance", "nearest photograph"] if near else []
    machine = rates.Rates("", rates.matrix_rates(torch.device("cpu")), {}, {})
    about = evidence.surroundings(machine, options.threads)
    said = {
        "network": f"{NETWORK}, images of {options.size} px, {len(shown)} photographs",
        "units": ", ".join(f"{len(channels)} of {layer}" for layer, channels in chosen.items()),
        "judge": f"{options.judge or 'none'}, images of {options.judge_size} px",
        "load of the machine": evidence.load(),
    }
    print(f"## Image priors\n\n{evidence.header({**about, **said})}\n")
    print(evidence.markdown([*head, "faithfulness", "s each"], rows))


def spread(network: Network, layers: Sequence[str], units: int) -> dict[str, list[int]]:
    """Layer -> so many of its channels, evenly spaced."""
    found = {}
    for layer in layers:
        total = network.layer(layer).channels
        found[layer] = sorted(set(np.linspace(0, total - 1, min(units, total)).astype(int).tolist()))
    return found


def made(prior: str, chosen: Mapping[str, list[int]], size: int) -> Made:
    """Prototypes under a prior, by the recipe that suits it."""
    start = time.process_time()
    found = api.synthesize(
        NETWORK, dict(chosen), prior=prior, preset=suited(prior), size=size, repeats=1, device="cpu"
    )
    seconds = time.process_time() - start
    one = found.isel({schema.CONDITION: 0, schema.RUN: 0, schema.REPEAT: 0, schema.EPOCH: 0})
    layers = schema.layer_slices(one[schema.LAYER].to_numpy())
    images, activations = one[schema.IMAGE].to_numpy(), one[schema.ACTIVATION].to_numpy()
    return Made(
        {layer: images[at] for layer, at in layers.items()},
        {layer: activations[at] for layer, at in layers.items()},
        seconds / len(images),
    )


def ratios(one: Made, answers: Mapping[str, NDArray[np.float32]]) -> list[str]:
    """Of each layer the median of the activation over the greatest natural one, where this is above zero."""
    cells = []
    for layer, natural in answers.items():
        greatest = natural.max(0)
        known = greatest > 0
        ratio = one.activations[layer][known] / greatest[known]
        cells.append(f"{np.median(ratio):.1f}" if known.any() else "none")
    return cells


def _faithfulness(
    network: Network,
    chosen: Mapping[str, list[int]],
    shown: NDArray[np.uint8],
    answers: Mapping[str, NDArray[np.float32]],
) -> Callable[[Made], float]:
    """What gives the faithfulness of a prior's prototypes, the mean over layers of that over units.

    NaN where no layer tells images of different units apart.
    """
    objective = PRESETS["fourier"].objective
    inner = faithfulness.inner_layers(network, list(chosen))
    along = faithfulness.Along(inner, objective, ELEMENTS, 50, torch.device("cpu"))

    def measure(one: Made) -> float:
        values = []
        for layer in chosen:
            top = np.argsort(-answers[layer], axis=0, kind="stable")[:TOP].T
            live = np.ones((1, len(top)), bool)
            found = along.measure(network, layer, one.images[layer][None], live, shown, top)
            known = found.faithfulness[np.isfinite(found.faithfulness)]
            values += [float(known.mean())] if len(known) else []
        return float(np.mean(values)) if values else float("nan")

    return measure


def _write_sheet(path: Path, one: Made) -> None:
    some = {layer: images[:: max(1, len(images) // SHOWN)][:SHOWN] for layer, images in one.images.items()}
    captions = [layer if k == 0 else "" for layer, images in some.items() for k in range(len(images))]
    sheet = contact_sheet(
        np.concatenate([*some.values()]), captions, [len(images) for images in some.values()]
    )
    with files.complete(path) as partial:
        sheet.save(partial, "JPEG", quality=QUALITY)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.priors", description=__doc__.split("\n")[0])
    parser.add_argument("photographs", metavar="FOLDER|TAR")
    parser.add_argument("--priors", nargs="+", default=list(PRIORS))
    parser.add_argument("--layers", nargs="+", default=list(LAYERS))
    parser.add_argument("--units", type=int, default=6, help="of each layer (default: 6)")
    parser.add_argument("--size", type=int, default=96, help="of the images, px (default: 96)")
    parser.add_argument(
        "--judge", help="a network, as for `protoviz units`; none: nothing is said of nearness"
    )
    parser.add_argument("--state", help="file with the weights of the judge")
    parser.add_argument("--judge-size", type=int, default=32, help="of its images, px (default: 32)")
    parser.add_argument("--threads", type=int, default=1, help="of torch (default: 1)")
    parser.add_argument(
        "--out", type=Path, default=Path("priors"), help="folder for the sheets (default: priors)"
    )
    return parser


if __name__ == "__main__":
    main()
