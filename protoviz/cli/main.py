"""The command line: the pipeline, and prototypes of any network."""

import argparse
import os
import sys

from protoviz import __version__
from protoviz.cli import data, train_prior
from protoviz.errors import StudyError

PAPER = ("paper", "paper-b", "as-written")  # presets of the studies of the paper


def main() -> None:
    """Run a command; report bad input in one clear line."""
    arguments = _parser().parse_args()
    try:
        arguments.run(arguments)
        sys.stdout.flush()
    except StudyError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("\nstopped; what is done is kept", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:  # the reader of our output has closed it, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="protoviz", description=__doc__)
    parser.add_argument("--version", action="version", version=__version__)
    networks = parser.add_subparsers(dest="command", required=True)

    repro = networks.add_parser("repro", help="run what is stale in the pipeline, on all cores")
    repro.set_defaults(run=_repro)
    repro.add_argument(
        "-j", "--jobs", type=_positive, help="stages side by side (default: one for each core, or worker)"
    )
    repro.add_argument(
        "--cluster", metavar="ADDRESS", help="of a dask scheduler, whose workers share this folder"
    )

    presets = networks.add_parser("presets", help="how params.yaml and the studies in presets/ differ")
    by_default = f"of files in presets/, by default {' '.join(PAPER)}"
    presets.add_argument("names", nargs="*", default=PAPER, metavar="NAME", help=by_default)
    presets.set_defaults(run=_presets)

    init = networks.add_parser("init", help="a new study of your own checkpoints, in a folder of its own")
    init.set_defaults(run=_init)
    init.add_argument("folder", metavar="FOLDER", help="of the study; it is made")
    init.add_argument("--model", required=True, help="as of `protoviz units`")
    init.add_argument("--arg", metavar="NAME=VALUE", action="append", default=[], help="of what builds it")
    init.add_argument(
        "--checkpoints",
        required=True,
        metavar="PATTERN",
        help="such as 'runs/{condition}/seed{run}/checkpoint-{epoch}.pth.tar'; * stands for any text",
    )
    init.add_argument("--key", help="of the state dict in these files, where several fit")
    init.add_argument("--prefix", help="of the model's names in them, where several fit")
    init.add_argument("--epochs", type=int, nargs="+", help="that are analysed (default: all there are)")
    init.add_argument(
        "--untrained",
        action="store_true",
        help="epoch 0 is the network before training (default: as its files say)",
    )
    init.add_argument("--layers", nargs="+", help="(default: the outputs of blocks)")
    init.add_argument("--channels", type=_positive, help="of each layer (default: 16)")
    init.add_argument(
        "--size",
        type=_size,
        metavar="PX",
        help="of its images: 64, or 32x48, height first (default: its own)",
    )
    init.add_argument("--mean", type=float, nargs="+", help="of the images' values in [0, 1], one a channel")
    init.add_argument("--std", type=float, nargs="+", help="their deviation")
    init.add_argument("--images", metavar="FOLDER", help="of photographs, one folder for each class")
    init.add_argument("--prior", default="fourier", help="fourier (default), natural, maco or pixels")
    init.add_argument("--title", help="named on every figure")

    update = networks.add_parser(
        "update", help="take new epochs into the study of checkpoints in this folder"
    )
    update.set_defaults(run=_update)
    update.add_argument("--epochs", type=int, nargs="+", help="that are analysed (default: all there are)")

    units = networks.add_parser("units", help="list the layers of a network and their channels")
    units.set_defaults(run=_units)
    _add_model(units)
    units.add_argument("--all", action="store_true", help="also layers without weights of their own")

    synthesize = networks.add_parser("synthesize", help="the image that drives each unit most")
    synthesize.set_defaults(run=_synthesize)
    _add_model(synthesize)
    synthesize.add_argument(
        "units", nargs="+", metavar="UNITS", help="layer, layer:3, layer:3,5 or layer:0-15"
    )
    synthesize.add_argument(
        "--state", metavar="FILE", help="weights of the model, as a trainer wrote them: a file or a folder"
    )
    synthesize.add_argument("--key", help="of the state dict in that file, where several fit")
    synthesize.add_argument("--prefix", help="of the model's names in it, where several fit")
    synthesize.add_argument(
        "--prior", default="fourier", help="fourier (default), natural, maco, pixels, generator or deepsim"
    )
    synthesize.add_argument("--weights", metavar="FILE", help="of the prior: a path or an address")
    synthesize.add_argument("--preset", help="fast, natural, gentle, paper, as-written, fourier or maco")
    synthesize.add_argument("--steps", type=_positive, help="of ascent (default: the preset's)")
    synthesize.add_argument("--repeats", type=_positive, help="images of each unit (default: the preset's)")
    synthesize.add_argument("--device", default="auto", help="auto (default), cpu, cuda, cuda:1, ...")
    synthesize.add_argument(
        "--mask",
        choices=("none", "transparency"),
        default="none",
        help="of the sheet; transparency: what the ascent has not worked on fades to grey; it is stored, too",
    )
    synthesize.add_argument(
        "--out", metavar="FOLDER", default="prototypes", help="for the images (default: prototypes)"
    )
    data.add_parsers(networks)
    train_prior.add_parser(networks)

    atlas = networks.add_parser("atlas", help="show the atlas in a browser, to this machine alone")
    atlas.set_defaults(run=_atlas)
    atlas.add_argument("--port", type=int, default=8765, help="default: 8765; 0: any that is free")
    atlas.add_argument("--no-browser", action="store_true", help="only say the address")
    return parser


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "model",
        metavar="MODEL",
        help="imagenet:efficientnet_lite0 (trained), torchvision:resnet18, timm:vit_tiny_patch16_224 "
        "(both fresh), package.module:callable or file.py:callable (both run that code), or a checkpoint "
        "file of a study",
    )
    parser.add_argument(
        "--arg",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="a keyword argument of what builds the model, such as num_classes=10; may be repeated",
    )
    parser.add_argument(
        "--size",
        type=_size,
        metavar="PX",
        help="of its images: 64, or 32x48, height first (default: its own)",
    )


# What a command needs is imported when it runs: torch alone takes seconds.


def _repro(arguments: argparse.Namespace) -> None:
    from protoviz.pipeline.driver import repro

    repro(arguments.jobs, arguments.cluster)


def _presets(arguments: argparse.Namespace) -> None:
    from protoviz import layout
    from protoviz.config import diff, params

    files = [layout.PARAMS, *(layout.PRESETS / f"{name}.yaml" for name in arguments.names)]
    studies = {
        path.name if path == layout.PARAMS else path.stem: params.load(path).model_dump() for path in files
    }
    print(diff.table(studies), end="")


def _init(arguments: argparse.Namespace) -> None:
    from protoviz.cli.init import init

    init(arguments)


def _update(arguments: argparse.Namespace) -> None:
    from protoviz.cli.init import update

    update(arguments)


def _units(arguments: argparse.Namespace) -> None:
    from protoviz.cli import networks

    networks.units(arguments)


def _synthesize(arguments: argparse.Namespace) -> None:
    from protoviz.cli import networks

    networks.synthesize(arguments)


def _atlas(arguments: argparse.Namespace) -> None:
    from protoviz import layout
    from protoviz.report.atlas import serving

    serving.serve(layout.ATLAS, arguments.port, browser=not arguments.no_browser)


def _size(text: str) -> int | tuple[int, int]:
    numbers = [_positive(part) for part in text.split("x")]
    if len(numbers) > 2:
        raise ValueError
    return numbers[0] if len(numbers) == 1 else (numbers[0], numbers[1])


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number
